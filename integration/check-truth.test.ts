import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { before, describe, it } from "node:test";
import { startLua, type Lua } from "../tools/check/lua.ts";
import { decode, type Value } from "../tools/check/wire.ts";
import { imageOf, ROOT } from "./support/containers.ts";

interface Judged {
  key: string;
  name: string;
  earlier: string[];
  replies: Value[];
  verdict: { findings: { code: string }[] };
}

const SEEDS = [1, 2];
const COUNT = 5000;

/** What LuaJIT, the router's own machine, says of random records. */
function judgedByLuaJit(seed: number): Judged[] {
  const mount = `${ROOT}:/switchboard:ro`;
  const script = ["integration/support/judged.lua", "lib", String(seed), String(COUNT)];
  const words = ["run", "--rm", "-v", mount, "-w", "/switchboard", imageOf("tools"), "luajit", ...script];
  const { status, stdout, stderr } = spawnSync("docker", words, { maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr.toString());
  return decode(stdout.toString("latin1")) as unknown as Judged[];
}

describe("the verdict of switchboard check is the router's own", () => {
  let lua: Lua;

  before(async () => {
    lua = await startLua();
    const settled = lua.call("configure", { deny_instances: "127.0.0.0/8" }, {}, ["native"]);
    assert.equal((settled as { error?: string }).error, undefined);
  });

  for (const seed of SEEDS) {
    it(`on ${COUNT} random records, seed ${seed}`, () => {
      const judged = judgedByLuaJit(seed);
      assert.equal(judged.length, COUNT);
      const codes = new Set<string>();
      for (const { key, name, earlier, replies, verdict } of judged) {
        const place = { schema: "native", name, key, earlier };
        assert.deepEqual(lua.call("place", ["native"], [key]), [[place]]);
        assert.deepEqual(lua.call("judge", [place], [replies]), [verdict]);
        verdict.findings.forEach(({ code }) => codes.add(code));
      }
      // The records are wild enough to reach every rule that needs no other key.
      for (const code of [
        "bad_name",
        "bad_path",
        "unreachable_path",
        "bad_value",
        "duplicate",
        "expired",
        "forbidden_target",
        "orphan",
        "unknown_option",
        "wrong_type",
      ]) {
        assert.ok(codes.has(code), `no record led to ${code}`);
      }
    });
  }
});
