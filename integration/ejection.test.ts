/** Ten instances of which one is ill: nobody may notice, and it must get few tries; when it is well, its share again. */

import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { startApp, startEcho, type Backend } from "./support/backends.ts";
import { eventually, pass } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { underLoad } from "./support/load.ts";
import { freePort } from "./support/ports.ts";
import { askTimes, tally, useStage, type Stage } from "./support/stage.ts";
import { deadPort, startBlackHole, startClosing, startSlow } from "./support/troubled-backends.ts";

const WORKERS = 4;
/** Tries that an ill instance may get before every worker leaves it alone, beside those that were under way. */
const FEW = 5;
const TOKEN = "t0ken";
const admin = await freePort();

/** A counter, of all reasons together. */
async function metric(stage: Stage, name: string): Promise<number> {
  let sum = 0;
  for (const [series, value] of await stage.router.metrics()) {
    sum += series.split("{", 1)[0] === name ? value : 0;
  }
  return sum;
}

/** Asks at once and one after the other; the statuses. */
async function statuses(stage: Stage, host: string, times: number): Promise<Record<string, number>> {
  const found: string[] = [];
  for (let i = 0; i < times; i += 1) {
    found.push(String((await stage.router.ask({ host })).status));
  }
  return tally(found);
}

async function startFailing(name: string, status: number): Promise<Backend> {
  return startApp(name, (request, response) => {
    request.resume().on("end", () => response.writeHead(status).end("no\n"));
  });
}

describe("one of ten instances", () => {
  const stage = useStage({
    workers: WORKERS,
    environment: { SWITCHBOARD_CONNECT_TIMEOUT: "200ms", SWITCHBOARD_ADMIN_TOKEN: TOKEN },
    http: `server { listen 127.0.0.1:${admin}; include switchboard/admin.conf; }`,
  });
  let well: Backend[];
  before(async () => {
    well = [];
    for (let i = 0; i < 9; i += 1) {
      well.push(await stage.backend(`b${i}`));
    }
  });
  const among = async (host: string, ill: string, options: Record<string, string> = {}): Promise<string> => {
    if (Object.keys(options).length > 0) {
      await stage.redis.client.hset(`route:${host}`, options);
    }
    await stage.redis.client.sadd(`backends:${host}`, ill);
    return stage.serve(host, ...well);
  };

  it("that does not listen gets few tries, in all workers together", async () => {
    const host = await among("refusing.test", await deadPort());
    const before = await metric(stage, "switchboard_retries_total");
    const began = Date.now();

    assert.deepEqual(await statuses(stage, host, 300), { 200: 300 });

    // It is out for 0.9 s at least: where the requests take longer, as on a slow machine, it is out once more.
    const most = 1 + Math.floor((Date.now() - began) / 900);
    // Workers tell once a second what they counted.
    await eventually("all is counted", async () => {
      const ejections = await metric(stage, "switchboard_ejections_total");
      assert.ok(ejections >= 1 && ejections <= most, `${ejections} ejections`);
    });
    const retries = (await metric(stage, "switchboard_retries_total")) - before;
    assert.ok(retries <= FEW, `${retries} failed tries`);
    await stage.router.logged(/http:\/\/127\.0\.0\.1:\d+ is out: connect_failed/);
  });

  it("that drops connections keeps few requests waiting", async () => {
    const hole = await stage.keep(startBlackHole("hole"));
    const host = await among("hole.test", hole.at);
    let slow = 0;
    for (let i = 0; i < 200; i += 1) {
      const began = Date.now();
      assert.equal((await stage.router.ask({ host })).status, 200);
      slow += Date.now() - began >= 150 ? 1 : 0;
    }

    assert.ok(slow >= 3 && slow <= FEW, `${slow} waited for it`);
  });

  it("that closes connections gets few", async () => {
    const closing = await stage.keep(startClosing("closing"));
    const host = await among("closing.test", closing.at);

    assert.deepEqual(await statuses(stage, host, 200), { 200: 200 });

    // Those that its trials get once its time is over count too.
    assert.ok(closing.count() >= 3 && closing.count() <= 2 * FEW, `${closing.count()} failed tries`);
  });

  it("that takes connections and never answers is out for its time", async () => {
    const silent = await stage.keep(startSlow("silent", 60));
    const host = await among("silent.test", silent.at, { read_timeout: "100ms" });
    const outUntil = async (): Promise<number> => {
      const path = `/instances/${silent.at}`;
      const headers = { authorization: `Bearer ${TOKEN}` };
      const answer = await ask(admin, { host: "localhost", path, headers });
      return (JSON.parse(answer.body) as { ejected_until?: number }).ejected_until ?? 0;
    };
    // By then it was tried twice after its time, and has failed.
    const until = await eventually("it is out for the third time", async () => {
      assert.deepEqual(await statuses(stage, host, 10), { 200: 10 });
      const until = await outUntil();
      assert.ok(until - Date.now() / 1000 > 3, String(until));
      return until;
    });
    const before = silent.count();
    while (Date.now() / 1000 < until - 0.5) {
      await statuses(stage, host, 10);
    }

    assert.equal(silent.count(), before);
  });

  it("that answers 502 is left in, unless its 5xx count", async () => {
    const failing = await stage.keep(startFailing("failing", 502));
    const left = await among("left.test", failing.at);
    const passed = (await statuses(stage, left, 100))["502"] ?? 0;
    assert.ok(passed >= 5 && passed <= 15, `${passed} of 100`);

    const seen = failing.count();
    const host = await among("counted.test", failing.at, { eject: "5xx" });
    const found = await statuses(stage, host, 200);

    assert.ok(failing.count() - seen <= 2 * FEW, `${failing.count() - seen} of 200`);
    assert.equal((found["200"] ?? 0) + (found["502"] ?? 0), 200);
  });

  it("with eject=off gets its share of tries", async () => {
    const host = await among("off.test", await deadPort(), { eject: "off" });
    const before = await metric(stage, "switchboard_retries_total");

    assert.deepEqual(await statuses(stage, host, 100), { 200: 100 });

    await eventually("a tenth of the tries failed", async () => {
      const retries = (await metric(stage, "switchboard_retries_total")) - before;
      assert.ok(retries >= 6, `${retries} failed tries`);
    });
  });

  it("that comes back has its share again within 3 s, under load without a failed request", async () => {
    const at = await deadPort();
    const host = await among("returning.test", at);

    const load = await underLoad({ port: stage.router.port, host }, async (running) => {
      await eventually("it is out", async () => stage.router.logged(new RegExp(`http://${at} is out`)));
      await eventually("load arrives", () => assert.ok(running.total > 200));
      await stage.keep(startEcho("returned", { port: Number(at.split(":")[1]) }));
      const began = Date.now();
      await eventually("it has requests", () => assert.ok((running.byBackend.get("returned") ?? 0) > 0));
      assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms until its first request`);
      await eventually("it has its share", async () => {
        const { returned = 0 } = tally(await askTimes(stage.router, host, 50));
        assert.ok(returned >= 4, String(returned));
      });
    });

    assert.deepEqual(load.failures, []);
  });

  it("that is out is tried by one request at a time, whatever the load in all workers", async () => {
    let running = 0;
    let together = 0;
    let out = false;
    let trials = 0;
    const failing = await stage.keep(
      startApp("slowly failing", (request, response) => {
        running += 1;
        if (out) {
          together = Math.max(together, running);
          trials += 1;
        }
        request.resume();
        setTimeout(() => {
          running -= 1;
          response.writeHead(500).end("no\n");
        }, 150);
      }),
    );
    const host = await among("tried.test", failing.at, { eject: "5xx" });

    await underLoad({ port: stage.router.port, host, clients: 16 }, async () => {
      await stage.router.logged(new RegExp(`http://${failing.at} is out: 5xx`));
      // Those that were sent before.
      await eventually("none runs there", () => assert.equal(running, 0));
      out = true;
      await eventually("it was tried three times", () => assert.ok(trials >= 3, String(trials)), 20);
    });

    assert.equal(together, 1);
  });

  it("that is taken out is asked by no worker 10 ms later", async () => {
    const [ill, port] = [await stage.backend("ill"), admin];
    const host = await among("told.test", ill.at);
    const askMany = async (): Promise<void> => {
      await Promise.all(Array.from({ length: 80 }, async () => stage.router.echo({ host })));
    };
    await askMany();
    assert.ok(ill.count() > 0);

    const answer = await ask(port, {
      host: "localhost",
      path: `/instances/${ill.at}/eject?seconds=100`,
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    assert.equal(answer.status, 200);
    const before = ill.count();
    await pass(0.01);
    await askMany();

    assert.equal(ill.count(), before);
  });

  it("that is out stays out over a reload", async () => {
    const hole = await stage.keep(startBlackHole("hole"));
    const host = await among("reloaded.test", hole.at);
    await eventually("it is out", async () => {
      await stage.router.ask({ host });
      assert.ok(stage.router.log().some((line) => line.includes(`http://${hole.at} is out`)));
    });
    const before = await metric(stage, "switchboard_retries_total");

    await stage.router.signal("SIGHUP");
    assert.deepEqual(await statuses(stage, host, 40), { 200: 40 });

    const retries = (await metric(stage, "switchboard_retries_total")) - before;
    assert.ok(retries <= 2, `${retries} failed tries`);
  });
});

describe("when most instances fail", () => {
  const stage = useStage({ workers: 2 });

  it("all are tried: there is no answer that says they are out", async () => {
    const well = await stage.backend("well");
    const host = await stage.serve("most.test", well);
    for (let i = 0; i < 2; i += 1) {
      await stage.redis.client.sadd(`backends:${host}`, await deadPort());
    }

    assert.deepEqual(await statuses(stage, host, 60), { 200: 60 });
  });

  it("a client that leaves says nothing of an instance", async () => {
    const silent = await stage.keep(
      startApp("silent", (request) => {
        request.resume();
      }),
    );
    const host = await stage.serve("left.test", silent);

    for (let i = 0; i < 6; i += 1) {
      await assert.rejects(async () => stage.router.ask({ host, patience: 0.1 }));
    }

    assert.equal(stage.router.log().filter((line) => line.includes(`http://${silent.at} is out`)).length, 0);
  });
});
