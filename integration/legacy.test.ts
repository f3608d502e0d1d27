/** Platforms that write hipache's, planb's or DINP's keys: the worked examples of their layouts. */

import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { startApp, startRaw, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { type Answer } from "./support/http-client.ts";
import { askTimes, tally, useStage, type Stage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

function reasonOf(answer: Answer): string {
  return `${answer.status} ${String(answer.headers["x-switchboard-error"] ?? "")}`.trim();
}

/** What routers publish on the channel `dead`. */
async function words(stage: Stage): Promise<string[]> {
  const heard: string[] = [];
  const listener = stage.redis.connect({});
  await listener.subscribe("dead");
  listener.on("message", (_channel, word) => heard.push(word));
  return heard;
}

async function frontend(stage: Stage, name: string, ...backends: string[]): Promise<string> {
  await stage.redis.client.rpush(`frontend:${name}`, "id", ...backends.map((at) => `http://${at}`));
  return name;
}

describe("hipache's frontends", () => {
  const stage = useStage({ workers: 2, environment: { SWITCHBOARD_SCHEMA: "hipache" } });
  let a: Backend;
  let b: Backend;
  let heard: string[];
  before(async () => {
    a = await stage.backend("a");
    b = await stage.backend("b");
    heard = await words(stage);
  });

  it("are routes: exact, by wildcard, by *, with options in the native keys", async () => {
    await frontend(stage, "app.test", a.at, b.at);
    await frontend(stage, "*.wild.test", b.at);
    await stage.redis.client.hset("route:*.wild.test", "request_header.X-A", "1");

    assert.deepEqual(tally(await askTimes(stage.router, "app.test", 10)), { a: 5, b: 5 });
    const echo = await stage.router.echo({ host: "x.y.wild.test" });
    assert.deepEqual([echo.name, echo.headers["x-a"]], ["b", "1"]);
    assert.equal(reasonOf(await stage.router.ask({ host: "nobody.test" })), "400 unknown_route");
    await frontend(stage, "*", a.at);
    await eventually("the catch-all has it", async () =>
      assert.equal((await stage.router.echo({ host: "nobody.test" })).name, "a"),
    );
    await stage.redis.client.del("frontend:*");
  });

  it("F1: one that refuses is marked by its index, told of, and passed over by GET and POST", async () => {
    const dead = await deadPort();
    const host = await frontend(stage, "f1.test", dead, b.at);

    for (const method of ["GET", "POST", "GET", "POST"]) {
      assert.equal((await stage.router.echo({ host, method })).name, "b");
    }

    await eventually("it is marked", async () =>
      assert.deepEqual(await stage.redis.client.smembers("dead:f1.test"), ["0"]),
    );
    const ttl = await stage.redis.client.ttl("dead:f1.test");
    assert.ok(ttl > 20 && ttl <= 30, String(ttl));
    await eventually("it is told of", () => assert.ok(heard.includes(`f1.test;http://${dead};0;2`)));
  });

  it("F2: a backend that has moved to a marked index stays alive", async () => {
    const host = await frontend(stage, "f2.test", a.at, b.at);
    await stage.redis.client.sadd("dead:f2.test", "0");
    await eventually("a is dead", async () =>
      assert.deepEqual(tally(await askTimes(stage.router, host, 6)), { b: 6 }),
    );

    await stage.redis.client
      .multi()
      .lrem("frontend:f2.test", 0, `http://${a.at}`)
      .hset("route:f2.test", "request_header.X-Read", "1")
      .exec();
    await eventually("the list is read", async () =>
      assert.equal((await stage.router.echo({ host })).headers["x-read"], "1"),
    );

    assert.deepEqual(tally(await askTimes(stage.router, host, 6)), { b: 6 });
    assert.deepEqual(await stage.redis.client.smembers("dead:f2.test"), ["0"]);
  });

  it("F3: under a wildcard the mark is the host's and the wildcard's, and the word is about the wildcard", async () => {
    const dead = await deadPort();
    await frontend(stage, "*.f3.test", dead, b.at);

    for (let i = 0; i < 4; i += 1) {
      assert.equal((await stage.router.echo({ host: "x.f3.test" })).name, "b");
    }

    await eventually("both are marked", async () => {
      assert.deepEqual(await stage.redis.client.smembers("dead:x.f3.test"), ["0"]);
      assert.deepEqual(await stage.redis.client.smembers("dead:*.f3.test"), ["0"]);
    });
    await eventually("it is told of", () => assert.ok(heard.includes(`*.f3.test;http://${dead};0;2`)));
  });

  it("under a wildcard have the marks of the host that was asked for, and those of the wildcard", async () => {
    const { client } = stage.redis;
    const all = ["a", "b"];
    await frontend(stage, "*.both.test", a.at, b.at);
    const who = async (host: string): Promise<string[]> =>
      Object.keys(tally(await askTimes(stage.router, host, 12))).sort();
    assert.deepEqual([await who("x.both.test"), await who("y.both.test")], [all, all]);

    await client.sadd("dead:x.both.test", "0");
    await eventually("it is out for this host", async () =>
      assert.deepEqual(await who("x.both.test"), ["b"]),
    );
    assert.deepEqual(await who("y.both.test"), all);

    await client.sadd("dead:*.both.test", "1");
    await eventually("both sets count", async () => {
      assert.equal(reasonOf(await stage.router.ask({ host: "x.both.test" })), "502 all_dead");
      assert.deepEqual(await who("y.both.test"), ["a"]);
    });

    // Its list moves: the host's mark means who stood there, not who stands there now.
    await client
      .multi()
      .del("dead:*.both.test")
      .lrem("frontend:*.both.test", 0, `http://${a.at}`)
      .rpush("frontend:*.both.test", `http://${a.at}`)
      .exec();
    await eventually("nobody is meant", async () => assert.deepEqual(await who("x.both.test"), all));
    await client.del("dead:x.both.test");
    await client.sadd("dead:z.both.test", "0");
    await eventually("of a host asked for first", async () =>
      assert.deepEqual(await who("z.both.test"), ["a"]),
    );
    await eventually("the wildcard has it again", async () =>
      assert.deepEqual(await who("x.both.test"), all),
    );
  });

  it("a mark has the backend looked at: who takes no connection is out of all routes, and nobody else is", async () => {
    const mortal = await stage.backend("mortal");
    const first = await frontend(stage, "first-mark.test", a.at, mortal.at);
    const second = await frontend(stage, "second-mark.test", a.at, mortal.at, b.at);
    const who = async (): Promise<string[]> =>
      Object.keys(tally(await askTimes(stage.router, second, 18))).sort();
    const mark = async (): Promise<void> => {
      await stage.redis.client.sadd(`dead:${first}`, "0", "1");
      await eventually("all are dead there", async () =>
        assert.equal(reasonOf(await stage.router.ask({ host: first })), "502 all_dead"),
      );
    };
    await askTimes(stage.router, first, 4);
    await mark();
    assert.deepEqual(await who(), ["a", "b", "mortal"]);
    await stage.redis.client.del(`dead:${first}`);
    await eventually("the marks are gone", async () => stage.router.echo({ host: first }));

    await mortal.close();
    await mark();
    await stage.router.logged(new RegExp(`http://${mortal.at} is out: marked_dead`));

    assert.deepEqual(await who(), ["a", "b"]);
    assert.ok(!stage.router.log().some((line) => line.includes(`http://${a.at} is out`)));
  });

  it("F4: with the id alone are 502", async () => {
    await stage.redis.client.rpush("frontend:idle.test", "idle");

    assert.equal(reasonOf(await stage.router.ask({ host: "idle.test" })), "502 no_instances");
  });

  it("with all backends dead are 502, and come back when the marks end", async () => {
    const host = await frontend(stage, "gone.test", a.at, b.at);
    await stage.redis.client.sadd("dead:gone.test", "0", "1");
    await eventually("all are dead", async () =>
      assert.equal(reasonOf(await stage.router.ask({ host })), "502 all_dead"),
    );

    await stage.redis.client.del("dead:gone.test");

    await eventually("they are back", async () => stage.router.echo({ host }));
  });

  it("F5: while a health checker runs failures are told of, not marked", async () => {
    const dead = await deadPort();
    const host = await frontend(stage, "f5.test", dead, b.at);
    await stage.redis.client.set("hchecker_ping", Math.floor(Date.now() / 1000));

    for (let i = 0; i < 4; i += 1) {
      assert.equal((await stage.router.echo({ host })).name, "b");
    }
    await eventually("it is told of", () => assert.ok(heard.includes(`f5.test;http://${dead};0;2`)));
    assert.equal(await stage.redis.client.exists("dead:f5.test"), 0);

    // 31 s after its last word nobody counts on it any more.
    await stage.redis.client.set("hchecker_ping", Math.floor(Date.now() / 1000) - 31);
    // Another instance: the first one is out of the pools for a moment.
    const other = await frontend(stage, "f5-later.test", await deadPort(), b.at);
    for (let i = 0; i < 4; i += 1) {
      assert.equal((await stage.router.echo({ host: other })).name, "b");
    }
    await eventually("it is marked", async () =>
      assert.deepEqual(await stage.redis.client.smembers("dead:f5-later.test"), ["0"]),
    );
  });

  it("the only backend of a list is not marked", async () => {
    const host = await frontend(stage, "lonely.test", await deadPort());

    assert.equal(reasonOf(await stage.router.ask({ host })), "502 connect_failed");

    await stage.router.echo({ host: "app.test" });
    assert.equal(await stage.redis.client.exists("dead:lonely.test"), 0);
  });

  it("F12: a client that leaves marks nobody", async () => {
    const silent = await stage.keep(startRaw("silent", () => undefined));
    const other = await stage.keep(startRaw("silent too", () => undefined));
    const host = await frontend(stage, "f12.test", silent.at, other.at);

    await assert.rejects(async () => stage.router.ask({ host, patience: 0.3 }));

    await stage.router.echo({ host: "app.test" });
    assert.equal(await stage.redis.client.exists("dead:f12.test"), 0);
  });

  it("a wrong type hurts its own host alone", async () => {
    await stage.redis.client.set("frontend:bad.test", "x");

    assert.equal(reasonOf(await stage.router.ask({ host: "bad.test" })), "400 unknown_route");
    assert.equal((await stage.router.echo({ host: "app.test" })).method, "GET");
    await stage.router.logged(/frontend:bad\.test.*must be a list/);
  });

  it("F11: when Redis is gone known ones are served, and of others nothing is claimed", async () => {
    await stage.router.echo({ host: "app.test" });
    await stage.redis.stop();
    await eventually("it is noticed", async () =>
      assert.equal(reasonOf(await stage.router.ask({ host: "unseen.test" })), "503 store_unreachable"),
    );

    assert.deepEqual(tally(await askTimes(stage.router, "app.test", 10)), { a: 5, b: 5 });
    await stage.redis.start();
  });
});

describe("planb's frontends", () => {
  const stage = useStage({
    workers: 1,
    environment: { SWITCHBOARD_SCHEMA: "planb" },
    server: "set $switchboard_ping on;",
  });

  it("F6: with the port that was asked for come first", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    await frontend(stage, "h.test:8080", a.at);
    await frontend(stage, "h.test", b.at);
    const who = async (host: string): Promise<string> => (await stage.router.echo({ host })).name;

    assert.equal(await who("h.test:8080"), "a");
    assert.equal(await who("h.test:9090"), "b");
    assert.equal(await who("h.test"), "b");
    await frontend(stage, "h.test:9090", a.at);
    await eventually("the port's own is seen", async () => assert.equal(await who("h.test:9090"), "a"));
    await stage.redis.client.del("frontend:h.test:8080");
    await eventually("the host has it again", async () => assert.equal(await who("h.test:8080"), "b"));
  });

  it("a host that comes to be has its ports at once", async () => {
    assert.equal(reasonOf(await stage.router.ask({ host: "later.test:81" })), "400 unknown_route");

    await frontend(stage, "later.test", (await stage.backend("later")).at);

    await eventually("it is seen", async () => stage.router.echo({ host: "later.test:81" }));
  });

  it("have no wildcards, bare backends, and 400 for nobody and for the id alone", async () => {
    const a = await stage.backend("a");
    await frontend(stage, "*.wild.test", a.at);
    await stage.redis.client.rpush("frontend:bare.test", "id", a.at);
    await stage.redis.client.rpush("frontend:idle.test", "idle");

    assert.equal((await stage.router.echo({ host: "bare.test" })).name, "a");
    for (const host of ["x.wild.test", "idle.test", "nobody.test"]) {
      assert.equal(reasonOf(await stage.router.ask({ host })), "400 unknown_route");
    }
  });

  it("with a single dead backend are marked, and answer 503", async () => {
    const dead = await deadPort();
    const host = await frontend(stage, "lonely.test", dead);

    await stage.router.ask({ host });

    await eventually("all are dead", async () =>
      assert.equal(reasonOf(await stage.router.ask({ host })), "503 all_dead"),
    );
    assert.deepEqual(await stage.redis.client.smembers("dead:lonely.test"), ["0"]);
  });

  it("are checked as their healthcheck says: who fails is marked, and the mark of who passes goes", async () => {
    const { client } = stage.redis;
    let status = 200;
    const paths: string[] = [];
    const checked = async (name: string, statusOf: () => number): Promise<Backend> =>
      stage.keep(
        startApp(name, (request, response) => {
          if (request.headers["user-agent"] === "Switchboard-Check") {
            paths.push(`${name} ${request.headers.host}${request.url}`);
            response.writeHead(statusOf()).end("WORKING\n");
          } else {
            response.end(JSON.stringify({ name }));
          }
        }),
      );
    const ill = await checked("ill", () => status);
    const well = await checked("well", () => 200);
    const host = await frontend(stage, "checked.test", ill.at, well.at);
    await client.hset(`healthcheck:${host}`, { path: "up", status: "200", body: "WORKING" });
    assert.deepEqual(tally(await askTimes(stage.router, host, 4)), { ill: 2, well: 2 });
    await eventually("it is checked", () => assert.ok(paths.includes("ill checked.test/up"), paths.join()));
    const heard = await words(stage);

    status = 500;
    await eventually(
      "it is marked",
      async () => assert.deepEqual(await client.smembers(`dead:${host}`), ["0"]),
      20,
    );
    await eventually("it is told of", () =>
      assert.ok(heard.includes(`${host};http://${ill.at};0;2`), heard.join()),
    );
    await stage.router.logged(new RegExp(`http://${ill.at} is out: check_failed: http:/up: status 500`));
    await eventually("it is out", async () =>
      assert.deepEqual(tally(await askTimes(stage.router, host, 4)), { well: 4 }),
    );

    status = 200;
    await eventually("the mark goes", async () => assert.equal(await client.exists(`dead:${host}`), 0), 20);
    await eventually("it is back", async () =>
      assert.deepEqual(tally(await askTimes(stage.router, host, 4)), { ill: 2, well: 2 }),
    );

    // Another router has called it dead; its own check says otherwise.
    await client.sadd(`dead:${host}`, "0");
    await eventually(
      "that mark goes too",
      async () => assert.equal(await client.exists(`dead:${host}`), 0),
      20,
    );

    await client.hset(`healthcheck:${host}`, { path: "/other" });
    await eventually("the change is heard", () =>
      assert.ok(paths.includes("ill checked.test/other"), paths.join()),
    );
  });

  it("a load balancer's __ping__ is answered where that was set", async () => {
    const ping = await stage.router.ask({ host: "__ping__" });

    assert.deepEqual([ping.status, ping.body], [200, "OK"]);
    const untrusted = await stage.moreRouter({ workers: 1, environment: { SWITCHBOARD_SCHEMA: "planb" } });
    assert.equal(reasonOf(await untrusted.ask({ host: "__ping__" })), "400 unknown_route");
  });
});

describe("DINP's lists", () => {
  const stage = useStage({ workers: 1, environment: { SWITCHBOARD_SCHEMA: "dinp" } });

  it("F7: lead there by name and by cname, and 404 as its users know it", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    await stage.redis.client.lpush("/rs/demo.apps.test", a.at, b.at);
    await stage.redis.client.set("/cname/www.demo.test", "/rs/demo.apps.test");
    await stage.redis.client.sadd("/rs/bad.test", "x");
    await stage.redis.client.set("foo", "1");
    const unknown = async (host: string): Promise<void> => {
      const answer = await stage.router.ask({ host });
      assert.equal(reasonOf(answer), "404 unknown_route");
      assert.equal(answer.headers["x-cf-routererror"], "unknown_route");
    };

    for (const host of ["demo.apps.test", "www.demo.test", "WWW.demo.test"]) {
      assert.deepEqual(tally(await askTimes(stage.router, host, 4)), { a: 2, b: 2 });
    }
    await unknown("bad.test");
    await stage.redis.client.del("/rs/demo.apps.test");
    await eventually("both are gone", async () => {
      await unknown("demo.apps.test");
      await unknown("www.demo.test");
    });
    await stage.redis.client.lpush("/rs/demo.apps.test", b.at);
    await eventually("both are back", async () => {
      assert.equal((await stage.router.echo({ host: "www.demo.test" })).name, "b");
      assert.equal((await stage.router.echo({ host: "demo.apps.test" })).name, "b");
    });
    assert.deepEqual((await stage.redis.client.keys("*")).sort(), [
      "/cname/www.demo.test",
      "/rs/bad.test",
      "/rs/demo.apps.test",
      "foo",
    ]);
  });

  it("a failed instance is gorouter's endpoint_failure", async () => {
    await stage.redis.client.lpush("/rs/broken.test", await deadPort());

    const answer = await stage.router.ask({ host: "broken.test" });

    assert.equal(reasonOf(answer), "502 connect_failed");
    assert.equal(answer.headers["x-cf-routererror"], "endpoint_failure (connect_failed)");
  });
});

describe("several layouts at once", () => {
  const stage = useStage({ workers: 1, environment: { SWITCHBOARD_SCHEMA: "native,hipache,dinp" } });

  it("the first that knows a name has it, and options alone leave the instances to the next", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    const who = async (host: string): Promise<string> => (await stage.router.echo({ host })).name;
    await stage.serve("both.test", a);
    await frontend(stage, "both.test", b.at);
    await frontend(stage, "old.test", b.at);
    await stage.redis.client.hset("route:old.test", "request_header.X-A", "1");
    await stage.redis.client.lpush("/rs/older.test", c.at);
    await frontend(stage, "*.test", b.at);

    assert.equal(await who("both.test"), "a");
    assert.equal(await who("old.test"), "b");
    assert.equal((await stage.router.echo({ host: "old.test" })).headers["x-a"], "1");
    assert.equal(await who("older.test"), "c");
    assert.equal(await who("any.test"), "b");
    await stage.redis.client.del("backends:both.test");
    await eventually("the next has it", async () => assert.equal(await who("both.test"), "b"));
  });

  it("F4: the id alone is 503, as of a route of our own; all dead are tried", async () => {
    await stage.redis.client.rpush("frontend:idle.test", "idle");
    const a = await stage.backend("a");
    await frontend(stage, "panic.test", a.at);
    await stage.redis.client.sadd("dead:panic.test", "0");

    assert.equal(reasonOf(await stage.router.ask({ host: "idle.test" })), "503 no_instances");
    assert.equal((await stage.router.echo({ host: "panic.test" })).name, "a");
  });
});

describe("servers with a layout of their own", () => {
  const server = (name: string, schema: string): string =>
    `server { listen 127.0.0.1:{port}; server_name ~^${name}[.]; include switchboard/errors.conf; include switchboard/prepared.conf; set $switchboard_schema ${schema}; location / { include switchboard/proxy.conf; } }`;
  const stage = useStage({
    workers: 2,
    environment: { SWITCHBOARD_SERVER_SCHEMAS: "dinp,hipache,native" },
    http: `${server("d", "dinp")} ${server("h", "hipache")} ${server("n", "native")} ${server("x", "planb")}`,
  });
  let a: Backend;
  let b: Backend;
  before(async () => {
    a = await stage.backend("a");
    b = await stage.backend("b");
  });

  it("know its names alone, answer as its users expect, and see its changes", async () => {
    const { client } = stage.redis;
    for (const host of ["d.test", "h.test", "n.test"]) {
      const miss = await stage.router.ask({ host });
      const expected = host === "h.test" ? "400 unknown_route" : "404 unknown_route";
      assert.equal(reasonOf(miss), expected, host);
      assert.equal(miss.headers["x-cf-routererror"], host === "d.test" ? "unknown_route" : undefined);
      await client.sadd(`backends:${host}`, a.at);
    }
    await eventually("the native server has it", async () => stage.router.echo({ host: "n.test" }));
    assert.equal(reasonOf(await stage.router.ask({ host: "d.test" })), "404 unknown_route");
    assert.equal(reasonOf(await stage.router.ask({ host: "h.test" })), "400 unknown_route");

    await client.rpush("/rs/d.test", b.at);
    await frontend(stage, "h.test", b.at);

    await eventually("they are seen", async () => {
      assert.equal((await stage.router.echo({ host: "d.test" })).name, "b");
      assert.equal((await stage.router.echo({ host: "h.test" })).name, "b");
    });
  });

  it("have wildcards, cnames, pools, splits and paths of its own", async () => {
    const { client } = stage.redis;
    await frontend(stage, "*.wild.test", b.at);
    await client.set("/cname/d.alias.test", "/rs/d.target.test");
    await client.rpush("/rs/d.target.test", b.at);
    await client.hset("route:n.pool.test", "pool", "@shop");
    await client.hset("route:n.split.test", "split", "@shop=1,@other=1");
    await client.sadd("backends:@shop", a.at);
    await client.sadd("backends:@other", b.at);
    await client.sadd("paths:n.paths.test", "/api");
    await client.sadd("backends:n.paths.test/api", a.at);
    await client.hset("route:n.paths.test", "request_header.X-A", "1");

    assert.equal((await stage.router.echo({ host: "h.wild.test" })).name, "b");
    assert.equal((await stage.router.echo({ host: "d.alias.test" })).name, "b");
    assert.equal((await stage.router.echo({ host: "n.pool.test" })).name, "a");
    const arms = tally(await askTimes(stage.router, "n.split.test", 8));
    assert.deepEqual(Object.keys(arms).sort(), ["a", "b"]);
    const below = await stage.router.echo({ host: "n.paths.test", path: "/api/x" });
    assert.deepEqual([below.name, below.headers["x-a"]], ["a", "1"]);

    await client.srem("backends:@shop", a.at);
    await client.sadd("backends:@shop", b.at);
    await eventually("the pool has changed", async () =>
      assert.equal((await stage.router.echo({ host: "n.pool.test" })).name, "b"),
    );
  });

  it("mark a dead backend under the name that Redis knows", async () => {
    const dead = await deadPort();
    await frontend(stage, "h.dead.test", dead, b.at);

    for (let i = 0; i < 4; i += 1) {
      assert.equal((await stage.router.echo({ host: "h.dead.test" })).name, "b");
    }

    await eventually("it is marked", async () =>
      assert.deepEqual(await stage.redis.client.smembers("dead:h.dead.test"), ["0"]),
    );
  });

  it("have the layouts of `schema` where they choose what is not allowed, and the log says so", async () => {
    await stage.redis.client.sadd("backends:x.test", a.at);

    assert.equal((await stage.router.echo({ host: "x.test" })).name, "a");
    await stage.router.logged(/\$switchboard_schema is "planb": not in server_schemas/);
  });
});
