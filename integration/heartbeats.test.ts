import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

/** Unix seconds, so many from now. */
function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

describe("an instance that sends heart-beats", () => {
  const stage = useStage({ environment: { SWITCHBOARD_CLOCK_SLACK: "1s" } });

  it("counts until its score and the clock slack are over, though nothing is read from Redis again", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const until = inSeconds(2);
    await stage.redis.client.zadd("backends:beating.test", until, a.at, inSeconds(3600), b.at);
    let last = 0;

    const load = await underLoad(
      { port: stage.router.port, host: "beating.test", clients: 2 },
      async (running) => {
        let before = 0;
        await eventually("a has lapsed", async () => {
          const now = running.byBackend.get("a") ?? 0;
          const total = running.total;
          if (now > before) {
            last = Date.now() / 1000;
          }
          before = now;
          assert.ok(last > 0 && Date.now() / 1000 - last > 0.5 && total > 100);
        });
      },
    );

    assert.deepEqual(load.failures, []);
    assert.ok(
      last > until + 0.7 && last < until + 1.3,
      `a took its last request ${last - until} s after its score`,
    );
  });

  it("that all have lapsed leave the domain known, without instances", async () => {
    const a = await stage.backend("a");
    await stage.serve("*.lapsed.test", a);
    await stage.redis.client.zadd("backends:app.lapsed.test", inSeconds(-60), a.at);

    const answer = await stage.router.ask({ host: "app.lapsed.test" });

    assert.equal(answer.status, 503);
    assert.equal(answer.headers["x-switchboard-error"], "no_instances");
  });

  it("may carry attributes, and be nobody", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    await stage.redis.client.zadd(
      "backends:attributed.test",
      ...[inSeconds(60), `${a.at}?weight=3`, inSeconds(60), b.at, inSeconds(60), "-"],
    );

    const counts = tally(await askTimes(stage.router, "attributed.test", 80));

    assert.ok(Math.abs((counts.a ?? 0) - 60) <= 2, JSON.stringify(counts));
  });
});

describe("heart-beats that go on", () => {
  const stage = useStage({
    environment: {
      SWITCHBOARD_TTL: "200ms",
      SWITCHBOARD_STALE_WHILE_REFRESH: "200ms",
      SWITCHBOARD_CLOCK_SLACK: "0",
    },
  });

  it("keep an instance, and one that lapsed comes back with the next", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const beat = async (...members: string[]): Promise<void> => {
      await stage.redis.client.zadd(
        "backends:renewed.test",
        ...members.flatMap((member) => [inSeconds(2), member]),
      );
    };
    await beat(a.at, b.at);
    const beats = setInterval(() => void beat(a.at), 300);

    const load = await underLoad(
      { port: stage.router.port, host: "renewed.test", clients: 4 },
      async (running) => {
        const newOf = async (): Promise<string[]> => {
          const before = new Map(running.byBackend);
          const goal = running.total + 50;
          await eventually("more answers", () => assert.ok(running.total > goal));
          return [...running.byBackend.keys()].filter(
            (name) => (running.byBackend.get(name) ?? 0) > (before.get(name) ?? 0),
          );
        };
        await eventually("b has lapsed, a has not", async () => assert.deepEqual(await newOf(), ["a"]));
        await beat(b.at);
        await eventually("b is back", async () => assert.ok((await newOf()).includes("b")));
      },
    );

    clearInterval(beats);
    assert.deepEqual(load.failures, []);
  });
});
