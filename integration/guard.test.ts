import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import type { Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import { startProxy } from "./support/proxy.ts";
import { useStage, type Stage } from "./support/stage.ts";

const ENVIRONMENT = { SWITCHBOARD_TTL: "600s", SWITCHBOARD_EMPTY_HOLD: "0" };

const hostsOf = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `h${i}.${what}.test`);

async function serveAll(stage: Stage, hosts: string[], backend: Backend): Promise<void> {
  for (const host of hosts) {
    await stage.serve(host, backend);
    await stage.router.echo({ host });
  }
}

async function held(stage: Stage, count: number): Promise<void> {
  await eventually(`${count} routes are held`, async () => {
    assert.equal((await stage.router.metrics()).get("switchboard_routes_held"), count);
  });
}

/** What Redis does not have any more, and the router serves no more either. */
async function allGone(stage: Stage, hosts: string[]): Promise<void> {
  for (const host of hosts) {
    await eventually(`${host} is unknown`, async () => {
      assert.equal((await stage.router.ask({ host })).status, 404);
    });
  }
}

describe("when Redis is flushed", () => {
  const stage = useStage({ environment: ENVIRONMENT, workers: 4 });

  it("all is held and served, and what comes back is believed", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const hosts = hostsOf("flushed", 40);
    await serveAll(stage, hosts, a);
    const load = await underLoad({ port: stage.router.port, host: hosts[0]! }, async (running) => {
      await stage.redis.client.flushall();
      await held(stage, 40);
      for (const host of hosts) {
        assert.equal((await stage.router.echo({ host })).name, "a");
      }
      assert.match(
        (await stage.router.health("/readyz")).body,
        /^ready\ndegraded: 40 of 40 routes are gone from Redis at once and are held/,
      );
      await stage.router.logged(/40 of 40 routes are gone from Redis at once: they are held/);

      // The platform writes again what it knows: all but a few.
      await Promise.all(hosts.slice(0, 35).map(async (host) => stage.serve(host, b)));
      await eventually("what came back is served", () => {
        assert.notEqual(running.byBackend.get("b") ?? 0, 0);
      });
      await held(stage, 0);
    });
    assert.deepEqual(load.failures, []);
    await allGone(stage, hosts.slice(35));
    for (const host of hosts.slice(0, 35)) {
      assert.equal((await stage.router.echo({ host })).name, "b");
    }
  });

  it("and it was meant, every node hears of that in Redis", async () => {
    const second = await stage.moreRouter({ environment: ENVIRONMENT });
    const nodes = [stage, { ...stage, router: second }];
    const hosts = hostsOf("wiped", 20);
    for (const node of nodes) {
      await serveAll(node, hosts, await stage.backend("a"));
    }
    await stage.redis.client.flushall();
    for (const node of nodes) {
      await eventually("routes are held", async () => {
        assert.notEqual((await node.router.metrics()).get("switchboard_routes_held"), 0);
      });
    }
    await stage.redis.client.set("switchboard:wiped", Math.floor(Date.now() / 1000));
    for (const node of nodes) {
      await held(node, 0);
      await allGone(node, hosts);
    }
  });

  it("and an earlier wipe was meant, this one is none the less held", async () => {
    const hosts = hostsOf("wiped-again", 10);
    await serveAll(stage, hosts, await stage.backend("a"));
    await stage.redis.client
      .multi()
      .flushall()
      .set("switchboard:wiped", Math.floor(Date.now() / 1000) - 3600)
      .exec();
    await held(stage, 10);
    await stage.redis.client.set("switchboard:wiped", Math.floor(Date.now() / 1000));
    await held(stage, 0);
    await allGone(stage, hosts);
  });
});

describe("routes that go", () => {
  const stage = useStage({ environment: { ...ENVIRONMENT, SWITCHBOARD_GUARD_HOLD: "2s" } });

  it("one by one while Redis is watched are believed gone at once", async () => {
    const hosts = hostsOf("removed", 10);
    await serveAll(stage, hosts, await stage.backend("a"));
    for (const host of hosts) {
      await stage.redis.client.del(`backends:${host}`);
      await eventually(
        `${host} is unknown`,
        async () => assert.equal((await stage.router.ask({ host })).status, 404),
        1,
      );
    }
    assert.equal((await stage.router.metrics()).get("switchboard_routes_held"), 0);
  });

  it("with a restart of Redis that lost its data are held, for guard_hold", async () => {
    const hosts = hostsOf("lost", 10);
    await serveAll(stage, hosts, await stage.backend("a"));
    const load = await underLoad({ port: stage.router.port, host: hosts[0]!, clients: 2 }, async () => {
      await stage.redis.client.config("SET", "save", "");
      await stage.redis.client.flushall();
      await stage.redis.stop();
      await stage.redis.start();
      await held(stage, 10);
    });
    assert.deepEqual(load.failures, []);
    await held(stage, 0);
    await allGone(stage, hosts);
  });

  it("with a restart of Redis that kept its data do not go", async () => {
    const hosts = hostsOf("kept", 10);
    await serveAll(stage, hosts, await stage.backend("a"));
    await stage.redis.client.save();
    const connects = (await stage.router.metrics()).get("switchboard_watch_connects_total") ?? 0;
    await stage.redis.stop();
    await stage.redis.start();
    await eventually("it is watched again", async () => {
      assert.notEqual((await stage.router.metrics()).get("switchboard_watch_connects_total"), connects);
    });
    for (const host of hosts) {
      await stage.router.echo({ host });
    }
    assert.equal((await stage.router.metrics()).get("switchboard_routes_held"), 0);
  });
});

describe("with preload", () => {
  const stage = useStage({ workers: 1 });

  it("all routes are read at the start, and unknown hosts are answered without a question", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const pipeline = stage.redis.client.pipeline();
    for (let i = 0; i < 3000; i += 1) {
      pipeline.sadd(`backends:p${i}.preloaded.test`, a.at);
    }
    await pipeline.exec();
    await stage.serve("*.wild.preloaded.test", a);
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_PRELOAD: "on", SWITCHBOARD_TTL: "600s" },
    });
    await eventually("all is read", async () => {
      assert.equal((await router.metrics()).get("switchboard_routes_complete"), 1);
    });
    const execs = async (): Promise<number> =>
      Number(/cmdstat_exec:calls=(\d+)/.exec(await stage.redis.client.info("commandstats"))?.[1] ?? 0);
    // The look of the other router at Redis makes none; nor may these.
    const before = await execs();
    for (let i = 0; i < 200; i += 1) {
      assert.equal((await router.ask({ host: `made-up-${i}.test` })).status, 404);
      assert.equal((await router.echo({ host: `p${i}.preloaded.test` })).name, "a");
      assert.equal((await router.echo({ host: `x${i}.wild.preloaded.test` })).name, "a");
    }
    assert.equal(await execs(), before);

    assert.equal((await router.ask({ host: "written-later.test" })).status, 404);
    await stage.serve("written-later.test", b);
    await eventually("it is known", async () => router.echo({ host: "written-later.test" }), 1);
    await stage.serve("x1.wild.preloaded.test", b);
    await eventually(
      "it left the wildcard",
      async () => assert.equal((await router.echo({ host: "x1.wild.preloaded.test" })).name, "b"),
      1,
    );
  });

  it("a name whose reply is too large keeps nobody else from being read, or from being believed gone", async () => {
    const a = await stage.backend("a");
    const hosts = hostsOf("fat", 20);
    await Promise.all(["grown.fat.test", ...hosts].map(async (host) => stage.serve(host, a)));
    const fatten = async (host: string): Promise<void> => {
      for (let i = 0; i < 90; i += 1) {
        await stage.redis.client.sadd(`backends:${host}`, `${i}`.padEnd(60_000, "x"));
      }
    };
    await fatten("born.fat.test");
    const proxy = await startProxy(stage.redis.port);
    const router = await stage.moreRouter({
      environment: {
        SWITCHBOARD_REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
        SWITCHBOARD_PRELOAD: "on",
        SWITCHBOARD_TTL: "600s",
        SWITCHBOARD_EMPTY_HOLD: "0",
      },
    });
    await router.logged(/not all routes are preloaded: .*born\.fat\.test.*its reply is too large/);
    const known = async (): Promise<number> => (await router.metrics()).get("switchboard_routes") ?? 0;
    await eventually("all others are known", async () => assert.ok((await known()) >= 21));
    await router.echo({ host: "grown.fat.test" });

    proxy.cut();
    await fatten("grown.fat.test");
    await stage.redis.client.del(`backends:${hosts[0]!}`);
    proxy.pass();
    await eventually("what is gone is unknown", async () => {
      assert.equal((await router.ask({ host: hosts[0]! })).status, 404);
    });
    assert.equal((await router.echo({ host: "grown.fat.test" })).name, "a");
    await proxy.close();
  });
});
