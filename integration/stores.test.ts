import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { eventually, pass } from "./support/eventually.ts";
import { startRaw } from "./support/backends.ts";
import { askTimes, tally, useStage, type Stage } from "./support/stage.ts";

/** So long that nothing here is seen because of it. */
const LONG = { SWITCHBOARD_TTL: "600s", SWITCHBOARD_EMPTY_HOLD: "0" };

async function onlyFrom(stage: Stage, host: string, name: string): Promise<void> {
  await eventually(`${host} is served by ${name} alone`, async () => {
    assert.deepEqual(tally(await askTimes(stage.router, host, 8)), { [name]: 8 });
  });
}

for (const server of ["Redis 7", "Redis 8", "Valkey 8"] as const) {
  describe(`with ${server}`, () => {
    const stage = useStage({
      redis: { server },
      environment: { ...LONG, SWITCHBOARD_SCHEMA: "native,hipache" },
    });

    it("is what its name says", async () => {
      const info = await stage.redis.client.info("server");
      const [name, version] = server.split(" ");
      const field = name === "Valkey" ? "valkey_version" : "redis_version";
      assert.match(info, new RegExp(`${field}:${version}\\.`));
    });

    it("changes are heard: of sets, sorted sets, options and pools, written at once or in a transaction", async () => {
      await eventually("it is watched", async () => {
        assert.equal((await stage.router.metrics()).get('switchboard_watch{mode="tracking"}'), 1);
      });
      const [a, b] = [await stage.backend("a"), await stage.backend("b")];
      const { client } = stage.redis;
      await stage.serve("app.test", a);
      await stage.serve("@pool", b);
      await onlyFrom(stage, "app.test", "a");
      await client.multi().del("backends:app.test").sadd("backends:app.test", b.at).exec();
      await onlyFrom(stage, "app.test", "b");
      await client.multi().del("backends:app.test").zadd("backends:app.test", 4e9, a.at).exec();
      await onlyFrom(stage, "app.test", "a");
      await client.hset("route:app.test", "pool", "@pool");
      await onlyFrom(stage, "app.test", "b");
      await client.hdel("route:app.test", "pool");
      await onlyFrom(stage, "app.test", "a");
    });

    it("a key that expires is gone, and one that is renamed is found", async () => {
      const a = await stage.backend("a");
      const { client } = stage.redis;
      await stage.serve("short-lived.test", a);
      await onlyFrom(stage, "short-lived.test", "a");
      await client.pexpire("backends:short-lived.test", 100);
      await eventually("it is unknown", async () => {
        assert.equal((await stage.router.ask({ host: "short-lived.test" })).status, 404);
      });
      await stage.serve("former.test", a);
      assert.equal((await stage.router.ask({ host: "latter.test" })).status, 404);
      await client.rename("backends:former.test", "backends:latter.test");
      await onlyFrom(stage, "latter.test", "a");
    });

    it("a dead backend of hipache's layout is marked in the list", async () => {
      const a = await stage.backend("a");
      const dead = await startRaw("dead", (socket) => socket.destroy());
      await dead.close();
      const { client } = stage.redis;
      await client.rpush("frontend:marked.test", "app", `http://${dead.at}`, `http://${a.at}`);
      await eventually("it is marked", async () => {
        await stage.router.echo({ host: "marked.test" });
        assert.deepEqual(await client.smembers("dead:marked.test"), ["0"]);
      });
    });

    it("a flush is held, until it is said that it was meant", async () => {
      const a = await stage.backend("a");
      await stage.serve("kept.test", a);
      await onlyFrom(stage, "kept.test", "a");
      const held = async (): Promise<number> =>
        (await stage.router.metrics()).get("switchboard_routes_held") ?? 0;
      // Without empty_hold a route that is read in the very moment of a flush is believed to be gone.
      const heard = async (): Promise<number> =>
        (await stage.router.metrics()).get("switchboard_watch_changes_total") ?? 0;
      await eventually("what was written has been read", async () => {
        const before = await heard();
        await pass(0.3);
        assert.equal(await heard(), before);
      });
      await stage.redis.client.flushall();
      await eventually("routes are held", async () => assert.notEqual(await held(), 0));
      assert.equal((await stage.router.echo({ host: "kept.test" })).name, "a");
      await stage.redis.client.set("switchboard:wiped", Math.floor(Date.now() / 1000));
      await eventually("they are let go", async () => assert.equal(await held(), 0));
      await eventually("it is unknown", async () => {
        assert.equal((await stage.router.ask({ host: "kept.test" })).status, 404);
      });
    });
  });
}
