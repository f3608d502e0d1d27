import { strict as assert } from "node:assert";
import { after, before, describe, it } from "node:test";
import { eventually, pass } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import { startProxy, type Proxy } from "./support/proxy.ts";
import type { RedisServer } from "./support/redis-server.ts";
import type { Router } from "./support/router.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

/** So long that nothing here is seen because of it. */
const LONG = { SWITCHBOARD_TTL: "600s" };

async function callsOf(redis: RedisServer, command: string): Promise<number> {
  const info = await redis.client.info("commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}

async function watching(router: Router, mode: string): Promise<void> {
  await eventually(`watching by ${mode}`, async () => {
    assert.equal((await router.metrics()).get(`switchboard_watch{mode="${mode}"}`), 1);
  });
}

/** Every worker's answer, by asking often enough on connections of their own. */
async function onlyFrom(router: Router, host: string, name: string, seconds = 3): Promise<void> {
  await eventually(
    `${host} is served by ${name} alone`,
    async () => {
      assert.deepEqual(tally(await askTimes(router, host, 12)), { [name]: 12 });
    },
    seconds,
  );
}

describe("while Redis is watched", () => {
  const stage = useStage({ environment: LONG, workers: 4, killed: true });

  it("a change is served by every worker at once", async () => {
    await watching(stage.router, "tracking");
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("watched.test", a);
    await onlyFrom(stage.router, host, "a");
    for (const next of [b, a, b, a]) {
      await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, next.at).exec();
      await onlyFrom(stage.router, host, next.name, 0.5);
    }
  });

  it("a host that becomes known leaves the wildcard, and returns to it", async () => {
    const [wild, own] = [await stage.backend("wild"), await stage.backend("own")];
    await stage.serve("*.claims.test", wild);
    await onlyFrom(stage.router, "app.claims.test", "wild");
    await stage.serve("app.claims.test", own);
    await onlyFrom(stage.router, "app.claims.test", "own", 0.5);
    await stage.redis.client.del("backends:app.claims.test");
    await onlyFrom(stage.router, "app.claims.test", "wild", 1.5);
  });

  it("a closer wildcard takes the hosts that a wider one had, and gives them back", async () => {
    const [wide, close] = [await stage.backend("wide"), await stage.backend("close")];
    await stage.serve("*.nested.test", wide);
    await onlyFrom(stage.router, "a.b.nested.test", "wide");
    await stage.serve("*.b.nested.test", close);
    await onlyFrom(stage.router, "a.b.nested.test", "close", 0.5);
    await stage.redis.client.del("backends:*.b.nested.test");
    await onlyFrom(stage.router, "a.b.nested.test", "wide", 1.5);
  });

  it("an unknown host is known as soon as it is written, itself or by a wildcard", async () => {
    const a = await stage.backend("a");
    for (const [host, key] of [
      ["new.test", "new.test"],
      ["x.new-wild.test", "*.new-wild.test"],
    ] as const) {
      assert.equal((await stage.router.ask({ host })).status, 404);
      await stage.serve(key, a);
      await onlyFrom(stage.router, host, "a", 0.5);
    }
  });

  it("a changed pool changes all routes that point to it", async () => {
    const [blue, green] = [await stage.backend("blue"), await stage.backend("green")];
    await stage.serve("@shared", blue);
    const hosts = ["one.pooled.test", "two.pooled.test", "three.pooled.test"];
    for (const host of hosts) {
      await stage.redis.client.hset(`route:${host}`, "pool", "@shared");
      await onlyFrom(stage.router, host, "blue");
    }
    for (const next of [green, blue, green]) {
      await stage.redis.client.multi().del("backends:@shared").sadd("backends:@shared", next.at).exec();
      for (const host of hosts) {
        await onlyFrom(stage.router, host, next.name, 0.5);
      }
    }
  });

  it("a route that nobody changes is not read again, and an equal write changes nothing", async () => {
    const host = await stage.serve("calm.test", await stage.backend("a"));
    await askTimes(stage.router, host, 20);
    const before = await callsOf(stage.redis, "smembers");
    await pass(1);
    await askTimes(stage.router, host, 20);
    assert.equal(await callsOf(stage.redis, "smembers"), before);
  });

  it("heart-beats are read, and drop nothing from the caches of the workers", async () => {
    const a = await stage.backend("a");
    const hosts = Array.from({ length: 20 }, (_, i) => `beating-${i}.test`);
    const beat = async (host: string, seconds: number): Promise<unknown> =>
      stage.redis.client.zadd(`backends:${host}`, Math.floor(Date.now() / 1000) + seconds, a.at);
    for (const host of hosts) {
      await beat(host, 60);
      await askTimes(stage.router, host, 60);
    }
    // Workers add up what they count once a second.
    await pass(1.1);
    const before = await stage.router.metrics();
    const since = async (series: string): Promise<number> =>
      ((await stage.router.metrics()).get(series) ?? 0) - (before.get(series) ?? 0);
    for (const seconds of [70, 80, 90]) {
      await Promise.all(hosts.map(async (host) => beat(host, seconds)));
      await pass(0.1);
    }
    for (const host of hosts) {
      await askTimes(stage.router, host, 10);
    }
    await eventually("all were heard", async () => {
      assert.equal(await since("switchboard_watch_changes_total"), 60);
    });
    await pass(1.1);
    // Were they dropped, each host would be looked up by each worker.
    const misses =
      (await since('switchboard_lookups_total{cache="shared"}')) +
      (await since('switchboard_lookups_total{cache="redis"}'));
    assert.ok(misses <= 2, `${misses} lookups missed the cache of the worker`);
  });

  it("a name that changes all the time is read at most every 50 ms, and its last change counts", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("nervous.test", a);
    await onlyFrom(stage.router, host, "a");
    const before = await callsOf(stage.redis, "smembers");
    const began = Date.now();
    for (let i = 0; i < 2000; i += 1) {
      await stage.redis.client.sadd(`backends:${host}`, `127.0.0.1:${20000 + i}`);
      await stage.redis.client.srem(`backends:${host}`, `127.0.0.1:${20000 + i}`);
    }
    await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, b.at).exec();
    const seconds = (Date.now() - began) / 1000;
    await onlyFrom(stage.router, host, "b", 1);
    const reads = (await callsOf(stage.redis, "smembers")) - before;
    // A read that a change overtakes is made again, at most five times; requests that find it out of date read too.
    assert.ok(reads <= (seconds / 0.05 + 4) * 10, `${reads} reads in ${seconds} s`);
  });

  it("the watching worker is killed, and another takes over within a second", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("orphaned.test", a);
    await onlyFrom(stage.router, host, "a");
    for (const next of [b, a, b, a, b]) {
      await killWatcher(stage.router);
      await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, next.at).exec();
      await onlyFrom(stage.router, host, next.name, 2.5);
    }
    await watching(stage.router, "tracking");
  });

  it("a reload hands the watch over", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("handed-over.test", a);
    const load = await underLoad({ port: stage.router.port, host }, async () => {
      for (const next of [b, a, b]) {
        await stage.router.signal("HUP");
        await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, next.at).exec();
        await onlyFrom(stage.router, host, next.name, 2.5);
      }
    });
    assert.deepEqual(load.failures, []);
  });
});

/** Kills the worker that watches, with -9, and awaits that another one does. */
async function killWatcher(router: Router): Promise<void> {
  const watchers = (): string[] =>
    router.log().flatMap((line) => /\] (\d+)#\d+: .*watching .* by tracking/.exec(line)?.[1] ?? []);
  const before = watchers();
  await router.exec(["sh", "-c", `kill -9 ${before.at(-1)}`]);
  const began = Date.now();
  await eventually("another worker watches", () => assert.notEqual(watchers().length, before.length));
  // A tenth of a second for this test to see it.
  assert.ok(Date.now() - began < 1100, `taken over after ${Date.now() - began} ms`);
}

describe("one worker alone", () => {
  const stage = useStage({ environment: LONG, workers: 1 });

  it("tries a change again that could not be read, though it has the route in its cache", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("refused-once.test", a);
    await onlyFrom(stage.router, host, "a");
    const { client } = stage.redis;
    await client.call("ACL", "SETUSER", "default", "-smembers");
    await client.multi().del(`backends:${host}`).sadd(`backends:${host}`, b.at).exec();
    await stage.router.logged(/could not read what has changed/);
    // A name is read once more when it has changed again meanwhile.
    await pass(0.2);
    await client.call("ACL", "SETUSER", "default", "+smembers");
    await onlyFrom(stage.router, host, "b");
  });
});

describe("between the router and Redis", () => {
  const stage = useStage();
  let proxy: Proxy;
  let router: Router;

  before(async () => {
    proxy = await startProxy(stage.redis.port);
    router = await stage.moreRouter({
      environment: {
        ...LONG,
        SWITCHBOARD_REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
        SWITCHBOARD_LOAD_TIMEOUT: "5s",
      },
      workers: 4,
    });
  });
  after(async () => proxy.close());

  it("replies come late: what a load read before a change is never served after it", async () => {
    const [old, fresh] = [await stage.backend("old"), await stage.backend("fresh")];
    await watching(router, "tracking");
    for (let round = 0; round < 6; round += 1) {
      const host = await stage.serve(`late-${round}.test`, old);
      proxy.delay(0.3);
      const before = await callsOf(stage.redis, "smembers");
      const first = router.echo({ host });
      await eventually("Redis has answered the load", async () => {
        assert.notEqual(await callsOf(stage.redis, "smembers"), before);
      });
      // Its reply is on its way for another 0.3 s. The word of the change overtakes it, or comes behind it.
      const overtakes = round % 2 === 0;
      proxy.delay(overtakes ? 0 : 0.3);
      await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, fresh.at).exec();
      const { name } = await first;
      if (overtakes) {
        assert.equal(name, "fresh");
      }
      proxy.delay(0);
      await onlyFrom(router, host, "fresh", 1);
    }
  });

  it("the connection is cut: what changes meanwhile is seen, and nobody waits", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("cut.test", a);
    const load = await underLoad({ port: router.port, host }, async () => {
      for (const next of [b, a, b, a, b]) {
        proxy.cut();
        await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, next.at).exec();
        await onlyFrom(router, host, next.name, 2.5);
      }
    });
    assert.deepEqual(load.failures, []);
  });

  it("a half-open connection is found within five seconds", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("half-open.test", a);
    const load = await underLoad({ port: router.port, host, clients: 2 }, async () => {
      await onlyFrom(router, host, "a");
      proxy.blackHole();
      proxy.pass();
      await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, b.at).exec();
      await onlyFrom(router, host, "b", 6.5);
    });
    assert.deepEqual(load.failures, []);
    await router.logged(/lost the watch of .*nothing heard/);
  });
});

const READ_ONLY =
  "on >secret ~* resetchannels -@all +multi +exec +smembers +zrange +hgetall +exists +ping +select +get";

describe("a Redis user without the right to track", () => {
  const stage = useStage({ redis: { arguments: ["--notify-keyspace-events", "KA"] } });
  const asUser = (user: string): Record<string, string> => ({
    SWITCHBOARD_REDIS_URL: stage.redis.url.replace("redis://", `redis://${user}:secret@`),
  });

  it("is told by keyspace notifications", async () => {
    const rules = `${READ_ONLY} allchannels +psubscribe +config|get`;
    await stage.redis.client.call("ACL", "SETUSER", "notified", ...rules.split(" "));
    const router = await stage.moreRouter({ environment: { ...LONG, ...asUser("notified") } });
    await watching(router, "notifications");
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("notified.test", a);
    await onlyFrom(router, host, "a");
    await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, b.at).exec();
    await onlyFrom(router, host, "b", 0.5);
  });

  it("and without that to any channel reads again every ttl, and says so", async () => {
    await stage.redis.client.call("ACL", "SETUSER", "reader", ...READ_ONLY.split(" "));
    const router = await stage.moreRouter({ environment: { SWITCHBOARD_TTL: "300ms", ...asUser("reader") } });
    await watching(router, "ttl");
    await router.logged(/tells of no changes, routes are read again every ttl: tracking: NOPERM/);
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("unnotified.test", a);
    await onlyFrom(router, host, "a");
    await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, b.at).exec();
    await onlyFrom(router, host, "b", 3);
  });
});
