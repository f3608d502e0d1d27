import { strict as assert } from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { allSeries, growthOf, type Sample } from "../bench/soak/memory.ts";
import { before, newName, outdated, wrongAnyway } from "../bench/soak/names.ts";
import type { Tried } from "../bench/soak/world.ts";
import { command } from "./support/command.ts";
import { ROOT } from "./support/containers.ts";
import type { Answer } from "./support/http-client.ts";
import { makeFolder } from "./support/site.ts";

describe("a soak", () => {
  it("says what failed first and when, ends with 1, and keeps the logs", async () => {
    const folder = await makeFolder();
    const logs = join(folder.path, "logs");
    const little = { MINUTES: "0.15", NAMES: "50", UPDATES: "10", LOGS: logs };

    const { exitCode, stdout, stderr } = await command("npx", ["tsx", "bench/soak.ts"], {
      cwd: ROOT,
      // No machine keeps up with that.
      env: { ...process.env, ...little, REQUESTS: "1000000" },
    });

    const failure = "the machine is starved: \\d+ requests a second instead of 1000000: this tells nothing";
    assert.match(
      stderr,
      new RegExp(`^make soak: at 00:\\d\\d \\(20.*Z\\): ${failure}\\nall logs are in ${logs}`, "m"),
      stdout,
    );
    assert.equal(exitCode, 1);
    assert.deepEqual(readdirSync(logs).sort(), ["events.log", "old.log", "redis.log", "renewed.log"]);
    assert.match(readFileSync(join(logs, "events.log"), "utf8"), new RegExp(`FAILED ${failure}`));
    assert.match(readFileSync(join(logs, "old.log"), "utf8"), /event=watch_begins/);
    await folder.remove();
  });
});

describe("what a soak says of memory", () => {
  const tried = { name: "old" } as Tried;
  const samples = (own: (i: number) => number): Sample[] =>
    Array.from({ length: 100 }, (_, i) => ({
      at: i,
      processes: [{ pid: 7, role: "worker", own: own(i), rss: 0 }],
      dicts: { routes: 1 << 20 },
      in_flight: 0,
      lag: 0,
    }));
  const saidOf = (own: (i: number) => number): (string | undefined)[] =>
    allSeries(tried, samples(own)).map(growthOf);

  it("is nothing where it goes up and down", () => {
    assert.deepEqual(
      saidOf((i) => 20_000 + 4000 * (i % 3)),
      [undefined, undefined],
    );
  });

  it("is who grew, and by how much", () => {
    assert.deepEqual(
      saidOf((i) => 20_480 + 20 * i),
      ["memory of old worker 7 grew from 20.29 to 21.66 MB (6.7 %)", undefined],
    );
  });
});

describe("what a soak says of an answer", () => {
  const answer = (status: number, instance: string): Answer => ({
    status,
    headers: { "x-instance": instance, "x-switchboard-error": "connect_failed" },
    body: "",
    bytes: Buffer.from(""),
  });
  const name = { ...newName("n.test", true), at: "127.0.0.2:80" };

  it("is nothing when the last write's instance answers, at last", () => {
    const asked = before(name, -1e6);
    assert.equal(outdated(name, asked, answer(200, "127.0.0.3:80, 127.0.0.2:80")), undefined);
    assert.equal(wrongAnyway(name, answer(200, "127.0.0.2:80")), undefined);
  });

  it("is that it is out of date when another one does, unless it was written just now", () => {
    const late = answer(200, "127.0.0.3:80");
    const said = "n.test: answered by 127.0.0.3:80, Redis says 127.0.0.2:80";
    assert.equal(outdated({ ...name, written: -1e6 }, { version: 0, settled: true }, late), said);
    assert.equal(outdated(name, before({ ...name, writing: true }, 0), late), undefined);
    assert.equal(outdated({ ...name, version: 1 }, { version: 0, settled: true }, late), undefined);
  });

  it("is that a known name failed, whenever that was", () => {
    assert.equal(wrongAnyway(name, answer(502, "-")), "n.test: 502 connect_failed");
    assert.equal(wrongAnyway({ ...name, stays: false }, answer(404, "-")), undefined);
  });
});
