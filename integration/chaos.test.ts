import { strict as assert } from "node:assert";
import { Agent } from "node:http";
import { after, before, describe, it } from "node:test";
import type { Backend } from "./support/backends.ts";
import { eventually, pass } from "./support/eventually.ts";
import { flood } from "./support/flood.ts";
import { underLoad } from "./support/load.ts";
import { startProxy, type Proxy } from "./support/proxy.ts";
import type { Router } from "./support/router.ts";
import { useStage, type Stage } from "./support/stage.ts";

const WORKERS = 4;
const SAYS_WHO = { workers: WORKERS, server: "add_header X-Worker $pid always;", killed: true };
const WRITES = 10_000;
const HOSTS = Array.from({ length: 200 }, (_, i) => `h${i}.chaos.test`);

/** Numbers that look random and are the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** One kept connection to each worker. */
async function eachWorker(router: Router): Promise<Agent[]> {
  const found = new Map<string, Agent>();
  return eventually("every worker answers", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { headers } = await router.ask({ host: "who.test", agent });
    const worker = String(headers["x-worker"]);
    if (found.has(worker)) {
      agent.destroy();
    }
    found.set(worker, found.get(worker) ?? agent);
    assert.equal(found.size, WORKERS);
    return [...found.values()];
  });
}

/** The last reload is over: those that it replaced have served their last request, and keep nothing from the others. */
async function oldWorkersGone(router: Router): Promise<void> {
  const told = (what: RegExp): number => router.log().filter((line) => what.test(line)).length;
  await eventually("the old workers are gone", () =>
    assert.equal(told(/start worker process \d/) - told(/worker process \d+ exited/), WORKERS),
  );
}

/** What Redis says of each host: the one instance, or nothing. */
async function truth(stage: Stage, names: Map<string, string>): Promise<string[]> {
  const found: string[] = [];
  for (const host of HOSTS) {
    const [member] = await stage.redis.client.smembers(`backends:${host}`);
    found.push(member === undefined ? "nobody" : (names.get(member) ?? member));
  }
  return found;
}

async function served(router: Router, agent: Agent): Promise<string[]> {
  const found: string[] = [];
  for (const host of HOSTS) {
    const { status, headers } = await router.ask({ host, agent });
    found.push(status === 200 ? String(headers["x-backend"]) : status === 404 ? "nobody" : String(status));
  }
  return found;
}

/**
 * Soon each worker serves what stands in Redis. What was lost would be served for another ten minutes; how soon it is on
 * a machine with time to spare, the bench says.
 */
async function allEqual(stage: Stage, backends: Backend[]): Promise<void> {
  const names = new Map(backends.map((backend) => [backend.at, backend.name]));
  const expected = await truth(stage, names);
  assert.notEqual(new Set(expected).size, 1, "there is something to see");
  const agents = await eachWorker(stage.router);
  for (const agent of agents) {
    await eventually(
      "this worker serves what stands in Redis",
      async () => assert.deepEqual(await served(stage.router, agent), expected),
      5,
    );
    agent.destroy();
  }
}

/** So many writes in bursts, while the hosts are asked for. */
async function writeAndAsk(stage: Stage, backends: Backend[], seed: number, writes: number): Promise<void> {
  const roll = dice(seed);
  let writing = true;
  const asking = (async () => {
    const agents = Array.from({ length: 8 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    const ask = dice(seed + 1);
    await Promise.all(
      agents.map(async (agent) => {
        while (writing) {
          await stage.router.ask({ host: HOSTS[ask(HOSTS.length)]!, agent }).catch(() => undefined);
        }
        agent.destroy();
      }),
    );
  })();
  for (let written = 0; written < writes; written += 50) {
    const burst = Array.from({ length: 50 }, async () => {
      const key = `backends:${HOSTS[roll(HOSTS.length)]!}`;
      const backend = backends[roll(backends.length + 1)];
      await (backend === undefined
        ? stage.redis.client.del(key)
        : stage.redis.client.multi().del(key).sadd(key, backend.at).exec());
    });
    await Promise.all(burst);
    await pass(0.01);
  }
  writing = false;
  await asking;
}

const LONG = { SWITCHBOARD_TTL: "600s" };

/** It writes down each change at once: one that is killed has lost nothing. */
const DURABLE = { arguments: ["--appendonly", "yes", "--appendfsync", "always"] };

/** What was in flight on a worker that ended is lost with it; no answer of a living one is a failure. */
function answersAmong(failures: string[]): string[] {
  return failures.filter((failure) => /^\d{3} /.test(failure));
}

describe("while ten thousand changes are written", () => {
  const stage = useStage({ environment: LONG, ...SAYS_WHO, redis: DURABLE });
  /** Three backends, and hosts of the first that are known: of a few, more than half may be gone at once, and are held then. */
  const prepare = async (name: string): Promise<{ backends: Backend[]; host: string }> => {
    const first = await stage.backend("a");
    const backends = [first, await stage.backend("b"), await stage.backend("c")];
    for (const host of [name, ...HOSTS]) {
      await stage.redis.client.del(`backends:${host}`);
      await stage.serve(host, first);
      await eventually(`${host} is known`, async () => stage.router.echo({ host }));
    }
    return { backends, host: name };
  };

  it("and Redis is killed and restarted five times, no request fails and no change is lost", async () => {
    const { backends, host } = await prepare("steady.test");
    const load = await underLoad({ port: stage.router.port, host, clients: 2 }, async () => {
      const writing = writeAndAsk(stage, backends, 1, WRITES);
      for (let i = 0; i < 5; i += 1) {
        await pass(0.3);
        await (i % 2 === 0 ? stage.redis.kill() : stage.redis.stop());
        await pass(0.2);
        await stage.redis.start();
      }
      await writing;
    });
    assert.deepEqual(load.failures, []);
    await allEqual(stage, backends);
  });

  it("and nginx is reloaded while Redis is away and as it comes back, no change is lost", async () => {
    const { backends, host } = await prepare("reloaded.test");
    const load = await underLoad({ port: stage.router.port, host, clients: 2 }, async () => {
      const writing = writeAndAsk(stage, backends, 4, 2000);
      for (let i = 0; i < 2; i += 1) {
        await stage.redis.kill();
        await stage.router.signal("HUP");
        await pass(0.5);
        await Promise.all([stage.redis.start(), stage.router.signal("HUP")]);
        await pass(0.5);
      }
      await writing;
    });
    assert.deepEqual(answersAmong(load.failures), []);
    await oldWorkersGone(stage.router);
    await allEqual(stage, backends);
  });

  it("and the watching worker is killed five times and nginx reloaded, no change is lost", async () => {
    const { backends, host } = await prepare("steadier.test");
    const watchers = (): string[] =>
      stage.router.log().flatMap((line) => /\] (\d+)#\d+: .*watching .* by tracking/.exec(line)?.[1] ?? []);
    const load = await underLoad({ port: stage.router.port, host, clients: 2 }, async () => {
      const writing = writeAndAsk(stage, backends, 2, WRITES);
      for (let i = 0; i < 5; i += 1) {
        const before = watchers();
        await stage.router.exec(["sh", "-c", `kill -9 ${before.at(-1)}`]);
        await eventually("another worker watches", () => assert.notEqual(watchers().length, before.length));
        await stage.router.signal("HUP");
        await pass(0.5);
      }
      await writing;
    });
    assert.deepEqual(answersAmong(load.failures), []);
    await oldWorkersGone(stage.router);
    await allEqual(stage, backends);
  });

  it("and Redis stands still for a while, no request fails and no change is lost", async () => {
    const { backends, host } = await prepare("frozen.test");
    const load = await underLoad({ port: stage.router.port, host, clients: 2 }, async () => {
      const writing = writeAndAsk(stage, backends, 3, 2000);
      await pass(0.2);
      await stage.redis.pause();
      await pass(4);
      await stage.redis.resume();
      await writing;
    });
    assert.deepEqual(load.failures, []);
    await eventually("the watch is back", async () => {
      assert.equal((await stage.router.metrics()).get('switchboard_watch{mode="tracking"}'), 1);
    });
    await allEqual(stage, backends);
  });
});

describe("while the way to Redis is bad", () => {
  const stage = useStage();
  let proxy: Proxy;
  let router: Router;

  before(async () => {
    proxy = await startProxy(stage.redis.port);
    router = await stage.moreRouter({
      environment: {
        SWITCHBOARD_REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
        SWITCHBOARD_TTL: "1s",
      },
    });
  });
  after(async () => proxy.close());

  it("no request for a known host fails, and what changed is seen when it is good again", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("known.bad-way.test", a);
    await router.echo({ host });
    const load = await underLoad({ port: router.port, host, clients: 4 }, async (running) => {
      proxy.blackHole();
      await pass(4);
      proxy.pass();
      proxy.delay(2);
      await pass(4);
      proxy.cut();
      await pass(1);
      await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, b.at).exec();
      proxy.pass();
      await eventually("the change is seen", () => assert.notEqual(running.byBackend.get("b") ?? 0, 0));
    });
    assert.deepEqual(load.failures, []);
  });
});

describe("a flood of a hundred thousand made-up hosts", () => {
  const stage = useStage({
    environment: { ...LONG, SWITCHBOARD_PRELOAD: "on" },
    http: "keepalive_requests 1000000;",
  });

  it("asks Redis nothing where all routes were preloaded, and evicts no route", async () => {
    const a = await stage.backend("a");
    const hosts = await Promise.all(HOSTS.map(async (host) => stage.serve(host, a)));
    for (const host of hosts) {
      await eventually(`${host} is known`, async () => stage.router.echo({ host }));
    }
    await eventually("all routes were read", async () =>
      assert.equal((await stage.router.metrics()).get("switchboard_routes_complete"), 1),
    );
    const execs = async (): Promise<number> =>
      Number(/cmdstat_exec:calls=(\d+)/.exec(await stage.redis.client.info("commandstats"))?.[1] ?? 0);
    const before = await execs();

    const load = await underLoad({ port: stage.router.port, host: hosts[0]!, clients: 2 }, async () => {
      assert.equal(await flood(stage.router.port, 100_000, (i) => `made-up-${i}.flood.test`), 100_000);
    });

    assert.deepEqual(load.failures, []);
    for (const host of hosts) {
      await stage.router.echo({ host });
    }
    assert.equal((await execs()) - before, 0);
    assert.equal((await stage.router.metrics()).get("switchboard_routes"), HOSTS.length);
  });
});
