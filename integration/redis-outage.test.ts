import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { eventually, pass } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

const QUICK = {
  SWITCHBOARD_TTL: "200ms",
  SWITCHBOARD_STALE_WHILE_REFRESH: "200ms",
  SWITCHBOARD_CLOCK_SLACK: "0",
};

describe("while Redis is down", () => {
  const stage = useStage({ environment: QUICK });

  it("known hosts are served on, and what changed meanwhile is seen when it is back", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("known.test", a);
    await stage.serve("*.known.test", a);

    const load = await underLoad({ port: stage.router.port, host }, async (running) => {
      const wild = await underLoad(
        { port: stage.router.port, host: "x.known.test", clients: 2 },
        async () => {
          await eventually("load arrives", () => assert.ok(running.total > 100));
          await stage.redis.stop();
          await pass(2);
          await stage.redis.start();
          await stage.redis.client
            .multi()
            .del("backends:known.test")
            .sadd("backends:known.test", b.at)
            .exec();
          await eventually("the new set is served", () => assert.ok((running.byBackend.get("b") ?? 0) > 50));
        },
      );
      assert.deepEqual(wild.failures, []);
    });

    assert.deepEqual(load.failures, []);
  });

  it("the health pages say so, and the log what is wrong and what is meant by it", async () => {
    await stage.redis.stop();
    await eventually("degraded", async () => {
      const ready = await stage.router.health("/readyz");
      assert.equal(ready.status, 200);
      assert.match(ready.body, /^ready\ndegraded: redis has been unreachable for \d+ s/);
    });
    assert.equal((await stage.router.metrics()).get("switchboard_redis_up"), 0);
    await stage.router.logged(/redis is unreachable.*127\.0\.0\.1:\d+.*refused/);

    await stage.redis.start();

    await eventually("not degraded", async () => {
      assert.equal((await stage.router.health("/readyz")).body, "ready\n");
    });
    assert.equal((await stage.router.metrics()).get("switchboard_redis_up"), 1);
  });

  it("an unknown host gets 503 store_unreachable quickly, and its app as soon as Redis is back", async () => {
    const a = await stage.backend("a");
    const host = await stage.serve("not-yet-asked.test", a);
    await stage.redis.stop();
    for (let i = 0; i < 20; i += 1) {
      const began = Date.now();
      const answer = await stage.router.ask({ host });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers["x-switchboard-error"], "store_unreachable");
      assert.ok(Date.now() - began < 400, `${Date.now() - began} ms`);
    }

    await stage.redis.start();

    await eventually("it is served", async () => stage.router.echo({ host }), 3);
  });

  it("no heart-beat is missed: it only goes unheard", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const soon = Math.floor(Date.now() / 1000) + 2;
    await stage.redis.client.zadd("backends:beating.test", soon, a.at, soon, b.at);

    const load = await underLoad({ port: stage.router.port, host: "beating.test" }, async (running) => {
      await eventually("load arrives", () => assert.ok(running.total > 100));
      await stage.redis.stop();
      await pass(4);
    });

    assert.deepEqual(load.failures, []);
    assert.ok((load.byBackend.get("a") ?? 0) > 100 && (load.byBackend.get("b") ?? 0) > 100);
    await stage.redis.start();
    await eventually("when Redis is back they have lapsed", async () => {
      const answer = await stage.router.ask({ host: "beating.test" });
      assert.equal(answer.headers["x-switchboard-error"], "no_instances");
    });
  });
});

describe("while Redis is down and routes are cached for long", () => {
  const stage = useStage({ environment: { SWITCHBOARD_CLOCK_SLACK: "0" } });

  it("no heart-beat is missed either", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.zadd("backends:beating.test", Math.floor(Date.now() / 1000) + 3, a.at);
    await askTimes(stage.router, "beating.test", 20);
    await stage.redis.stop();
    await pass(4);

    assert.deepEqual(tally(await askTimes(stage.router, "beating.test", 20)), { a: 20 });
  });
});

describe("while Redis hangs", () => {
  const stage = useStage({ environment: QUICK });

  it("known hosts are served on, and an unknown one waits no longer than load_timeout", async () => {
    const host = await stage.serve("known.test", await stage.backend("a"));

    const load = await underLoad({ port: stage.router.port, host }, async (running) => {
      await eventually("load arrives", () => assert.ok(running.total > 100));
      await stage.redis.pause();
      await pass(1);
      const began = Date.now();
      const answer = await stage.router.ask({ host: "asked-too-late.test" });
      assert.equal(answer.headers["x-switchboard-error"], "store_unreachable");
      assert.ok(Date.now() - began < 600, `${Date.now() - began} ms`);
      await pass(1);
      const before = running.total;
      await eventually("it still flows", () => assert.ok(running.total > before + 100));
      await stage.redis.resume();
    });

    assert.deepEqual(load.failures, []);
    await eventually("the other is looked up again", async () => {
      assert.equal((await stage.router.ask({ host: "asked-too-late.test" })).status, 404);
    });
  });
});

describe("clients that leave while the router waits for Redis", () => {
  const stage = useStage({ environment: { SWITCHBOARD_LOAD_TIMEOUT: "2s" } });

  it("leave nothing behind, and spoil it for nobody", async () => {
    const host = await stage.serve("impatient.test", await stage.backend("a"));
    await stage.redis.pause();
    const leaving = Array.from({ length: 50 }, async () => stage.router.ask({ host, patience: 0.1 }));
    const patient = Array.from({ length: 5 }, async () => stage.router.ask({ host }));
    const left = await Promise.allSettled(leaving);
    assert.ok(left.every(({ status }) => status === "rejected"));
    await stage.redis.resume();

    for (const answer of await Promise.all(patient)) {
      assert.equal(answer.status, 200);
    }
    await eventually("nothing is in flight", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 0);
    });
  });
});

describe("a router that starts without Redis", () => {
  const stage = useStage();

  it("starts degraded and serves as soon as Redis is there", async () => {
    const host = await stage.serve("early.test", await stage.backend("a"));
    await stage.redis.stop();
    const router = await stage.moreRouter({});
    assert.match((await router.health("/readyz")).body, /degraded/);
    assert.equal((await router.ask({ host })).status, 503);

    await stage.redis.start();

    await eventually("it serves", async () => router.echo({ host }), 3);
  });
});
