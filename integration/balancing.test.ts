import { strict as assert } from "node:assert";
import { once } from "node:events";
import { createServer, request as send, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { startApp, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

const stage = useStage({
  workers: 1,
  environment: {
    SWITCHBOARD_TTL: "100ms",
    SWITCHBOARD_STALE_WHILE_REFRESH: "100ms",
    SWITCHBOARD_ZONE: "a",
  },
});

async function option(host: string, name: string, value: string): Promise<void> {
  await stage.redis.client.hset(`route:${host}`, name, value);
}

async function backends(count: number): Promise<Backend[]> {
  return Promise.all(Array.from({ length: count }, async (_, i) => stage.backend(`b${i}`)));
}

/** How many of so many requests, eight at a time, each backend answered; by its name. */
async function spread(host: string, count: number): Promise<Record<string, number>> {
  const names: string[] = [];
  let left = count;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      names.push(String((await stage.router.ask({ host })).headers["x-backend"]));
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  return tally(names);
}

describe("hash", () => {
  it("chooses whom an nginx beside it chooses by `hash … consistent`", async () => {
    const all = await backends(6);
    const weights = [1, 1, 2, 5, 1, 10];
    const members = all.map(({ at }, i) => `${at}?weight=${weights[i]!}`);
    await stage.redis.client.sadd("backends:hashed.test", ...members);
    await option("hashed.test", "balance", "hash:header:X-User");
    const servers = all.map(({ at }, i) => `server ${at} weight=${weights[i]!};`).join(" ");
    const router = await stage.moreRouter({
      http: `upstream beside { hash $http_x_user consistent; ${servers} }`,
      server: "location = /beside { proxy_pass http://beside; }",
    });

    const seen = new Set<string>();
    for (let i = 0; i < 200; i += 1) {
      const headers = { "x-user": `user ${i * i}` };
      const ours = await router.echo({ host: "hashed.test", headers });
      const theirs = await router.echo({ host: "hashed.test", path: "/beside", headers });
      assert.equal(ours.name, theirs.name, headers["x-user"]);
      seen.add(ours.name);
    }
    assert.equal(seen.size, 6);
  });

  for (const [balance, ask] of [
    ["hash:cookie:User-id", (user: string) => ({ headers: { cookie: `a=b; User-id=${user}` } })],
    ["hash:query:user", (user: string) => ({ path: `/?x=1&user=${user}` })],
    ["hash:uri", (user: string) => ({ path: `/${user}?q` })],
    ["hash:header:user-agent", (user: string) => ({ headers: { "user-agent": user } })],
  ] as const) {
    it(`goes by ${balance}`, async () => {
      const host = await stage.serve(
        `${balance.replaceAll(":", "-").toLowerCase()}.test`,
        ...(await backends(4)),
      );
      await option(host, "balance", balance);

      const of = new Map<string, string>();
      for (let i = 0; i < 60; i += 1) {
        const user = `user${i % 20}`;
        const { name } = await stage.router.echo({ host, ...ask(user) });
        assert.equal(name, of.get(user) ?? name);
        of.set(user, name);
      }
      assert.ok(new Set(of.values()).size >= 3);
    });
  }

  it("goes by the client's address, and spreads requests that have no key", async () => {
    const host = await stage.serve("by-ip.test", ...(await backends(4)));
    await option(host, "balance", "hash:ip");
    assert.equal(Object.keys(tally(await askTimes(stage.router, host, 20))).length, 1);

    const keyless = await stage.serve("keyless.test", ...(await backends(4)));
    await option(keyless, "balance", "hash:header:X-Nobody-Sends-This");
    assert.ok(Object.keys(tally(await askTimes(stage.router, keyless, 60))).length >= 3);
  });

  it("keeps other keys in place when an instance goes, and tries the next on a failure", async () => {
    const all = await backends(4);
    const host = await stage.serve("moving.test", ...all);
    await option(host, "balance", "hash:query:k");
    const where = async (): Promise<string[]> => {
      const names: string[] = [];
      for (let i = 0; i < 40; i += 1) {
        names.push((await stage.router.echo({ host, path: `/?k=${i}` })).name);
      }
      return names;
    };
    const before = await where();

    await all[2]!.close();

    const now = await where();
    assert.deepEqual(
      now.filter((_, i) => before[i] !== "b2"),
      before.filter((name) => name !== "b2"),
    );
    assert.ok(!now.includes("b2"));
    assert.deepEqual(await where(), now);
  });
});

describe("least_conn", () => {
  const opened: IncomingMessage[] = [];
  const sockets: WebSocket[] = [];
  after(() => {
    opened.forEach((stream) => stream.destroy());
    sockets.forEach((socket) => socket.terminate());
  });

  /** An app that answers at once, holds `/stream` open, and takes WebSockets. */
  async function startHolding(name: string): Promise<{ at: string }> {
    const http = createServer((request, response) => {
      response.setHeader("X-Backend", name);
      response.setHeader("X-Accel-Buffering", "no");
      if (request.url === "/stream") {
        response.write("begun\n");
      } else {
        response.end();
      }
    });
    const upgraded = new WebSocketServer({ server: http });
    upgraded.on("connection", (socket) => socket.send(name));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    after(() => {
      upgraded.clients.forEach((client) => client.terminate());
      http.close();
      http.closeAllConnections();
    });
    return { at: `127.0.0.1:${(http.address() as AddressInfo).port}` };
  }

  async function openStream(host: string): Promise<{ name: string; stream: IncomingMessage }> {
    const options = { host: "127.0.0.1", port: stage.router.port, path: "/stream", headers: { host } };
    const stream = await new Promise<IncomingMessage>((resolve, reject) => {
      send({ ...options, agent: false }, resolve)
        .on("error", reject)
        .end();
    });
    stream.on("error", () => undefined);
    opened.push(stream);
    return { name: String(stream.headers["x-backend"]), stream };
  }

  async function namesOf(host: string, times: number): Promise<Record<string, number>> {
    const names: string[] = [];
    for (let i = 0; i < times; i += 1) {
      names.push(String((await stage.router.ask({ host })).headers["x-backend"]));
    }
    return tally(names);
  }

  async function openSocket(host: string): Promise<{ name: string; socket: WebSocket }> {
    const socket = new WebSocket(`ws://127.0.0.1:${stage.router.port}/`, { headers: { host } });
    sockets.push(socket);
    const [name] = (await once(socket, "message")) as [Buffer];
    return { name: name.toString(), socket };
  }

  it("counts streams and WebSockets for as long as they last", async () => {
    const [a, b] = [await startHolding("a"), await startHolding("b")];
    await stage.redis.client.sadd("backends:held.test", a.at, b.at);
    await option("held.test", "balance", "least_conn");

    const streams = [];
    for (let i = 0; i < 6; i += 1) {
      streams.push(await openStream("held.test"));
    }
    assert.deepEqual(tally(streams.map(({ name }) => name)), { a: 3, b: 3 });
    const talks = [];
    for (let i = 0; i < 6; i += 1) {
      talks.push(await openSocket("held.test"));
    }
    assert.deepEqual(tally(talks.map(({ name }) => name)), { a: 3, b: 3 });

    // All that runs on b ends: new ones go there until it has as many.
    for (const { name, stream } of streams) {
      if (name === "b") {
        stream.destroy();
      }
    }
    for (const { name, socket } of talks) {
      if (name === "b") {
        socket.close();
      }
    }
    await eventually("they have ended", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 6);
    });
    const later = [];
    for (let i = 0; i < 3; i += 1) {
      later.push((await openStream("held.test")).name, (await openSocket("held.test")).name);
    }
    assert.deepEqual(tally(later), { b: 6 });
    assert.deepEqual(tally([(await openStream("held.test")).name, (await openStream("held.test")).name]), {
      a: 1,
      b: 1,
    });
  });

  it("remembers what runs on an instance that was taken out and comes back", async () => {
    const [a, b] = [await startHolding("a"), await startHolding("b")];
    await stage.redis.client.sadd("backends:returning.test", a.at);
    await option("returning.test", "balance", "least_conn");
    const before = (await stage.router.metrics()).get("switchboard_in_flight")!;
    const { stream } = await openStream("returning.test");

    await stage.redis.client
      .multi()
      .srem("backends:returning.test", a.at)
      .sadd("backends:returning.test", b.at)
      .exec();
    await eventually("it is out", async () => {
      const names = await namesOf("returning.test", 5);
      assert.deepEqual(names, { b: 5 });
    });
    await eventually("its stream is still counted", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), before + 1);
    });
    await stage.redis.client.sadd("backends:returning.test", a.at);
    await stage.redis.client.hset("instances:returning.test", a.at, "weight=65535");
    await eventually("it is back", async () => {
      assert.ok("a" in (await namesOf("returning.test", 5)));
    });
    await stage.redis.client.del("instances:returning.test");
    await eventually("it is as heavy as the other", async () => {
      assert.deepEqual(await namesOf("returning.test", 20), { b: 20 }, "a has a stream, b nothing");
    });
    stream.destroy();
    await eventually("both are used once the stream has ended", async () => {
      assert.deepEqual(Object.keys(await namesOf("returning.test", 20)).sort(), ["a", "b"]);
    });
  });

  it("has a bound by hash: one key's streams go to others once an instance has more than its part", async () => {
    const all = await Promise.all(["a", "b", "c", "d"].map(startHolding));
    await stage.redis.client.sadd("backends:bounded.test", ...all.map(({ at }) => at));
    await stage.redis.client.hset("route:bounded.test", { balance: "hash:uri", hash_bound: "1.25" });

    const names: string[] = [];
    for (let i = 0; i < 8; i += 1) {
      names.push((await openStream("bounded.test")).name);
    }
    // 1.25 times the average of 8 / 4, rounded up, is 3.
    const counts = Object.values(tally(names));
    assert.ok(counts.length >= 3 && Math.max(...counts) <= 3, names.join(" "));

    await option("bounded.test", "hash_bound", "0");
    await eventually("the bound is gone", async () => {
      const free = [(await openStream("bounded.test")).name, (await openStream("bounded.test")).name];
      assert.deepEqual(free, [names[0], names[0]]);
    });
  });
});

/** Nine good instances that take 10 ms, and `odd`. */
async function serveNineAnd(host: string, odd: Backend): Promise<void> {
  const good = await Promise.all(
    Array.from({ length: 9 }, async (_, i) =>
      stage.keep(
        startApp(`b${i}`, (_request, response) => {
          response.setHeader("X-Backend", `b${i}`);
          setTimeout(() => response.end("ok"), 10);
        }),
      ),
    ),
  );
  await stage.serve(host, ...good, odd);
}

describe("ewma", () => {
  it("keeps away from one of ten that answers 502 in a millisecond", async () => {
    const odd = await stage.keep(
      startApp("odd", (_, response) => {
        response.statusCode = 502;
        response.end();
      }),
    );
    await serveNineAnd("fast-failing.test", odd);
    await option("fast-failing.test", "balance", "ewma");

    await spread("fast-failing.test", 1500);

    assert.ok(odd.count() <= 0.02 * 1500, `${odd.count()} of 1500`);
  });

  it("keeps away from one of ten that takes a second, and from one that closes connections", async () => {
    const slow = await stage.keep(
      startApp("slow", (_, response) => {
        setTimeout(() => response.end(), 1000);
      }),
    );
    await serveNineAnd("slow.test", slow);
    await option("slow.test", "balance", "ewma");
    await spread("slow.test", 1000);
    assert.ok(slow.count() <= 10, `${slow.count()} of 1000`);

    const closing = await stage.keep(
      startApp("closing", (request) => {
        request.socket.destroy();
      }),
    );
    await serveNineAnd("closing.test", closing);
    await option("closing.test", "balance", "ewma");
    await spread("closing.test", 1000);
    assert.ok(closing.count() <= 10, `${closing.count()} of 1000`);
  });
});

describe("a route", () => {
  for (const balance of ["round_robin", "least_conn", "ewma", "random"]) {
    it(`uses all its instances by ${balance}`, async () => {
      const host = await stage.serve(`all-${balance.replace("_", "-")}.test`, ...(await backends(4)));
      await option(host, "balance", balance);
      assert.equal(Object.keys(await spread(host, 200)).length, 4);
    });
  }

  it("prefers instances of the router's zone, unless it is told not to", async () => {
    const [near, far] = [await stage.backend("near"), await stage.backend("far")];
    await stage.redis.client.sadd("backends:zoned.test", `${near.at}?zone=a`, `${far.at}?zone=b`);
    assert.deepEqual(tally(await askTimes(stage.router, "zoned.test", 10)), { near: 10 });

    await option("zoned.test", "prefer_zone", "off");
    await eventually("both are used", async () => {
      assert.deepEqual(tally(await askTimes(stage.router, "zoned.test", 10)), { near: 5, far: 5 });
    });
  });

  it("goes on to another zone and to a backup when a try fails", async () => {
    const [near, far, spare] = [await stage.backend("n"), await stage.backend("f"), await stage.backend("s")];
    await stage.redis.client.sadd(
      "backends:failing-over.test",
      `${near.at}?zone=a`,
      `${far.at}?zone=b`,
      `${spare.at}?backup=1`,
    );
    assert.deepEqual(tally(await askTimes(stage.router, "failing-over.test", 5)), { n: 5 });
    await near.close();
    assert.deepEqual(tally(await askTimes(stage.router, "failing-over.test", 5)), { f: 5 });
    await far.close();
    assert.deepEqual(tally(await askTimes(stage.router, "failing-over.test", 5)), { s: 5 });
  });

  it("turns to backups when all others are gone", async () => {
    const [a, spare] = [await stage.backend("a"), await stage.backend("spare")];
    await stage.redis.client.sadd("backends:backed.test", a.at, `${spare.at}?backup=1`);
    assert.deepEqual(tally(await askTimes(stage.router, "backed.test", 10)), { a: 10 });

    await stage.redis.client.srem("backends:backed.test", a.at);
    await eventually("the backup is used", async () => {
      assert.deepEqual(tally(await askTimes(stage.router, "backed.test", 5)), { spare: 5 });
    });
  });

  it("lets a new instance start slowly, but not a pool that is new as a whole", async () => {
    const [a, b, late] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("late")];
    const host = await stage.serve("warming.test", a, b);
    await option(host, "slow_start", "60m");
    assert.deepEqual(tally(await askTimes(stage.router, host, 20)), { a: 10, b: 10 });

    await stage.redis.client.sadd(`backends:${host}`, late.at);

    await eventually("the new one is used", () =>
      stage.router.ask({ host }).then(() => assert.ok(late.count() > 0)),
    );
    const counts = tally(await askTimes(stage.router, host, 300));
    // A full share is 100; it begins with a tenth.
    assert.ok(counts["late"]! >= 8 && counts["late"]! <= 12, JSON.stringify(counts));
    assert.ok(Math.abs(counts["a"]! - counts["b"]!) <= 10, JSON.stringify(counts));
  });

  it("keeps its algorithm when an unknown one is set, and says so", async () => {
    const host = await stage.serve("unknown-algorithm.test", ...(await backends(2)));
    await option(host, "balance", "hash:uri");
    assert.equal(Object.keys(tally(await askTimes(stage.router, host, 20))).length, 1);

    await option(host, "balance", "fastest");

    await eventually("the mistake is logged", async () => {
      await askTimes(stage.router, host, 1);
      const said =
        /skipped in route:unknown-algorithm.test: "balance fastest": balance must be round_robin, /;
      assert.ok(stage.router.log().some((line) => said.test(line)));
    });
    assert.equal(Object.keys(tally(await askTimes(stage.router, host, 20))).length, 1);
  });

  it("answers 503 when all weights are 0", async () => {
    const [a, b] = await backends(2);
    await stage.redis.client.sadd("backends:weightless.test", `${a!.at}?weight=0`, `${b!.at}?weight=0`);
    const answer = await stage.router.ask({ host: "weightless.test" });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers["x-switchboard-error"], "no_instances");
  });

  for (const balance of ["round_robin", "least_conn", "hash:uri"]) {
    it(`takes 10,000 instances by ${balance}`, async () => {
      // One app behind them all: whatever of 127.0.0.0/8 is connected to.
      const app = await stage.backend("a", { address: "0.0.0.0" });
      const host = `huge-${balance.replace(/\W/, "-").replace("_", "-")}.test`;
      const members = Array.from(
        { length: 10_000 },
        (_, i) => `127.1.${Math.floor(i / 250)}.${(i % 250) + 1}:${app.port}`,
      );
      await stage.redis.client.sadd(`backends:${host}`, ...members);
      await option(host, "balance", balance);

      // Reading so many may take longer than a request waits for Redis; then it was read for the next one.
      await eventually("it is served", async () => {
        assert.equal((await stage.router.ask({ host })).status, 200);
      });
      for (let i = 0; i < 20; i += 1) {
        assert.equal((await stage.router.ask({ host, path: `/${i}` })).status, 200);
      }
    });
  }
});
