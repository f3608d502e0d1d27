import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "./support/eventually.ts";
import { underLoad, type Load } from "./support/load.ts";
import { useStage } from "./support/stage.ts";

/** Waits until the load has seen so many more answers, and returns how many each backend gave. */
async function next(load: Load, answers: number): Promise<Map<string, number>> {
  const before = new Map(load.byBackend);
  const goal = load.total + answers;
  await eventually(`${answers} more answers`, () => assert.ok(load.total >= goal));
  const since = new Map<string, number>();
  for (const [name, count] of load.byBackend) {
    const more = count - (before.get(name) ?? 0);
    if (more > 0) {
      since.set(name, more);
    }
  }
  return since;
}

/** Waits until exactly these backends answer. */
async function onlyFrom(load: Load, ...names: string[]): Promise<void> {
  await eventually(`answers come from ${names.join(", ")} only`, async () => {
    assert.deepEqual([...(await next(load, 100)).keys()].sort(), names);
  });
}

describe("while requests come in", () => {
  const stage = useStage({
    environment: { SWITCHBOARD_TTL: "100ms", SWITCHBOARD_STALE_WHILE_REFRESH: "100ms" },
  });

  it("an instance is added, and one is removed and then stops, without a failed request", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("scaled.test", a);

    const load = await underLoad({ port: stage.router.port, host }, async (running) => {
      await onlyFrom(running, "a");
      await stage.redis.client.sadd("backends:scaled.test", b.at);
      await onlyFrom(running, "a", "b");
      await stage.redis.client.srem("backends:scaled.test", a.at);
      await onlyFrom(running, "b");
      await a.close();
      await next(running, 200);
    });

    assert.deepEqual(load.failures, []);
  });

  it("all instances are replaced one by one without a failed request", async () => {
    const old = [await stage.backend("old-1"), await stage.backend("old-2"), await stage.backend("old-3")];
    const host = await stage.serve("rolled.test", ...old);

    const load = await underLoad(
      { port: stage.router.port, host, method: "POST", body: "x" },
      async (running) => {
        for (const [i, leaving] of old.entries()) {
          const coming = await stage.backend(`new-${i + 1}`);
          await stage.redis.client
            .multi()
            .sadd("backends:rolled.test", coming.at)
            .srem("backends:rolled.test", leaving.at)
            .exec();
          await eventually(`${leaving.name} is left alone`, async () => {
            const since = await next(running, 50);
            assert.ok(!since.has(leaving.name) && since.has(coming.name));
          });
          await leaving.close();
        }
        await onlyFrom(running, "new-1", "new-2", "new-3");
      },
    );

    assert.deepEqual(load.failures, []);
  });

  it("one HSET changes a weight, another drains", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("tuned.test", a, b);

    const load = await underLoad({ port: stage.router.port, host }, async (running) => {
      await stage.redis.client.hset("instances:tuned.test", a.at, "weight=4");
      await eventually("a gets four of five", async () => {
        const since = await next(running, 200);
        const share = (since.get("a") ?? 0) / ((since.get("a") ?? 0) + (since.get("b") ?? 0));
        assert.ok(Math.abs(share - 0.8) < 0.04, `a got ${share}`);
      });
      await stage.redis.client.hset("instances:tuned.test", a.at, "weight=4&drain=1");
      await onlyFrom(running, "b");
      await stage.redis.client.del("instances:tuned.test");
      await onlyFrom(running, "a", "b");
    });

    assert.deepEqual(load.failures, []);
  });

  it("one HSET of pool moves a domain from blue to green and back", async () => {
    const [blue, green] = [await stage.backend("blue"), await stage.backend("green")];
    await stage.serve("@blue", blue);
    await stage.serve("@green", green);
    await stage.redis.client.hset("route:moved.test", "pool", "@blue");

    const load = await underLoad({ port: stage.router.port, host: "moved.test" }, async (running) => {
      await onlyFrom(running, "blue");
      await stage.redis.client.hset("route:moved.test", "pool", "@green");
      await onlyFrom(running, "green");
      await stage.redis.client.hset("route:moved.test", "pool", "@blue");
      await onlyFrom(running, "blue");
    });

    assert.deepEqual(load.failures, []);
  });

  it("a set becomes a sorted set, and a set again", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("retyped.test", a);
    const later = Math.floor(Date.now() / 1000) + 3600;

    const load = await underLoad({ port: stage.router.port, host }, async (running) => {
      await onlyFrom(running, "a");
      await stage.redis.client
        .multi()
        .del("backends:retyped.test")
        .zadd("backends:retyped.test", later, b.at)
        .exec();
      await onlyFrom(running, "b");
      await stage.redis.client
        .multi()
        .del("backends:retyped.test")
        .sadd("backends:retyped.test", a.at)
        .exec();
      await onlyFrom(running, "a");
    });

    assert.deepEqual(load.failures, []);
  });

  it("a set that stays deleted is believed", async () => {
    const a = await stage.backend("a");
    const host = await stage.serve("gone.test", a);
    await stage.router.echo({ host });

    await stage.redis.client.del("backends:gone.test");

    await eventually("the domain is unknown", async () => {
      assert.equal((await stage.router.ask({ host })).headers["x-switchboard-error"], "unknown_route");
    });
  });

  it("a domain that becomes known leaves the wildcard, and returns to it", async () => {
    const [own, wild] = [await stage.backend("own"), await stage.backend("wild")];
    await stage.serve("*.claimed.test", wild);

    const load = await underLoad({ port: stage.router.port, host: "app.claimed.test" }, async (running) => {
      await onlyFrom(running, "wild");
      await stage.serve("app.claimed.test", own);
      await onlyFrom(running, "own");
      await stage.redis.client.del("backends:app.claimed.test");
      await onlyFrom(running, "wild");
    });

    assert.deepEqual(load.failures, []);
  });
});

describe("a wildcard that is taken away", () => {
  const stage = useStage({ environment: { SWITCHBOARD_TTL: "1s", SWITCHBOARD_EMPTY_HOLD: "0" } });

  it("leaves to a wider one also a host that was matched to it just before", async () => {
    const [closer, wider] = [await stage.backend("closer"), await stage.backend("wider")];
    await stage.serve("*.deep.taken.test", closer);
    await stage.serve("*.taken.test", wider);
    await stage.router.echo({ host: "early.deep.taken.test" });
    // The wildcard is read again half a second before the match of the late host is.
    await pause(500);

    const load = await underLoad(
      { port: stage.router.port, host: "late.deep.taken.test" },
      async (running) => {
        await onlyFrom(running, "closer");
        await stage.redis.client.del("backends:*.deep.taken.test");
        await onlyFrom(running, "wider");
      },
    );

    assert.deepEqual(load.failures, []);
  });
});

describe("while many workers serve", () => {
  const stage = useStage({
    workers: 8,
    environment: { SWITCHBOARD_TTL: "100ms", SWITCHBOARD_STALE_WHILE_REFRESH: "100ms" },
  });

  // With many workers one that refreshes right after another must not take the emptiness for confirmed.
  it("a set that is deleted and written again 100 ms later costs nothing", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("torn.test", a);

    const load = await underLoad({ port: stage.router.port, host, clients: 24 }, async (running) => {
      await onlyFrom(running, "a");
      for (const next of [b, a, b, a, b, a, b, a]) {
        await stage.redis.client.del("backends:torn.test");
        await new Promise((resolve) => setTimeout(resolve, 100));
        await stage.redis.client.sadd("backends:torn.test", next.at);
        await onlyFrom(running, next.name);
      }
    });

    assert.deepEqual(load.failures, []);
  });
});
