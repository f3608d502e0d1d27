import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { before, describe, it } from "node:test";
import { startLua, type Lua } from "../tools/check/lua.ts";
import { decode, type Value } from "../tools/check/wire.ts";
import { imageOf, ROOT } from "./support/containers.ts";

interface Judged {
  key: string;
  name: string;
  /** Undefined: the key is nobody's. */
  earlier?: string[];
  replies: Value[];
  verdict: { findings: { code: string }[]; questions: { finding: { code: string } }[] };
}

const SEEDS = [1, 2];
const COUNT = 5000;

/** The records are wild enough to reach every rule; also those that another key decides. */
const CODES: Record<string, string[]> = {
  native: [
    ...["bad_name", "bad_path", "bad_value", "dangling_pool", "duplicate", "expired", "forbidden_target"],
    ...["orphan", "unknown_option", "unreachable_path", "wrong_type"],
  ],
  hipache: [
    ...["assumed_port", "bad_name", "bad_value", "dangling_pool", "duplicate", "forbidden_target"],
    ...["ignored_path", "index_shift", "orphan", "unknown_option", "url_as_id", "wrong_type"],
  ],
  planb: ["bad_name", "bad_value", "duplicate", "index_shift", "orphan", "wrong_type"],
  dinp: ["bad_name", "bad_value", "dangling_cname", "forbidden_target", "ignored_cname", "wrong_type"],
};

/** What LuaJIT, the router's own machine, says of random records. */
function judgedByLuaJit(seed: number, schema: string): Judged[] {
  const mount = `${ROOT}:/switchboard:ro`;
  const script = ["integration/support/judged.lua", "lib", String(seed), String(COUNT), schema];
  const words = ["run", "--rm", "-v", mount, "-w", "/switchboard", imageOf("tools"), "luajit", ...script];
  const { status, stdout, stderr } = spawnSync("docker", words, { maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr.toString());
  return decode(stdout.toString("latin1")) as unknown as Judged[];
}

describe("the verdict of switchboard check is the router's own", () => {
  let lua: Lua;

  before(async () => {
    lua = await startLua();
  });

  for (const [schema, expected] of Object.entries(CODES)) {
    it(`on ${SEEDS.length * COUNT} random records of ${schema}`, () => {
      const options = { deny_instances: "127.0.0.0/8", legacy_prefix: "old-", schema };
      const settled = lua.call("configure", options, {});
      assert.equal((settled as { error?: string }).error, undefined);
      const codes = new Set<string>();
      for (const seed of SEEDS) {
        const judged = judgedByLuaJit(seed, schema);
        assert.equal(judged.length, COUNT);
        for (const { key, name, earlier, replies, verdict } of judged) {
          if (earlier === undefined) {
            assert.deepEqual(lua.call("place", [key]), [[]]);
            continue;
          }
          const place = { schema, name, key, earlier };
          assert.deepEqual(lua.call("place", [key]), [[place]]);
          assert.deepEqual(lua.call("judge", [place], [replies]), [verdict]);
          [...verdict.findings, ...verdict.questions.map(({ finding }) => finding)].forEach(({ code }) =>
            codes.add(code),
          );
        }
      }
      for (const code of expected) {
        assert.ok(codes.has(code), `no record led to ${code}`);
      }
    });
  }
});
