import { strict as assert } from "node:assert";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import { eventually, pass } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import { startRedis, type RedisServer } from "./support/redis-server.ts";
import type { Router } from "./support/router.ts";
import { MASTER, startSentinels, type Sentinel } from "./support/sentinels.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

/** So long that nothing here is seen because of it. */
const LONG = { SWITCHBOARD_TTL: "600s" };
const HOSTS = Array.from({ length: 50 }, (_, i) => `h${i}.sentinel.test`);

/** Every worker's answer, by asking often enough on connections of their own. */
async function onlyFrom(router: Router, host: string, name: string, seconds = 3): Promise<void> {
  await eventually(
    `${host} is served by ${name} alone`,
    async () => assert.deepEqual(tally(await askTimes(router, host, 12)), { [name]: 12 }),
    seconds,
  );
}

describe("a master that sentinels guard", () => {
  const stage = useStage();
  let servers: RedisServer[] = [];
  let sentinels: Sentinel[] = [];
  let router: Router;

  /** The server on a port. */
  const on = (port: number): RedisServer => servers.find((server) => server.port === port)!;
  const master = async (): Promise<RedisServer> => on(await sentinels[0]!.master());
  const rewrite = async (client: Redis, host: string, at: string): Promise<unknown> =>
    client.multi().del(`backends:${host}`).sadd(`backends:${host}`, at).exec();
  /** Another server than before is the master, by the word of all sentinels. */
  const moved = async (before: RedisServer): Promise<RedisServer> =>
    eventually(
      "the master has moved",
      async () => {
        const ports = await Promise.all(sentinels.map(async (sentinel) => sentinel.master()));
        assert.ok(ports.every((port) => port === ports[0] && port !== before.port));
        return on(ports[0]!);
      },
      30,
    );

  before(async () => {
    const first = await startRedis();
    const replica = ["--replicaof", "127.0.0.1", String(first.port), "--replica-priority", "1"];
    servers = [first, await startRedis({ arguments: replica }), await startRedis({ arguments: replica })];
    sentinels = await startSentinels({ master: first.port }, 2);
    router = await stage.moreRouter({
      workers: 4,
      environment: {
        ...LONG,
        SWITCHBOARD_REDIS_URL: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/${MASTER}`,
      },
    });
  });
  after(async () => {
    await Promise.all([...sentinels, ...servers].map(async (each) => each.close()));
  });

  it("dies under load: no request fails, and what is written to its successor is served", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const old = await master();
    for (const host of HOSTS) {
      await old.client.sadd(`backends:${host}`, a.at);
      await router.echo({ host });
    }
    await old.client.wait(2, 5000);
    const host = HOSTS[0]!;
    const load = await underLoad({ port: router.port, host, clients: 4 }, async () => {
      await old.signal("KILL");
      const successor = await moved(old);
      await rewrite(successor.client, host, b.at);
      await onlyFrom(router, host, "b", 10);
      // Not only because of the reconnect: what comes later is heard too.
      for (const next of [a, b]) {
        await rewrite(successor.client, host, next.at);
        await onlyFrom(router, host, next.name, 1);
      }
      await router.logged(new RegExp(`event=store_moved .*127\\.0\\.0\\.1:${successor.port}`));
    });
    assert.deepEqual(load.failures, []);
    for (const each of HOSTS.slice(1)) {
      assert.equal((await router.echo({ host: each })).name, "a");
    }
    assert.equal((await router.metrics()).get("switchboard_routes_held"), 0);
    await old.start();
  });

  it("is moved while it lives: the router follows at once", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = "moved.sentinel.test";
    const old = await master();
    await old.client.sadd(`backends:${host}`, a.at);
    await onlyFrom(router, host, "a");
    const load = await underLoad({ port: router.port, host, clients: 2 }, async () => {
      await eventually("a fail-over begins", async () =>
        sentinels[0]!.client.call("SENTINEL", "FAILOVER", MASTER),
      );
      const successor = await moved(old);
      await rewrite(successor.client, host, b.at);
      await onlyFrom(router, host, "b", 10);
    });
    assert.deepEqual(load.failures, []);
  });

  it("is watched on while one sentinel after the other dies", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = "unguarded.sentinel.test";
    const { client } = await master();
    await client.sadd(`backends:${host}`, a.at);
    await onlyFrom(router, host, "a");
    const watches = (): number => router.log().filter((line) => line.includes("watching redis://")).length;
    const before = watches();
    for (const sentinel of sentinels) {
      await sentinel.signal("KILL");
    }
    await pass(2.5);
    await rewrite(client, host, b.at);
    await onlyFrom(router, host, "b", 1);
    assert.equal(watches(), before);
  });
});
