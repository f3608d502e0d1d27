/** How many requests may run at an instance and on a route: all workers of a node keep to it, and count back to none. */

import { strict as assert } from "node:assert";
import { once } from "node:events";
import { createServer, request as send, type ClientRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { eventually, pass } from "./support/eventually.ts";
import { startHolding, type Holding } from "./support/holding.ts";
import { ask, type Answer, type Question } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { tally, useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const WORKERS = 4;
const port = await freePort();
const stage = useStage({
  workers: WORKERS,
  http: `server { listen 127.0.0.1:${port}; include switchboard/admin.conf; }`,
  server: `add_header X-Worker $pid always;
    location /checked/ { lua_check_client_abort on; include switchboard/proxy.conf; }`,
  environment: { SWITCHBOARD_CONNECT_TIMEOUT: "500ms" },
  killed: true,
});

interface Shown {
  instances: { address: string; conns?: number; in_flight: number }[];
  limits: { max_conns: number; max_inflight: number; in_flight?: number; waiting: number };
}

async function told<T>(path: string): Promise<T> {
  const answer = await ask(port, { host: "localhost", path });
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as T;
}

const shown = async (host: string): Promise<Shown> => told(`/routes/${encodeURIComponent(host)}`);

/** What runs, by the counters of the node. */
async function counted(host: string): Promise<{ conns: number; inFlight: number; waiting: number }> {
  const { instances, limits } = await shown(host);
  const conns = instances.reduce((sum, each) => sum + (each.conns ?? 0), 0);
  return { conns, inFlight: limits.in_flight ?? 0, waiting: limits.waiting };
}

async function nothingIsLeft(...hosts: string[]): Promise<void> {
  for (const host of hosts) {
    await eventually(`nothing is left of ${host}`, async () =>
      assert.deepEqual(await counted(host), { conns: 0, inFlight: 0, waiting: 0 }),
    );
  }
}

async function holding(...names: string[]): Promise<Holding[]> {
  const apps = await Promise.all(names.map(async (name) => startHolding(name)));
  await Promise.all(apps.map(async (app) => stage.keep(Promise.resolve(app))));
  return apps;
}

async function serve(
  host: string,
  options: Record<string, string>,
  ...apps: { at: string }[]
): Promise<string> {
  await stage.redis.client.hset(`route:${host}`, options);
  await stage.redis.client.sadd(`backends:${host}`, ...apps.map((app) => app.at));
  return host;
}

function askMany(count: number, question: Question): Promise<Answer>[] {
  return Array.from({ length: count }, async () => stage.router.ask(question));
}

function assertRefused(answer: Answer): void {
  assert.deepEqual([answer.status, answer.headers["x-switchboard-error"]], [503, "overloaded"], answer.body);
  assert.equal(answer.headers["retry-after"], "1");
  assert.match(answer.body, /\(overloaded\)\n$/);
}

const nameOf = (answer: Answer): string => String(answer.headers["x-backend"]);

async function until(what: string, holds: () => boolean): Promise<void> {
  await eventually(what, () => assert.ok(holds(), what));
}

describe("an instance", () => {
  for (const balance of ["round_robin", "least_conn", "ewma", "random", "hash:uri"]) {
    it(`never has more requests than max_conns by ${balance}, and every request is served in its turn`, async () => {
      const apps = await Promise.all(["a", "b", "c"].map(async (name) => startHolding(name, 0.02)));
      await Promise.all(apps.map(async (app) => stage.keep(Promise.resolve(app))));
      const host = await serve(
        `most-by-${balance.replace(/\W/, "-").replace("_", "-")}.test`,
        { balance, max_conns: "2", queue: "200", queue_timeout: "20s" },
        ...apps,
      );

      const answers = await Promise.all(askMany(120, { host, patience: 30 }));

      assert.deepEqual(tally(answers.map((answer) => String(answer.status))), { 200: 120 });
      for (const app of apps) {
        assert.equal(app.most(), 2, app.name);
        assert.ok(app.count() >= 20, `${app.name} had ${app.count()}`);
      }
      await nothingIsLeft(host);
    });

    it(`that has all it may is passed over by ${balance}`, async () => {
      const apps = await holding("a", "b", "c");
      const host = await serve(
        `passed-by-${balance.replace(/\W/, "-").replace("_", "-")}.test`,
        { balance, max_conns: "1", queue: "0" },
        ...apps,
      );
      const running: Promise<Answer>[] = [];
      for (let i = 1; i <= 3; i += 1) {
        running.push(stage.router.ask({ host }));
        await until(`${i} run`, () => apps.reduce((sum, app) => sum + app.running(), 0) === i);
      }
      assert.deepEqual(
        apps.map((app) => app.running()),
        [1, 1, 1],
      );

      assertRefused(await stage.router.ask({ host }));

      apps[1]!.answer();
      await eventually("it has ended", async () => assert.equal((await counted(host)).conns, 2));
      const next = stage.router.ask({ host });
      await until("it goes to who has a place", () => apps[1]!.running() === 1);
      apps.forEach((app) => app.answer());
      assert.equal(nameOf(await next), "b");
      await Promise.all(running);
      await nothingIsLeft(host);
    });
  }

  it("has the places of all routes that bound it; others pay nothing and take none", async () => {
    const [a] = await holding("a");
    const one = await serve("shared-one.test", { max_conns: "2", queue: "0" }, a!);
    const two = await serve("shared-two.test", { max_conns: "1", queue: "0" }, a!);
    const free = await serve("shared-free.test", { tries: "1" }, a!);
    const running = [stage.router.ask({ host: one })];
    await until("it runs", () => a!.running() === 1);

    assertRefused(await stage.router.ask({ host: two }));
    running.push(stage.router.ask({ host: one }), stage.router.ask({ host: free }));
    await until("both run", () => a!.running() === 3);
    assert.equal((await counted(one)).conns, 2);
    assert.equal((await told<{ limits?: object }>(`/routes/${free}`)).limits, undefined);
    assertRefused(await stage.router.ask({ host: one }));

    a!.answer();
    await Promise.all(running);
    await nothingIsLeft(one, two);
  });

  it("is occupied to the end of a WebSocket", async () => {
    const http = createServer();
    const sockets = new WebSocketServer({ server: http });
    sockets.on("connection", (socket) => socket.send("hello"));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    after(() => {
      sockets.clients.forEach((client) => client.terminate());
      http.close();
    });
    const at = `127.0.0.1:${(http.address() as AddressInfo).port}`;
    const host = await serve("sockets.test", { max_conns: "1", max_inflight: "5", queue: "0" }, { at });
    const socket = new WebSocket(`ws://127.0.0.1:${stage.router.port}/`, { headers: { host } });
    await once(socket, "message");

    assert.deepEqual(await counted(host), { conns: 1, inFlight: 1, waiting: 0 });
    assertRefused(await stage.router.ask({ host }));

    socket.close();
    await nothingIsLeft(host);
  });

  it("that has all it may is passed by retries too", async () => {
    const [a, b] = await holding("a", "b");
    const host = await serve("retried.test", { max_conns: "1", queue: "0", eject: "off" }, a!, b!);
    await stage.redis.client.sadd(`backends:${host}`, await deadPort());
    const running: Promise<Answer>[] = [];
    for (let i = 1; i <= 2; i += 1) {
      running.push(stage.router.ask({ host }));
      await until(`${i} run`, () => a!.running() + b!.running() === i);
    }
    assert.deepEqual([a!.running(), b!.running()], [1, 1]);

    // Nobody but the dead one has a place: what it could not do nobody else may.
    const answer = await stage.router.ask({ host });
    assert.equal(answer.headers["x-switchboard-error"], "connect_failed");

    a!.answer();
    b!.answer();
    await Promise.all(running);
    await nothingIsLeft(host);
  });
});

describe("a request that finds no place", () => {
  it("waits for one, and has it soon after any worker gives one back", async () => {
    const [a] = await holding("a");
    const host = await serve("waiting.test", { max_conns: "4", queue: "100", queue_timeout: "30s" }, a!);
    const answers = askMany(40, { host, patience: 40 });
    await until("four run", () => a!.running() === 4);
    await eventually("the others wait", async () => assert.equal((await counted(host)).waiting, 36));

    let served = 4;
    for (let left = 9; left > 0; left -= 1) {
      const began = Date.now();
      a!.answer();
      served += 4;
      await until("the next ones run", () => a!.count() === served);
      assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`);
    }
    a!.answer();

    const workers = new Set((await Promise.all(answers)).map((answer) => answer.headers["x-worker"]));
    assert.ok(workers.size > 1, "several workers had some of them");
    assert.equal(a!.most(), 4);
    await nothingIsLeft(host);
    assert.ok(((await stage.router.metrics()).get("switchboard_waits_total") ?? 0) > 0);
  });

  it("is refused when too many wait, and when it has waited for long enough", async () => {
    const [a] = await holding("a");
    const host = await serve("queue.test", { max_conns: "1", queue: "2", queue_timeout: "1s" }, a!);
    const first = stage.router.ask({ host });
    await until("one runs", () => a!.running() === 1);
    const began = Date.now();
    const waiting = askMany(2, { host }).map(async (asked) => ({ answer: await asked, at: Date.now() }));
    await eventually("two wait", async () => assert.equal((await counted(host)).waiting, 2));

    assertRefused(await stage.router.ask({ host }));
    assert.equal((await counted(host)).waiting, 2, "nobody waited for that");

    for (const { answer, at } of await Promise.all(waiting)) {
      assertRefused(answer);
      assert.ok(at - began >= 990, `${at - began} ms`);
    }
    a!.answer();
    await first;
    await nothingIsLeft(host);
    await eventually("they are counted", async () => {
      const refused =
        (await stage.router.metrics()).get('switchboard_answers_total{reason="overloaded"}') ?? 0;
      assert.ok(refused >= 3, String(refused));
    });
    await stage.router.logged(/event=overloaded about="queue.test" .*queue.test: overloaded: max_conns/);
  });

  it("does not wait beyond the deadline of the request", async () => {
    const [a] = await holding("a");
    const other = await serve("early.test", { max_conns: "1" }, a!);
    const host = await serve("late.test", { max_conns: "1", queue_timeout: "60s", deadline: "300ms" }, a!);
    const first = stage.router.ask({ host: other });
    await until("one runs", () => a!.running() === 1);

    assertRefused(await stage.router.ask({ host, patience: 10 }));

    a!.answer();
    await first;
    await nothingIsLeft(host, other);
  });

  it("goes to an instance that joins while it waits", async () => {
    const [a, late] = await holding("a", "late");
    const host = await serve("joined.test", { max_conns: "1", queue_timeout: "30s" }, a!);
    const first = stage.router.ask({ host });
    await until("one runs", () => a!.running() === 1);
    const second = stage.router.ask({ host, patience: 30 });
    await eventually("one waits", async () => assert.equal((await counted(host)).waiting, 1));

    await stage.redis.client.sadd(`backends:${host}`, late!.at);

    await until("it runs", () => late!.running() === 1);
    late!.answer();
    assert.equal(nameOf(await second), "late");
    a!.answer();
    await first;
    await nothingIsLeft(host);
  });

  it("goes on when its route has no limits any more, and is refused when it has no instance", async () => {
    const [a] = await holding("a");
    const freed = await serve("freed.test", { max_conns: "1", queue_timeout: "30s" }, a!);
    const emptied = await serve("emptied.test", { max_conns: "1", queue_timeout: "2s" }, a!);
    const first = stage.router.ask({ host: freed });
    await until("one runs", () => a!.running() === 1);
    const second = stage.router.ask({ host: freed, patience: 30 });
    const third = stage.router.ask({ host: emptied });
    await eventually("both wait", async () => {
      assert.equal((await counted(freed)).waiting, 1);
      assert.equal((await counted(emptied)).waiting, 1);
    });

    await stage.redis.client.hset(`route:${freed}`, "max_conns", "0", "max_inflight", "100");
    await stage.redis.client.del(`backends:${emptied}`);

    await until("it runs", () => a!.running() === 2);
    assertRefused(await third);
    a!.answer();
    assert.deepEqual(
      (await Promise.all([first, second])).map((answer) => answer.status),
      [200, 200],
    );
    await nothingIsLeft(freed);
  });

  /** A request whose client leaves. */
  async function leaving(host: string, path: string): Promise<ClientRequest> {
    const request = send({
      host: "127.0.0.1",
      port: stage.router.port,
      path,
      headers: { host },
      agent: false,
    });
    request.on("error", () => undefined);
    request.end();
    await once(request, "finish");
    return request;
  }

  for (const [path, what] of [
    ["/checked/", "at once where nginx looks whether clients are still there"],
    ["/", "when its time is over"],
  ] as const) {
    it(`leaves nothing behind when its client leaves: ${what}`, async () => {
      const [a] = await holding("a");
      const host = await serve(
        `left-${path.length}.test`,
        { max_conns: "1", max_inflight: "100", queue: "10", queue_timeout: path === "/" ? "1s" : "60s" },
        a!,
      );
      const first = stage.router.ask({ host });
      await until("one runs", () => a!.running() === 1);
      const requests = await Promise.all(Array.from({ length: 8 }, async () => leaving(host, path)));
      await eventually("eight wait", async () => assert.equal((await counted(host)).waiting, 8));

      requests.forEach((request) => request.destroy());

      await eventually("nobody waits", async () =>
        assert.deepEqual(await counted(host), { conns: 1, inFlight: 1, waiting: 0 }),
      );
      const next = stage.router.ask({ host, path });
      await eventually("another can wait", async () => assert.ok((await counted(host)).waiting === 1));
      a!.answer();
      await until("it runs", () => a!.running() === 1);
      a!.answer();
      assert.deepEqual(
        (await Promise.all([first, next])).map((answer) => answer.status),
        [200, 200],
      );
      assert.equal(a!.count(), 2, "nobody was asked for clients that had left");
      await nothingIsLeft(host);
    });
  }
});

describe("a client with a cookie", () => {
  it("waits for its own instance while others have places, and then gets another and its cookie", async () => {
    const apps = await holding("a", "b");
    const host = await serve(
      "sticky.test",
      { sticky: "cookie", max_conns: "1", queue: "5", queue_timeout: "1s" },
      ...apps,
    );
    const first = stage.router.ask({ host });
    await until("one runs", () => apps.some((app) => app.running() === 1));
    const own = apps.find((app) => app.running() === 1)!;
    own.answer();
    const cookie = String((await first).headers["set-cookie"]).split(";")[0]!;
    const again = stage.router.ask({ host, headers: { cookie } });
    await until("it runs there", () => own.running() === 1);

    const patient = stage.router.ask({ host, headers: { cookie } });
    await eventually("it waits", async () => assert.equal((await counted(host)).waiting, 1));
    own.answer();
    await until("it has its own", () => own.running() === 1);
    assert.equal((await again).headers["set-cookie"], undefined);

    const moved = stage.router.ask({ host, headers: { cookie } });
    await until("it goes elsewhere", () => apps.every((app) => app.running() === 1));
    apps.forEach((app) => app.answer());
    assert.equal(nameOf(await patient), own.name);
    assert.notEqual(nameOf(await moved), own.name);
    assert.notEqual(String((await moved).headers["set-cookie"]).split(";")[0], cookie);
    await nothingIsLeft(host);
  });
});

describe("a route", () => {
  it("has at most max_inflight requests, those that wait included, and refuses others at once", async () => {
    const [a] = await holding("a");
    const host = await serve(
      "inflight.test",
      { max_inflight: "3", max_conns: "2", queue: "10", queue_timeout: "30s" },
      a!,
    );
    const running = askMany(3, { host, patience: 40 });
    await eventually("two run and one waits", async () =>
      assert.deepEqual(await counted(host), { conns: 2, inFlight: 3, waiting: 1 }),
    );
    // Counted before they are sent: one that is still on its way would not be answered with the other.
    await until("the app has both", () => a!.running() === 2);

    assertRefused(await stage.router.ask({ host }));
    await stage.router.logged(/inflight.test: overloaded: max_inflight/);

    a!.answer();
    await until("the third runs", () => a!.running() === 1);
    running.push(stage.router.ask({ host }));
    await until("and one more", () => a!.running() === 2);
    a!.answer();
    assert.deepEqual(tally((await Promise.all(running)).map((answer) => String(answer.status))), { 200: 4 });
    await nothingIsLeft(host);
  });

  it("that is split counts as one; a path that is a route of its own counts for itself", async () => {
    const [a, b, c] = await holding("a", "b", "c");
    const host = "parted.test";
    const { client } = stage.redis;
    await client.sadd("backends:@one", a!.at);
    await client.sadd("backends:@two", b!.at);
    await client.sadd(`paths:${host}`, "/api");
    await client.sadd(`backends:${host}/api`, c!.at);
    await client.hset(`route:${host}`, {
      split: "@one=50,@two=50",
      max_inflight: "3",
      max_conns: "2",
      queue: "0",
    });
    const running: Promise<Answer>[] = [];
    for (let i = 1; i <= 3; i += 1) {
      running.push(stage.router.ask({ host }));
      await until(`${i} run`, () => a!.running() + b!.running() === i);
    }
    assert.ok(a!.running() > 0 && b!.running() > 0);

    assertRefused(await stage.router.ask({ host }));
    running.push(stage.router.ask({ host, path: "/api" }));
    await until("the path serves", () => c!.running() === 1);

    [a, b, c].forEach((app) => app!.answer());
    await Promise.all(running);
    await nothingIsLeft(host, `${host}/api`);
  });

  it("says in /explain who is left out for having all it may", async () => {
    const apps = await holding("a", "b");
    const host = await serve(
      "explained.test",
      { max_conns: "1", max_inflight: "3", queue_timeout: "30s" },
      ...apps,
    );
    const explained = async (): Promise<{
      picked: string | null;
      why: string;
      answer?: object;
      instances: { address: string; kept: boolean; reason: string }[];
    }> => told(`/explain?host=${host}`);
    const running = [stage.router.ask({ host })];
    await until("one runs", () => apps.some((app) => app.running() === 1));
    const [full, free] = apps[0]!.running() === 1 ? [apps[0]!, apps[1]!] : [apps[1]!, apps[0]!];

    const one = await explained();
    assert.equal(one.picked, free.at);
    const found = one.instances.map(({ address, kept, reason }) => ({ address, kept, reason }));
    assert.ok(found.some((each) => each.address === full.at && !each.kept && each.reason === "full"));
    assert.ok(found.some((each) => each.address === free.at && each.kept && each.reason === "usable"));

    running.push(stage.router.ask({ host }), stage.router.ask({ host, patience: 40 }));
    await eventually("one waits", async () => assert.equal((await counted(host)).waiting, 1));
    const all = await explained();
    assert.equal(all.picked, null);
    assert.match(all.why, /max_inflight|overloaded/);
    assert.deepEqual(all.answer, { status: 503, reason: "overloaded" });

    await stage.redis.client.hdel(`route:${host}`, "max_inflight");
    await eventually("it would wait", async () => {
      const waits = await explained();
      assert.deepEqual([waits.picked, waits.answer], [null, undefined]);
      assert.match(waits.why, /no instance has a place/);
    });
    await until("each has one", () => apps.every((app) => app.running() === 1));
    apps.forEach((app) => app.answer());
    await until("the last one runs", () => apps.some((app) => app.running() === 1));
    apps.forEach((app) => app.answer());
    await Promise.all(running);
    await nothingIsLeft(host);
  });
});

describe("after a storm", () => {
  const someWorker = async (): Promise<string> =>
    String((await stage.router.ask({ host: "nobody.test" })).headers["x-worker"]);
  const kill = async (worker: string): Promise<unknown> =>
    stage.router.exec(["sh", "-c", `kill -9 ${worker}`]);

  it("of killed workers, reloads and clients that leave, all counts are back to none, and every place is there", async () => {
    const apps = await Promise.all(["a", "b", "c"].map(async (name) => startHolding(name, 0.05)));
    await Promise.all(apps.map(async (app) => stage.keep(Promise.resolve(app))));
    const options = { max_conns: "3", max_inflight: "200", queue: "100", queue_timeout: "500ms" };
    const hosts = [
      await serve("storm-one.test", options, ...apps),
      await serve("storm-two.test", { ...options, sticky: "cookie", balance: "least_conn" }, ...apps),
    ];
    let blowing = true;
    const statuses: string[] = [];
    const client = async (place: number): Promise<void> => {
      const host = hosts[place % 2]!;
      while (blowing) {
        // Every third leaves before it may have its answer.
        const patience = place % 3 === 0 ? 0.02 + (place % 7) / 100 : 20;
        await stage.router
          .ask({ host, path: place % 2 === 0 ? "/" : "/checked/", patience })
          .then((answer) => statuses.push(String(answer.status)))
          .catch(() => undefined);
      }
    };
    const clients = Array.from({ length: 40 }, async (_, place) => client(place));
    for (let i = 0; i < 4; i += 1) {
      await pass(0.4);
      await kill(await someWorker());
      await pass(0.2);
      await stage.router.signal("SIGHUP");
    }
    blowing = false;
    await Promise.all(clients);

    assert.ok(statuses.includes("200"));
    assert.deepEqual(
      Object.keys(tally(statuses)).filter((status) => status !== "200" && status !== "503"),
      [],
    );
    await nothingIsLeft(...hosts);
    const [d] = await holding("d");
    for (const host of hosts) {
      await stage.redis.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, d!.at).exec();
      await eventually("d is its only one", async () =>
        assert.equal((await shown(host)).instances.length, 1),
      );
      const full = askMany(3, { host, patience: 40 });
      await until("as many run as may", () => d!.running() === 3);
      assertRefused(await stage.router.ask({ host }));
      d!.answer();
      await Promise.all(full);
      await nothingIsLeft(host);
    }
  });

  it("what runs on a worker that is killed is given back within seconds, while the others go on", async () => {
    const [a] = await holding("a");
    const host = await serve("killed.test", { max_conns: "8", max_inflight: "8", queue: "0" }, a!);
    const asked = askMany(8, { host, patience: 60 }).map(async (answer) => answer.catch(() => undefined));
    await until("eight run", () => a!.running() === 8);

    // Not every worker has some of them.
    while (a!.running() === 8) {
      await kill(await someWorker());
      await pass(0.2);
    }

    const left = a!.running();
    await eventually("what is left is counted", async () =>
      assert.deepEqual(await counted(host), { conns: left, inFlight: left, waiting: 0 }),
    );
    a!.answer();
    await Promise.all(asked);
    await nothingIsLeft(host);
  });
});
