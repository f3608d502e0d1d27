import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { eventually, pass } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import type { RedisServer } from "./support/redis-server.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

/** What is told here is of times, not of changes that Redis tells. */
const UNWATCHED = { SWITCHBOARD_WATCH: "off" };

/** How often Redis has run a command. */
async function callsOf(redis: RedisServer, command: string): Promise<number> {
  const info = await redis.client.info("commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}

describe("a thousand first requests at once", () => {
  const stage = useStage({ workers: 2 });

  it("for one host make one load", async () => {
    const host = await stage.serve("sudden.test", await stage.backend("a"));
    const before = await callsOf(stage.redis, "exec");

    const answers = await Promise.all(Array.from({ length: 1000 }, async () => stage.router.ask({ host })));

    assert.ok(answers.every((answer) => answer.status === 200));
    assert.equal((await callsOf(stage.redis, "exec")) - before, 1);
  });

  it("for one unknown host make one load", async () => {
    const before = await callsOf(stage.redis, "exec");

    const answers = await Promise.all(
      Array.from({ length: 1000 }, async () => stage.router.ask({ host: "sudden-unknown.test" })),
    );

    assert.ok(answers.every((answer) => answer.status === 404));
    assert.equal((await callsOf(stage.redis, "exec")) - before, 1);
  });

  it("for hosts under one wildcard load the wildcard once", async () => {
    await stage.serve("*.sudden-wild.test", await stage.backend("a"));
    await stage.router.echo({ host: "first.sudden-wild.test" });
    const before = await callsOf(stage.redis, "exec");

    for (let i = 0; i < 20; i += 1) {
      await stage.router.echo({ host: `h${i}.sudden-wild.test` });
    }

    assert.equal(
      (await callsOf(stage.redis, "exec")) - before,
      20,
      "one look for each host, none for the pattern",
    );
  });
});

describe("what is cached", () => {
  const stage = useStage({ environment: { SWITCHBOARD_TTL: "60s" } });

  it("is served without asking Redis", async () => {
    const host = await stage.serve("cached.test", await stage.backend("a"));
    await stage.router.echo({ host });
    const before = await callsOf(stage.redis, "exec");

    await askTimes(stage.router, host, 200);

    assert.equal(await callsOf(stage.redis, "exec"), before);
  });

  it("includes that a host is unknown, for negative_ttl", async () => {
    const host = "late.test";
    const a = await stage.backend("a");
    assert.equal((await stage.router.ask({ host })).status, 404);
    const before = await callsOf(stage.redis, "exec");
    for (let i = 0; i < 50; i += 1) {
      assert.equal((await stage.router.ask({ host })).status, 404);
    }
    assert.equal(await callsOf(stage.redis, "exec"), before);

    await stage.serve(host, a);

    await eventually("the host is known", async () => stage.router.echo({ host }), 3);
  });
});

describe("after three TTLs without traffic", () => {
  const stage = useStage({
    environment: { ...UNWATCHED, SWITCHBOARD_TTL: "500ms", SWITCHBOARD_STALE_WHILE_REFRESH: "500ms" },
  });

  it("the first request sees the new set, in every worker", async () => {
    const [old, fresh] = [await stage.backend("old"), await stage.backend("fresh")];
    const host = await stage.serve("quiet.test", old);
    assert.deepEqual(tally(await askTimes(stage.router, host, 20)), { old: 20 });

    await stage.redis.client.multi().del("backends:quiet.test").sadd("backends:quiet.test", fresh.at).exec();
    await pass(1.5);

    assert.deepEqual(tally(await askTimes(stage.router, host, 20)), { fresh: 20 });
  });

  it("the first request under a wildcard sees the host of its own", async () => {
    const [wild, own] = [await stage.backend("wild"), await stage.backend("own")];
    await stage.serve("*.quiet-wild.test", wild);
    const host = "app.quiet-wild.test";
    assert.deepEqual(tally(await askTimes(stage.router, host, 20)), { wild: 20 });

    await stage.serve(host, own);
    await pass(1.5);

    assert.deepEqual(tally(await askTimes(stage.router, host, 20)), { own: 20 });
  });

  it("the first request sees the other pool", async () => {
    const [blue, green] = [await stage.backend("blue"), await stage.backend("green")];
    await stage.serve("@quiet", blue);
    await stage.redis.client.hset("route:quiet-pool.test", "pool", "@quiet");
    assert.deepEqual(tally(await askTimes(stage.router, "quiet-pool.test", 20)), { blue: 20 });

    await stage.redis.client.multi().del("backends:@quiet").sadd("backends:@quiet", green.at).exec();
    await pass(1.5);

    assert.deepEqual(tally(await askTimes(stage.router, "quiet-pool.test", 20)), { green: 20 });
  });
});

describe("after three of a shorter TTL, with no other option", () => {
  const stage = useStage({ environment: { ...UNWATCHED, SWITCHBOARD_TTL: "1s" } });

  it("the first request sees the new set", async () => {
    const [old, fresh] = [await stage.backend("old"), await stage.backend("fresh")];
    const host = await stage.serve("short.test", old);
    assert.deepEqual(tally(await askTimes(stage.router, host, 10)), { old: 10 });

    await stage.redis.client.multi().del("backends:short.test").sadd("backends:short.test", fresh.at).exec();
    await pass(3.1);

    assert.deepEqual(tally(await askTimes(stage.router, host, 10)), { fresh: 10 });
  });
});

describe("between ttl and ttl + stale_while_refresh", () => {
  const stage = useStage({
    environment: {
      ...UNWATCHED,
      SWITCHBOARD_TTL: "200ms",
      SWITCHBOARD_STALE_WHILE_REFRESH: "60s",
      SWITCHBOARD_LOAD_TIMEOUT: "5s",
    },
  });

  it("the old route is served while one refresh runs, also when Redis takes its time", async () => {
    const [old, fresh] = [await stage.backend("old"), await stage.backend("fresh")];
    const host = await stage.serve("stale.test", old);
    await stage.router.echo({ host });
    await pass(0.3);
    await stage.redis.pause();
    const began = Date.now();
    assert.deepEqual(tally(await askTimes(stage.router, host, 50)), { old: 50 });
    assert.ok(Date.now() - began < 1000, "nobody waited for Redis");
    await stage.redis.resume();

    await stage.redis.client.multi().del("backends:stale.test").sadd("backends:stale.test", fresh.at).exec();

    await eventually("the new set is served", async () => {
      assert.equal((await stage.router.echo({ host })).name, "fresh");
    });
  });

  it("refreshes of a busy host are few", async () => {
    const host = await stage.serve("busy.test", await stage.backend("a"));
    await stage.router.echo({ host });
    const before = await callsOf(stage.redis, "smembers");

    const load = await underLoad({ port: stage.router.port, host }, async () => pass(1.5));

    const loads = (await callsOf(stage.redis, "smembers")) - before;
    assert.ok(loads >= 3 && loads <= 16, `${loads} loads for ${load.total} requests in 1.5 s`);
    assert.deepEqual(load.failures, []);
  });
});

describe("with max_stale", () => {
  const stage = useStage({
    environment: {
      ...UNWATCHED,
      SWITCHBOARD_TTL: "200ms",
      SWITCHBOARD_STALE_WHILE_REFRESH: "200ms",
      SWITCHBOARD_MAX_STALE: "2s",
    },
  });

  it("a route is served for so long without Redis, then refused, and served again when Redis is back", async () => {
    const host = await stage.serve("bounded.test", await stage.backend("a"));
    await stage.router.echo({ host });
    await stage.redis.stop();
    const began = Date.now();
    await pass(1);
    assert.equal((await stage.router.ask({ host })).status, 200);

    await eventually("it is refused", async () => {
      const answer = await stage.router.ask({ host });
      assert.equal(answer.headers["x-switchboard-error"], "store_unreachable");
      assert.equal(answer.status, 503);
    });
    assert.ok(Date.now() - began > 1500, "not before its time");

    await stage.redis.start();
    await eventually("it is served again", async () => stage.router.echo({ host }));
  });
});
