/** The admin server: what it tells, whom it lets in, and what it makes of garbage. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { addressOfThisMachine } from "./support/addresses.ts";
import { eventually } from "./support/eventually.ts";
import { ask, sendRaw, statusOf, type Answer, type Question } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

type Json = Record<string, unknown>;

interface Instance {
  address: string;
  state: string;
  weight: number;
  in_flight: number;
  zone?: string;
  ejected_until?: number;
  ejected_why?: string;
  latency?: number;
}

interface Route {
  name: string;
  schema: string;
  version: string;
  age: number;
  state: string;
  cache: string;
  instances: Instance[];
  problems: number;
}

interface Routes {
  total: number;
  known: number;
  next: string | null;
  routes: Route[];
}

/** An admin server beside the router's own; its port is the same after a restart of a container. */
async function adminServer(address = "127.0.0.1"): Promise<{ port: number; http: string }> {
  const port = await freePort();
  return { port, http: `server { listen ${address}:${port}; include switchboard/admin.conf; }` };
}

/** Fields that are seconds. */
const SECONDS = /"(?:age|latency|lag|time|until|ejected_until|down_for|store_down_for)":([^,}]+)/g;

/** Asks an admin server; every answer must be JSON, and its seconds have no digits beyond milliseconds. */
async function tell(
  port: number,
  path: string,
  question: Partial<Question> = {},
): Promise<[number, Json, Answer]> {
  const answer = await ask(port, { host: "localhost", path, ...question });
  assert.match(String(answer.headers["content-type"]), /^application\/json/, `${path}: ${answer.body}`);
  for (const [field, value] of answer.body.matchAll(SECONDS)) {
    assert.match(value!, /^\d+(\.\d{1,3})?$/, `${path}: ${field}`);
  }
  return [answer.status, JSON.parse(answer.body) as Json, answer];
}

async function told<T>(port: number, path: string): Promise<T> {
  const [status, body] = await tell(port, path);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body as T;
}

const open = await adminServer();

describe("the admin server", () => {
  const stage = useStage({
    workers: 1,
    http: open.http,
    environment: { SWITCHBOARD_CONNECT_TIMEOUT: "200ms" },
  });

  it("tells a route with its instances, options, keys and what was skipped", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("told.test", a);
    const { client } = stage.redis;
    await client.sadd(
      `backends:${host}`,
      `${b.at}?weight=3&zone=z1`,
      "10.0.0.1:80?drain=1",
      "not an instance",
    );
    await client.hset(`route:${host}`, { tries: "2", "meta.owner": "web", balance: "nonsense", hsts: "on" });
    await stage.router.echo({ host });

    const route = await told<Route & Json>(open.port, `/routes/${host}`);

    assert.equal(route.name, host);
    assert.deepEqual([route.schema, route.state, route.cache, route.problems], ["native", "ok", "worker", 2]);
    assert.match(route.version, /^[0-9a-f]{12}$/);
    assert.ok(route.age >= 0 && route.age < 60);
    const byAddress = new Map(route.instances.map((each) => [each.address, each]));
    assert.deepEqual(byAddress.get(a.at), { address: a.at, state: "up", weight: 1, in_flight: 0 });
    assert.deepEqual(byAddress.get(b.at), {
      address: b.at,
      state: "up",
      weight: 3,
      in_flight: 0,
      zone: "z1",
    });
    assert.equal(byAddress.get("10.0.0.1:80")?.state, "draining");
    assert.deepEqual(
      [route.options, route.policy, route.meta],
      [{ tries: 2 }, { hsts: "on" }, { owner: "web" }],
    );
    assert.deepEqual(route.source_keys, [
      `instances:${host}`,
      `route:${host}`,
      `paths:${host}`,
      `backends:${host}`,
    ]);
    const skipped = (route.skipped as Json[])
      .map((each) => `${String(each.key)} ${String(each.value)}`)
      .sort();
    assert.deepEqual(skipped, [`backends:${host} not an instance`, `route:${host} balance nonsense`]);
    assert.deepEqual([route.split, route.paths], [[], []]);

    // What is put right is no longer told.
    await client.multi().srem(`backends:${host}`, "not an instance").hdel(`route:${host}`, "balance").exec();
    await eventually("nothing is skipped", async () =>
      assert.equal((await told<Route>(open.port, `/routes/${host}`)).problems, 0),
    );
  });

  it("tells seconds to the millisecond", async () => {
    const [a, dead] = [await stage.backend("timed"), await deadPort()];
    const host = await stage.serve("timed.test", a);
    const ill = await stage.serve("timed-ill.test", a);
    await stage.redis.client.hset(`route:${host}`, "balance", "ewma");
    await stage.redis.client.sadd(`backends:${ill}`, dead);
    await stage.router.echo({ host });
    await eventually("one is ejected", async () => {
      await stage.router.ask({ host: ill });
      assert.match((await tell(open.port, `/instances/${dead}`))[2].body, /"ejected_until":\d/);
    });
    // How long something is ago has few digits once in a while by chance.
    for (let i = 0; i < 5; i += 1) {
      for (const path of [`/routes/${host}`, `/routes?name=${host}`, `/explain?host=${host}`]) {
        assert.match((await tell(open.port, path))[2].body, /"age":\d/);
      }
      assert.match((await tell(open.port, `/instances/${a.at}`))[2].body, /"latency":\d/);
      for (const path of [`/instances/${dead}`, "/status", "/events", "/readyz"]) {
        await told(open.port, path);
      }
    }
  });

  it("tells routes with a path, a wildcard and a split by their names", async () => {
    const a = await stage.backend("a");
    const { client } = stage.redis;
    await client.sadd("paths:way.test", "/api/v1");
    await stage.serve("way.test", a);
    await client.sadd("backends:way.test/api/v1", a.at);
    await client.sadd("backends:*.wild.test", a.at);
    await client.sadd("backends:@one", a.at);
    await client.hset("route:cut.test", "split", "@one=1,@two=0");
    await stage.router.echo({ host: "way.test", path: "/api/v1/x" });
    await stage.router.echo({ host: "x.wild.test" });
    await stage.router.echo({ host: "cut.test" });

    for (const name of ["way.test/api/v1", "*.wild.test", "%2A.wild.test", "cut.test%23%40one"]) {
      assert.equal((await told<Route>(open.port, `/routes/${name}`)).name, decodeURIComponent(name));
    }
    assert.deepEqual((await told<Json>(open.port, "/routes/way.test")).paths, ["/api/v1"]);
    const cut = await told<Route & Json>(open.port, "/routes/cut.test");
    assert.equal(cut.state, "ok");
    assert.deepEqual(cut.split, [
      { pool: "@one", share: 1, route: "cut.test#@one" },
      { pool: "@two", share: 0, route: "cut.test#@two" },
    ]);
  });

  it("lists routes in pages, by part of the name, by state and by meta", async () => {
    const a = await stage.backend("a");
    const dead = await deadPort();
    const { client } = stage.redis;
    const names: string[] = [];
    for (let i = 0; i < 25; i += 1) {
      names.push(await stage.serve(`listed-${String(i).padStart(2, "0")}.test`, a));
    }
    await client.hset("route:listed-07.test", { "meta.team": "a b" });
    await client.sadd("backends:listed-08.test", dead);
    await client.del("backends:listed-09.test");
    await client.sadd("backends:listed-09.test", "-");
    for (const host of names) {
      await stage.router.ask({ host });
    }
    const seen: string[] = [];
    let next: string | null = "";
    while (next !== null) {
      const page: Routes = await told(
        open.port,
        `/routes?q=listed-&limit=10&after=${encodeURIComponent(next)}`,
      );
      assert.equal(page.total, 25);
      assert.ok(page.known >= 25 && page.routes.length <= 10);
      seen.push(...page.routes.map((each) => each.name));
      next = page.next;
    }
    assert.deepEqual(seen, names);

    const only = async (query: string): Promise<string[]> =>
      (await told<Routes>(open.port, `/routes?q=listed-&${query}`)).routes.map((each) => each.name);
    assert.deepEqual(await only("meta.team=a+b"), ["listed-07.test"]);
    assert.deepEqual(await only("meta.team=b"), []);
    assert.deepEqual(await only("state=empty"), ["listed-09.test"]);
    await eventually("one is ejected", async () => {
      await stage.router.ask({ host: "listed-08.test" });
      const { routes } = await told<Routes>(open.port, "/routes?q=listed-&state=ejected");
      assert.deepEqual(
        routes.map((each) => each.name),
        ["listed-08.test"],
      );
      const out = routes[0]!.instances.find((each) => each.address === dead)!;
      assert.deepEqual(
        [routes[0]!.state, out.state, out.ejected_why],
        ["degraded", "ejected", "connect_failed"],
      );
      assert.ok(Math.abs(out.ejected_until! - Date.now() / 1000) < 60);
    });
    assert.equal((await only("state=ok")).length, 23);
  });

  it("tells of an instance in which routes it stands, and how the node does", async () => {
    const a = await stage.backend("lonely");
    for (const host of ["first-of-it.test", "second-of-it.test"]) {
      await stage.router.echo({ host: await stage.serve(host, a) });
    }
    for (const address of [a.at, `http://${a.at}`]) {
      const instance = await told<Json>(open.port, `/instances/${address}`);
      assert.deepEqual([instance.address, instance.state, instance.routes_total], [a.at, "up", 2]);
      assert.deepEqual(instance.routes, ["first-of-it.test", "second-of-it.test"]);
    }
    const status = await told<Json>(open.port, "/status");
    assert.deepEqual([status.worker, status.workers, status.draining], [0, 1, false]);
    assert.deepEqual(status.store, {
      state: "up",
      server: stage.redis.url,
      cause: "",
      reason: "",
      down_for: 0,
    });
    assert.equal((status.watch as Json).mode, "tracking");
    assert.deepEqual(status.guard, { held: 0, of: 0 });
    const dicts = Object.entries(status.dicts as Record<string, { capacity: number; free: number }>);
    assert.equal(dicts.length, 5);
    assert.ok(dicts.every(([, { capacity, free }]) => capacity > 0 && free > 0 && free <= capacity));
    assert.deepEqual(await told(open.port, "/healthz"), { ok: true });
    assert.deepEqual(await told(open.port, "/readyz"), {
      ready: true,
      state: "ready",
      store_down_for: 0,
      reasons: [],
    });
    assert.ok(Array.isArray((await told<Json>(open.port, "/events")).events));
    const metrics = await ask(open.port, { host: "localhost", path: "/metrics" });
    assert.match(metrics.body, /switchboard_route_requests_total\{code="2xx",route="first-of-it\.test"\}/);
  });

  it("answers garbage in JSON, with the right status and no effect", async () => {
    const statuses: [number, string, Partial<Question>?][] = [
      [404, "/nothing"],
      [404, "/routes/unknown-to-it.test"],
      [400, "/routes/%00"],
      [404, "/routes/%ff%3Cscript%3E"],
      [404, "/routesx"],
      [404, "/instances/10.9.9.9:9"],
      [400, "/../../etc/passwd"],
      [400, "/ui/../../../etc/passwd"],
      [404, "/ui/%2e%2e/etc/passwd"],
      [400, "/instances/nobody"],
      [400, "/instances/10.0.0.1:99999"],
      [400, "/routes?limit=0"],
      [400, "/routes?limit=1001"],
      [400, "/routes?limit=x"],
      [400, "/routes?state=unheard"],
      [400, "/routes?order=unheard"],
      [400, "/routes?order=busiest&after=a"],
      [400, "/routes?instances=1001"],
      [400, "/routes?name=a&q=b"],
      [400, "/names?name=a"],
      [400, "/names?instances=1"],
      [400, "/names?limit=1001"],
      [400, "/routes?colour=red"],
      [414, `/routes?q=${"x".repeat(5000)}`],
      [414, `/routes?${"q=1&".repeat(200)}`],
      [414, `/routes?q=${"x".repeat(20000)}`],
      [405, "/routes", { method: "DELETE" }],
      [405, "/status", { method: "POST" }],
      [405, "/healthz", { method: "PUT" }],
      [413, "/status", { method: "POST", body: "x".repeat(5000) }],
    ];
    for (const [status, path, question] of statuses) {
      const [got, body] = await tell(open.port, path, question);
      assert.equal(got, status, `${path.slice(0, 80)}: ${JSON.stringify(body)}`);
      assert.equal(typeof body.error, "string");
    }
    const bytes = await sendRaw(open.port, "GET /status HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n");
    assert.equal(statusOf(bytes), 400);
    assert.match(bytes, /\{"detail":.*"error":"bad_request"\}/);
    assert.equal((await ask(open.port, { host: "localhost", path: "/status", method: "HEAD" })).body, "");
  });
});

const guarded = await adminServer("0.0.0.0");
const TOKEN = "a token of 3 words".replaceAll(" ", "-");
const BEARER = { authorization: `Bearer ${TOKEN}` };

describe("the admin server with a token", () => {
  const stage = useStage({
    workers: 2,
    http: guarded.http,
    environment: {
      SWITCHBOARD_ADMIN_TOKEN: TOKEN,
      SWITCHBOARD_EMPTY_HOLD: "0",
      SWITCHBOARD_TTL: "600s",
      SWITCHBOARD_OBSERVE: "instances",
    },
  });
  const order = async (path: string): Promise<[number, Json, Answer]> =>
    tell(guarded.port, path, { method: "POST", headers: BEARER });
  const look = async <T>(path: string): Promise<T> => {
    const [status, body] = await tell(guarded.port, path, { headers: BEARER });
    assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
    return body as T;
  };
  const kinds = async (): Promise<string[]> =>
    (await look<{ events: { kind: string; detail: string }[] }>("/events")).events.map(
      (each) => `${each.kind} ${each.detail}`,
    );

  it("answers nobody without the right one, by any method, at any path", async () => {
    const tokens = [
      undefined,
      "",
      TOKEN,
      "Bearer",
      "Bearer ",
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Bearer ${TOKEN.toUpperCase()}`,
      `Basic ${TOKEN}`,
      `Bearer ${"x".repeat(4000)}`,
    ];
    const paths = [
      "/healthz",
      "/readyz",
      "/status",
      "/routes",
      "/routes/a",
      "/names",
      "/explain?host=a.test",
      "/events",
    ];
    for (const path of [
      ...paths,
      "/metrics",
      "/guard/release",
      "/openapi.json",
      "/instances/10.0.0.1:80/eject",
    ]) {
      for (const authorization of tokens) {
        const headers = authorization !== undefined ? { authorization } : {};
        for (const method of ["GET", "POST", "DELETE"]) {
          const [status, body, answer] = await tell(guarded.port, path, { method, headers });
          assert.deepEqual([status, body.error], [401, "unauthorized"], `${method} ${path} ${authorization}`);
          assert.match(String(answer.headers["www-authenticate"]), /^Bearer/);
        }
      }
    }
    // Under any name: a page that has its own lead here has no token.
    const headers = { authorization: `bearer ${TOKEN}` };
    assert.equal((await tell(guarded.port, "/status", { headers, host: "any.example" }))[0], 200);
  });

  it("takes an instance out by hand, of all workers, and puts it back", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("by-hand.test", a, b);
    for (let i = 0; i < 20; i += 1) {
      await stage.router.echo({ host });
    }
    const [status, body] = await order(`/instances/${a.at}/eject?seconds=3000`);
    assert.deepEqual([status, body.address, body.state], [200, a.at, "ejected"]);
    assert.ok(Math.abs((body.ejected_until as number) - Date.now() / 1000 - 3000) < 60);
    // An instance that takes connections is not brought back by a probe: 1.5 s are more than one of these.
    await eventually("no worker sends a request there", async () => {
      const before = a.count();
      for (let i = 0; i < 30; i += 1) {
        await stage.router.echo({ host });
      }
      assert.equal(a.count(), before);
    });
    const until = Date.now() + 1500;
    const before = a.count();
    while (Date.now() < until) {
      await stage.router.echo({ host });
    }
    assert.equal(a.count(), before);
    const route = await look<Route>(`/routes/${host}`);
    assert.deepEqual(
      route.instances.map((each) => [each.address, each.state, each.ejected_why ?? ""]).sort(),
      [
        [a.at, "ejected", "by_hand"],
        [b.at, "up", ""],
      ].sort(),
    );
    const outSeries = async (): Promise<string[]> =>
      (await ask(guarded.port, { host: "localhost", path: "/metrics", headers: BEARER })).body
        .split("\n")
        .filter((line) => /^switchboard_instances?_ejected[ {]/.test(line));
    assert.deepEqual(await outSeries(), [
      "switchboard_instances_ejected 1",
      `switchboard_instance_ejected{instance="http://${a.at}"} 1`,
    ]);
    const { ejections } = await look<{ ejections: { address: string; why: string }[] }>("/status");
    assert.deepEqual(
      ejections.map(({ address, why }) => [address, why]),
      [[a.at, "by_hand"]],
    );

    assert.equal((await order(`/instances/${a.at}/restore`))[0], 200);
    await eventually("it has requests again", async () => {
      await stage.router.echo({ host });
      assert.notEqual(a.count(), before);
    });
    assert.deepEqual((await order(`/instances/${a.at}/restore`)).slice(0, 1), [409]);
    assert.deepEqual(await outSeries(), ["switchboard_instances_ejected 0"]);
    const told = await kinds();
    assert.ok(
      told.includes("instance_ejected by hand, for 3000 s") && told.includes("instance_recovered by hand"),
    );
  });

  it("forgets a route and believes what Redis says of it then", async () => {
    const a = await stage.backend("a");
    const host = await stage.serve("forgotten.test", a);
    await stage.router.echo({ host });
    const [status, body] = await order(`/routes/${host}/forget`);
    assert.deepEqual([status, body], [200, { name: host, known: true }]);
    assert.equal((await stage.router.echo({ host })).name, "a");
    assert.ok((await kinds()).includes("route_removed by hand"), "the event");
    assert.equal((await order("/routes/never-seen.test/forget"))[0], 404);
  });

  it("lets go what the guard holds, and single routes of it", async () => {
    assert.equal((await order("/guard/release"))[0], 409);
    const a = await stage.backend("a");
    const hosts: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      hosts.push(await stage.serve(`held-${i}.test`, a));
      await stage.router.echo({ host: hosts[i]! });
    }
    await stage.redis.client.flushall();
    await eventually("they are held", async () => {
      const { state, reasons } = await look<{ state: string; reasons: { reason: string }[] }>("/readyz");
      assert.deepEqual([state, reasons.map((each) => each.reason)], ["degraded", ["guard_holding"]]);
    });
    assert.equal((await look<Route>(`/routes/${hosts[0]}`)).state, "held");
    assert.equal((await stage.router.ask({ host: hosts[0]! })).status, 200);

    assert.deepEqual((await order(`/routes/${hosts[0]}/forget`))[1], { name: hosts[0], known: false });
    await eventually("one is gone", async () => {
      assert.equal((await stage.router.ask({ host: hosts[0]! })).status, 404);
    });
    assert.equal((await stage.router.ask({ host: hosts[1]! })).status, 200);

    const [status, body] = await order("/guard/release");
    assert.equal(status, 200);
    assert.ok((body.released as number) >= 4, JSON.stringify(body));
    for (const host of hosts) {
      await eventually("all are gone", async () => {
        assert.equal((await stage.router.ask({ host })).status, 404);
      });
    }
    assert.deepEqual((await look<Json>("/status")).guard, { held: 0, of: 0 });
  });

  it("takes no garbage for an order", async () => {
    const a = await stage.backend("a");
    await stage.router.echo({ host: await stage.serve("ordered.test", a) });
    for (const [status, path] of [
      [400, "/instances/nobody/eject"],
      [404, "/instances/10.9.9.9:9/eject"],
      [400, `/instances/${a.at}/eject?seconds=0`],
      [400, `/instances/${a.at}/eject?seconds=86401`],
      [400, `/instances/${a.at}/eject?seconds=x`],
      [400, `/instances/${a.at}/eject?minutes=1`],
      [405, `/instances/${a.at}`],
      [405, "/routes"],
      [404, "/nothing"],
      [405, "/routes/ordered.test"],
    ] as [number, string][]) {
      assert.equal((await order(path))[0], status, path);
    }
    const [status, , answer] = await tell(guarded.port, `/instances/${a.at}/eject`, { headers: BEARER });
    assert.deepEqual([status, answer.headers.allow], [405, "POST"]);
    assert.deepEqual((await look<{ ejections: unknown[] }>("/status")).ejections, []);
  });

  it("tells that Redis is away, why and for how long", async () => {
    await stage.redis.stop();
    await eventually("it is told", async () => {
      const ready = await look<{ state: string; store_down_for: number; reasons: { reason: string }[] }>(
        "/readyz",
      );
      assert.equal(ready.reasons[0]?.reason, "store_down");
      assert.equal(ready.state, "degraded");
      assert.ok(ready.store_down_for >= 0, String(ready.store_down_for));
    });
    const { store } = await look<{ store: Record<"state" | "cause" | "reason", string> }>("/status");
    assert.equal(store.state, "down");
    assert.match(store.reason, /connection refused/);
    assert.equal(store.cause, "unreachable");
    await stage.redis.start();
    await eventually("it is back", async () => {
      const { store: back } = await look<{ store: Record<string, unknown> }>("/status");
      assert.deepEqual([back.state, back.cause, back.reason, back.down_for], ["up", "", "", 0]);
    });
  });
});

describe("the admin server without a token", () => {
  const stage = useStage({
    workers: 1,
    http: guarded.http.replace("{ ", "{ server_name Own.Internal; "),
  });

  it("changes nothing for anybody", async () => {
    const a = await stage.backend("a");
    await stage.router.echo({ host: await stage.serve("unguarded.test", a) });
    for (const path of [`/instances/${a.at}/eject`, "/routes/unguarded.test/forget", "/guard/release"]) {
      for (const headers of [{}, BEARER, { authorization: "Bearer " }]) {
        const [status, body] = await tell(guarded.port, path, { method: "POST", headers });
        assert.deepEqual([status, body.error], [403, "token_needed"]);
      }
    }
    assert.deepEqual((await told<Json>(guarded.port, "/status")).ejections, []);
  });

  it("answers a browser only where it names this machine: a page elsewhere could have its own name lead here", async () => {
    const pages = [
      "/",
      "/routes",
      "/status",
      "/explain?host=a.test",
      "/metrics",
      "/events",
      "/openapi.json",
      "/ui/",
    ];
    const refused = [
      "evil.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "evil.example:8081",
      "own.internal.evil.example",
      "127.1",
      "0x7f.1",
      "admin",
    ];
    for (const host of refused) {
      for (const path of pages.slice(1)) {
        const [status, body] = await tell(guarded.port, path, { host });
        assert.deepEqual([status, body.error], [403, "wrong_host"], `${host} ${path}`);
      }
    }
    for (const host of [
      "127.0.0.1",
      `127.0.0.1:${guarded.port}`,
      "[::1]:8081",
      "10.1.2.3",
      "localhost",
      "LocalHost:1",
      "Own.Internal.",
    ]) {
      for (const path of pages) {
        assert.ok([200, 302].includes((await ask(guarded.port, { host, path })).status), `${host} ${path}`);
      }
    }
    const bare = await sendRaw(guarded.port, "GET /status HTTP/1.0\r\n\r\n");
    assert.equal(statusOf(bare), 200, "who sends no Host is no browser");
    const absolute = `GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    assert.equal(statusOf(await sendRaw(guarded.port, absolute)), 403);
  });

  it("answers nobody at an address that other machines reach", async () => {
    const address = addressOfThisMachine();
    const [status, body] = await tell(guarded.port, "/status", { address });
    assert.deepEqual([status, body.error], [403, "token_needed"]);
  });
});
