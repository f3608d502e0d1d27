import { strict as assert } from "node:assert";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import type { Router, RouterOptions } from "./support/router.ts";
import { useStage } from "./support/stage.ts";

/** Workers are nobody. */
const folder = mkdtempSync(join(tmpdir(), "switchboard-snapshots-"));
chmodSync(folder, 0o777);

const HERE = "/snapshots";
const OF_STAGE = `${HERE}/routes`;

/** A router that keeps its snapshot in a file of the folder. */
const keeping = (file: string, more: RouterOptions = {}): RouterOptions => ({
  ...more,
  folders: { [HERE]: folder },
  // Hundreds of names are asked for at once, on a machine that may be busy.
  environment: { SWITCHBOARD_SNAPSHOT: file, SWITCHBOARD_LOAD_TIMEOUT: "5s", ...more.environment },
});

async function run(router: Router, script: string): Promise<string> {
  const { output, exitCode } = await router.exec(["sh", "-c", script]);
  assert.equal(exitCode, 0, output);
  return output;
}

/** How many records the file has. */
async function recordsIn(router: Router, file: string): Promise<number> {
  const head = await run(router, `head -n 1 ${file}`);
  return Number(/^switchboard-routes 2 [0-9a-f]{8} (\d{10}) /.exec(head)?.[1]);
}

async function written(router: Router, file: string, records: number): Promise<void> {
  await eventually(
    `${records} routes are in the snapshot`,
    async () => assert.equal(await recordsIn(router, file), records),
    20,
  );
}

const workersOf = async (router: Router): Promise<string[]> =>
  (await run(router, "cat /proc/$(cat /tmp/nginx.pid)/task/*/children")).trim().split(" ");

/** Waits until all workers are others, and the health pages answer. On a busy machine that takes its time. */
async function otherWorkers(router: Router, before: string[]): Promise<void> {
  const exchanged = async (): Promise<void> => {
    const now = await workersOf(router);
    assert.equal(now.length, before.length);
    assert.ok(now.every((pid) => !before.includes(pid)));
    assert.equal((await router.health("/readyz")).status, 200);
  };
  await eventually("the workers are others", exchanged, 60);
}

const lines = (router: Router, pattern: RegExp): string[] =>
  router.log().filter((line) => pattern.test(line));

describe("a router that starts without Redis", () => {
  const stage = useStage(keeping(OF_STAGE));
  after(() => rmSync(folder, { recursive: true, force: true }));
  // A story that failed must not keep the others waiting.
  afterEach(async () => stage.redis.start().catch(() => undefined));
  const hosts = Array.from({ length: 100 }, (_, i) => `h${i}.kept.test`);

  const serveAll = async (): Promise<void> => {
    const a = await stage.backend("a");
    await Promise.all(hosts.map(async (host) => stage.serve(host, a)));
    await Promise.all(hosts.map(async (host) => stage.router.echo({ host })));
    await written(stage.router, OF_STAGE, hosts.length);
  };

  it("serves from its snapshot from the first request on, and from Redis when that is there", async () => {
    await serveAll();
    assert.equal((await run(stage.router, `stat -c %a ${OF_STAGE}`)).trim(), "600");
    const metrics = await stage.router.metrics();
    assert.ok((metrics.get("switchboard_snapshot_size_bytes") ?? 0) > 1000);
    assert.ok((metrics.get("switchboard_snapshot_age_seconds") ?? 100) < 60);
    assert.equal(metrics.get("switchboard_snapshot_failed"), 0);
    // Writing it in slices, and the pages of metrics in pieces, costs no line.
    assert.deepEqual(lines(stage.router, /ngx.sleep\(0\)/), []);
    await run(stage.router, `cp -p ${OF_STAGE} ${HERE}/cold`);
    await stage.redis.stop();

    const cold = await stage.moreRouter(keeping(`${HERE}/cold`, { workers: 4, killed: true }));
    for (const host of hosts) {
      assert.equal((await cold.echo({ host })).name, "a");
    }
    const ready = await cold.health("/readyz");
    assert.equal(ready.status, 200);
    assert.match(ready.body, /^degraded: snapshot: 100 routes are those of the snapshot/m);
    assert.equal((await cold.metrics()).get("switchboard_snapshot_served"), 100);
    assert.equal(lines(cold, /event=snapshot_loaded msg=100 routes from the snapshot/).length, 1);
    const unknown = await cold.ask({ host: "never-asked.test" });
    assert.equal(unknown.headers["x-switchboard-error"], "store_unreachable");

    // Neither a reload nor killed workers lose anything.
    let before = await workersOf(cold);
    await cold.signal("HUP");
    await otherWorkers(cold, before);
    before = await workersOf(cold);
    await run(cold, `kill -9 ${before.join(" ")}`);
    await otherWorkers(cold, before);
    for (const host of hosts) {
      assert.equal((await cold.echo({ host })).name, "a");
    }
    assert.equal(lines(cold, /event=snapshot_loaded/).length, 1);

    const b = await stage.backend("b");
    const load = await underLoad({ port: cold.port, host: hosts[1]!, clients: 2 }, async (running) => {
      await stage.redis.start();
      await stage.redis.client
        .multi()
        .del(`backends:${hosts[1]!}`)
        .sadd(`backends:${hosts[1]!}`, b.at)
        .del(`backends:${hosts[2]!}`)
        .exec();
      await eventually("what Redis says is served", () => assert.ok((running.byBackend.get("b") ?? 0) > 0));
    });
    assert.deepEqual(load.failures, []);
    await eventually("all come from Redis", async () => {
      assert.equal((await cold.health("/readyz")).body, "ready\n");
    });
    await eventually("what is gone is gone", async () => {
      assert.equal((await cold.ask({ host: hosts[2]! })).status, 404);
    });
    await written(cold, `${HERE}/cold`, hosts.length - 1);
  });

  it("and finds Redis emptied, holds what the snapshot has", async () => {
    await serveAll();
    await run(stage.router, `cp -p ${OF_STAGE} ${HERE}/emptied`);
    await stage.redis.stop();
    const cold = await stage.moreRouter(keeping(`${HERE}/emptied`));
    await stage.redis.start();
    // The other router's routes are those that are gone, too.
    await stage.redis.client.flushall();
    await eventually("all is held", async () => {
      assert.equal((await cold.metrics()).get("switchboard_routes_held"), hosts.length);
    });
    for (const host of hosts) {
      await cold.echo({ host });
    }
    assert.equal(await recordsIn(cold, `${HERE}/emptied`), hosts.length);
    await stage.redis.client.set("switchboard:wiped", Math.floor(Date.now() / 1000));
    await eventually("it was meant", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_routes_held"), 0);
    });
  });

  it("refuses a snapshot that is damaged, cut short or of another layout, with one line", async () => {
    await serveAll();
    const bad = {
      damaged: `cp -p ${OF_STAGE} ${HERE}/damaged; printf X | dd of=${HERE}/damaged bs=1 seek=900 conv=notrunc 2>/dev/null`,
      short: `head -c 2000 ${OF_STAGE} >${HERE}/short; chmod a+w ${HERE}/short`,
      foreign: `cp -p ${OF_STAGE} ${HERE}/foreign`,
      unreadable: `mkdir ${HERE}/unreadable`,
    };
    const because: Record<string, RegExp> = {
      damaged: /it is damaged/,
      short: /it is cut short/,
      foreign: /it has routes of schema=native server.*, here it is schema=native,hipache/,
      unreadable: /it is no snapshot of routes/,
    };
    await stage.redis.stop();
    for (const [name, script] of Object.entries(bad)) {
      await run(stage.router, script);
      const environment: Record<string, string> =
        name === "foreign" ? { SWITCHBOARD_SCHEMA: "native,hipache" } : {};
      const cold = await stage.moreRouter(keeping(`${HERE}/${name}`, { environment }));
      const refusals = lines(cold, /event=snapshot_refused/);
      assert.equal(refusals.length, 1, name);
      assert.match(refusals[0]!, because[name]!);
      const answer = await cold.ask({ host: hosts[0]! });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers["x-switchboard-error"], "store_unreachable");
    }
    await stage.redis.start();
  });

  it("and without a snapshot, says so at once, and serves when Redis is there", async () => {
    await serveAll();
    await stage.redis.stop();
    const cold = await stage.moreRouter(keeping(`${HERE}/none`));
    const answer = await cold.ask({ host: hosts[0]!, patience: 1 });
    assert.equal(answer.headers["x-switchboard-error"], "store_unreachable");
    await stage.redis.start();
    await eventually("it serves", async () => cold.echo({ host: hosts[0]! }), 3);
    await written(cold, `${HERE}/none`, 1);
  });

  it("finds a whole snapshot, however often its writers were killed", async () => {
    const file = `${HERE}/killed`;
    const router = await stage.moreRouter(keeping(file, { workers: 2, killed: true }));
    const a = await stage.backend("a");
    for (let round = 0; round < 5; round += 1) {
      const before = await workersOf(router);
      await Promise.all(
        Array.from({ length: 200 }, async (_, i) => stage.serve(`k${i}.r${round}.killed.test`, a)),
      );
      await Promise.all(
        Array.from({ length: 200 }, async (_, i) => router.echo({ host: `k${i}.r${round}.killed.test` })),
      );
      await run(router, `kill -9 ${before.join(" ")}`);
      await otherWorkers(router, before);
    }
    await written(router, file, 1000);
    await stage.redis.stop();
    const cold = await stage.moreRouter(keeping(file));
    for (const round of [0, 4]) {
      await cold.echo({ host: `k199.r${round}.killed.test` });
    }
    await stage.redis.start();
  });
});

describe("a snapshot that cannot be written", () => {
  const stage = useStage({ environment: { SWITCHBOARD_SNAPSHOT: "/nowhere/routes" } });

  it("is one warning and degraded, and nothing else", async () => {
    const host = await stage.serve("unwritten.test", await stage.backend("a"));
    await stage.router.echo({ host });
    await eventually("it is said", async () => {
      const ready = await stage.router.health("/readyz");
      assert.equal(ready.status, 200);
      assert.match(ready.body, /^degraded: the snapshot cannot be written: \/nowhere\/routes.*No such file/m);
    });
    assert.equal((await stage.router.metrics()).get("switchboard_snapshot_failed"), 1);
    await run(stage.router, "install -d -m 777 /nowhere");
    await eventually(
      "it is written when it can be",
      async () => assert.equal((await stage.router.health("/readyz")).body, "ready\n"),
      20,
    );
    assert.equal(lines(stage.router, /event=snapshot_failed/).length, 1);
    assert.equal(await recordsIn(stage.router, "/nowhere/routes"), 1);
    await stage.router.echo({ host });
  });
});
