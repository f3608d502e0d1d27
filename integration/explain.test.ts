/** `/explain`: what it says a request does is what the next request does, and why the others do not get it. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import type { Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

interface Explained {
  host: string;
  path: string;
  host_key: string;
  keys_read: string[];
  matched: { pattern: string | null; pool: string | null; prefix: string | null };
  route: string | null;
  cache: string | null;
  age: number | null;
  answer?: { status: number; reason: string };
  balance: string | null;
  instances: { address: string; kept: boolean; reason: string; detail: string }[];
  picked: string | null;
  why: string | null;
}

const adminPort = await freePort();
const legacyPort = await freePort();

async function explainAt(port: number, query: Record<string, string | string[]>): Promise<Explained> {
  const words = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((each): [string, string] => [name, each]),
  );
  const answer = await ask(port, {
    host: "localhost",
    path: `/explain?${new URLSearchParams(words).toString()}`,
  });
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Explained;
}

describe("/explain", () => {
  const stage = useStage({
    workers: 1,
    http: `server { listen 127.0.0.1:${adminPort}; include switchboard/admin.conf; }`,
    environment: {
      SWITCHBOARD_ZONE: "here",
      SWITCHBOARD_CONNECT_TIMEOUT: "200ms",
      SWITCHBOARD_DENY_INSTANCES: "10.66.0.0/16",
    },
  });
  const explain = async (query: Record<string, string | string[]>): Promise<Explained> =>
    explainAt(adminPort, query);
  const set = async (host: string, options: Record<string, string>): Promise<void> => {
    await stage.redis.client.hset(`route:${host}`, options);
  };
  const reasons = async (host: string): Promise<Record<string, string>> =>
    Object.fromEntries((await explain({ host })).instances.map((each) => [each.address, each.reason]));

  for (const balance of [
    "round_robin",
    "least_conn",
    "ewma",
    "random",
    "hash:header:X-User",
    "hash:cookie:user",
    "hash:query:user",
    "hash:uri",
    "hash:ip",
  ]) {
    it(`picks by ${balance} what the next request gets`, async () => {
      const five: Backend[] = [];
      for (let i = 0; i < 5; i += 1) {
        five.push(await stage.backend(`b${i}`));
      }
      const host = `${balance.replaceAll(":", "-").replaceAll("_", "-").toLowerCase()}.test`;
      await set(host, { balance });
      await stage.redis.client.sadd(
        `backends:${host}`,
        ...five.map((each, i) => (i === 0 ? `${each.at}?weight=3` : each.at)),
      );
      const seen = new Set<string>();
      for (let i = 0; i < 20; i += 1) {
        const headers = { "x-user": `u${i}`, cookie: `a=b; user=c${i}` };
        const path = `/p?user=q${i}`;
        const explained = await explain({
          host,
          path,
          header: [`X-User: u${i}`, `Cookie: ${headers.cookie}`],
          client: "127.0.0.1",
        });
        const { name } = await stage.router.echo({ host, path, headers });
        assert.equal(
          explained.picked,
          five.find((each) => each.name === name)!.at,
          JSON.stringify(explained),
        );
        assert.equal(explained.balance, balance);
        seen.add(name);
      }
      assert.ok(balance === "hash:ip" ? seen.size === 1 : seen.size >= 3, [...seen].join());
    });
  }

  it("has no effect: asked a hundred times the turn stays, nothing runs, nothing is counted", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("untouched.test", a, b);
    const first = await stage.router.echo({ host });
    const before = await stage.router.metrics();
    for (let i = 0; i < 100; i += 1) {
      const { picked } = await explain({ host });
      assert.equal(picked, first.name === "a" ? b.at : a.at);
    }
    const after = await stage.router.metrics();
    for (const series of [
      'switchboard_lookups_total{cache="worker"}',
      'switchboard_requests_total{code="2xx"}',
      "switchboard_in_flight",
    ]) {
      assert.equal(after.get(series), before.get(series), series);
    }
    assert.notEqual((await stage.router.echo({ host })).name, first.name);
  });

  it("tells from which cache, how old, and which keys were read", async () => {
    const a = await stage.backend("a");
    const host = await stage.serve("cached.test", a);
    const fresh = await explain({ host: "Cached.Test:8080" });
    assert.deepEqual([fresh.host_key, fresh.route, fresh.cache], [host, host, "redis"]);
    assert.deepEqual(fresh.keys_read, [
      `instances:${host}`,
      `route:${host}`,
      `paths:${host}`,
      `backends:${host}`,
    ]);
    const again = await explain({ host });
    assert.equal(again.cache, "worker");
    assert.ok(again.age! >= 0 && again.age! < 60);
    assert.deepEqual(again.matched, { pattern: host, pool: null, prefix: null });
  });

  it("tells which pattern, pool and prefix matched", async () => {
    const a = await stage.backend("a");
    const { client } = stage.redis;
    await client.sadd("backends:*.wide.test", a.at);
    await client.sadd("paths:*.wide.test", "/api");
    await set("*.wide.test/api", { pool: "@pool-of-api" });
    await client.sadd("backends:@pool-of-api", a.at);

    const wide = await explain({ host: "x.y.wide.test", path: "/apix" });
    assert.deepEqual(wide.matched, { pattern: "*.wide.test", pool: null, prefix: null });
    assert.ok(wide.keys_read.includes("backends:*.y.wide.test"));
    const api = await explain({ host: "x.y.wide.test", path: "//z/../api/v1?q" });
    assert.deepEqual(api.matched, { pattern: "*.wide.test", pool: "@pool-of-api", prefix: "/api" });
    assert.deepEqual([api.route, api.picked, api.path], ["*.wide.test/api", a.at, "/api/v1"]);
    assert.ok(api.keys_read.includes("backends:@pool-of-api"));
    assert.equal((await stage.router.echo({ host: "x.y.wide.test", path: "/api/v1" })).name, "a");
  });

  it("tells the pool of a split, by its turn or by cookie, and leaves the turn to requests", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = "parted.test";
    await set(host, { split: "@left=1,@right=1", split_cookie: "side" });
    await stage.redis.client.sadd("backends:@left", a.at);
    await stage.redis.client.sadd("backends:@right", b.at);
    for (let i = 0; i < 6; i += 1) {
      const explained = await explain({ host });
      await explain({ host });
      const answer = await stage.router.ask({ host });
      const { name } = JSON.parse(answer.body) as { name: string };
      assert.equal(explained.matched.pool, name === "a" ? "@left" : "@right");
      assert.equal(explained.picked, name === "a" ? a.at : b.at);
      const cookie = String(answer.headers["set-cookie"]).split(";")[0]!;
      const kept = await explain({ host, header: `Cookie: ${cookie}` });
      assert.equal(kept.picked, explained.picked);
    }
  });

  it("tells the instance of a session cookie, also one that drains", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = "session.test";
    await set(host, { sticky: "cookie" });
    await stage.serve(host, a, b);
    const answer = await stage.router.ask({ host });
    const cookie = String(answer.headers["set-cookie"]).split(";")[0]!;
    const mine = (JSON.parse(answer.body) as { name: string }).name === "a" ? a : b;
    for (const value of ["weight=1", "drain=1"]) {
      await stage.redis.client.hset(`instances:${host}`, mine.at, value);
      await eventually("it is read", async () => {
        assert.equal((await reasons(host))[mine.at], value === "drain=1" ? "draining" : "usable");
      });
      const kept = await explain({ host, header: `Cookie: ${cookie}` });
      assert.equal(kept.picked, mine.at);
      assert.match(String(kept.why), /session cookie/);
    }
    await stage.redis.client.hset(`instances:${host}`, a.at, "drain=1", b.at, "drain=1");
    await eventually("all drain", async () => {
      assert.deepEqual((await explain({ host })).answer, { status: 503, reason: "no_instances" });
    });
    assert.equal((await explain({ host, header: `Cookie: ${cookie}` })).picked, mine.at);
  });

  it("tells for each instance why it is left out", async () => {
    const [up, spare, far, old, idle, resting] = [
      await stage.backend("up"),
      await stage.backend("spare"),
      await stage.backend("far"),
      await stage.backend("old"),
      await stage.backend("idle"),
      await stage.backend("resting"),
    ];
    const ill = await deadPort();
    const host = "left-out.test";
    const now = Math.floor(Date.now() / 1000);
    await stage.redis.client.zadd(
      `backends:${host}`,
      ...[now + 1000, `${up.at}?zone=here`, now + 1000, `localhost:${up.port}?zone=here`],
      ...[now + 1000, `${spare.at}?backup=1`, now + 1000, `${far.at}?zone=there`, now - 100, old.at],
      ...[now + 1000, `${idle.at}?weight=0`, now + 1000, `${resting.at}?drain=1`],
      ...[
        now + 1000,
        `${ill}?zone=here&weight=1`,
        now + 1000,
        "no-such-name.invalid:80",
        now + 1000,
        "10.66.0.1:80",
      ],
      ...[now + 1000, `127.0.0.1:${stage.router.port}`, now + 1000, "what is this"],
    );
    await eventually("it is ejected", async () => {
      await stage.router.echo({ host });
      assert.equal((await reasons(host))[ill], "ejected");
    });
    const explained = await explain({ host });
    const found = Object.fromEntries(explained.instances.map((each) => [each.address, each]));
    assert.equal(found[ill]!.kept, false);
    assert.match(found[ill]!.detail, /^connect_failed; for another \d+\.\d s$/);
    assert.equal(explained.picked, up.at);
    const expected: [string, boolean, string][] = [
      [spare.at, false, "backup"],
      [far.at, false, "other_zone"],
      [old.at, false, "heartbeat_over"],
      [idle.at, false, "weight_0"],
      [resting.at, false, "draining"],
      ["no-such-name.invalid:80", false, "unresolved"],
      ["10.66.0.1:80", false, "skipped"],
      [`127.0.0.1:${stage.router.port}`, false, "skipped"],
      ["what is this", false, "skipped"],
    ];
    for (const [address, kept, reason] of expected) {
      assert.deepEqual([found[address]?.kept, found[address]?.reason], [kept, reason], address);
    }
    const twins = explained.instances.filter((each) => each.address === up.at).map((each) => each.reason);
    assert.deepEqual(twins.sort(), ["duplicate", "usable"]);
    assert.match(found["10.66.0.1:80"]!.detail, /deny_instances/);
  });

  it("tells who warms up, and that all are tried when most are out", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("warming.test", a);
    await set(host, { slow_start: "1000s" });
    await stage.router.echo({ host });
    await stage.redis.client.sadd(`backends:${host}`, b.at);
    await eventually("it warms up", async () => {
      await stage.router.echo({ host });
      assert.equal((await reasons(host))[b.at], "warming_up");
    });

    const dead = await deadPort();
    await stage.redis.client.sadd("backends:needy.test", dead);
    await eventually("it is ejected and tried on", async () => {
      await stage.router.ask({ host: "needy.test" });
      const [only] = (await explain({ host: "needy.test" })).instances;
      assert.deepEqual([only?.kept, only?.reason], [true, "kept_in_need"]);
    });
  });

  it("tells what the router answers itself, as the request is answered", async () => {
    const a = await stage.backend("a");
    const cases: [string, Record<string, string>, number, string, Record<string, string>?][] = [
      ["unknown-here.test", {}, 404, "unknown_route"],
      ["idle-here.test", { tries: "1" }, 503, "no_instances"],
      ["closed-here.test", { maintenance: "on" }, 503, "maintenance"],
      ["gated-here.test", { allow_ips: "10.0.0.0/8" }, 403, "forbidden", { client: "127.0.0.1" }],
      ["secure-here.test", { https_redirect: "on" }, 301, "https_redirect"],
      [
        "small-here.test",
        { max_body: "3" },
        413,
        "body_too_large",
        { header: "Content-Length: 4", method: "POST" },
      ],
    ];
    for (const [host, options, status, reason, more = {}] of cases) {
      if (Object.keys(options).length > 0) {
        await set(host, options);
      }
      if (options.tries === undefined && Object.keys(options).length > 0) {
        await stage.serve(host, a);
      }
      const explained = await explain({ host, ...more });
      assert.deepEqual(explained.answer, { status, reason }, host);
      assert.equal(explained.picked, null);
      const body = more.method === "POST" ? { method: "POST", body: "four" } : {};
      const answer = await stage.router.ask({ host, ...body });
      assert.equal(answer.status, status, host);
    }
    assert.equal((await explain({ host: "gated-here.test", client: "10.1.1.1" })).picked, a.at);
    assert.equal((await explain({ host: "secure-here.test", scheme: "https" })).picked, a.at);
  });

  it("guesses nothing, and takes no garbage", async () => {
    const a = await stage.backend("a");
    await set("by-address.test", { allow_ips: "10.0.0.0/8" });
    await stage.serve("by-address.test", a);
    const queries: [string, string][] = [
      ["host=by-address.test", "client_needed"],
      ["", "invalid_host"],
      ["host=a..b", "invalid_host"],
      ["host=%3Cscript%3E", "invalid_host"],
      ["host=*.test", "invalid_host"],
      ["host=@pool", "invalid_host"],
      ["host=a/b", "invalid_host"],
      ["host=a%00b", "invalid_host"],
      [`host=${"a".repeat(300)}`, "invalid_host"],
      ["host=a.test&path=..", "bad_query"],
      ["host=a.test&path=/../x", "bad_query"],
      ["host=a.test&header=x", "bad_query"],
      ["host=a.test&header=a:b%0d%0ac:d", "bad_query"],
      ["host=a.test&client=nobody", "bad_query"],
      ["host=a.test&scheme=ftp", "bad_query"],
      ["host=a.test&method=%20", "bad_query"],
      ["host=a.test&pool=@x", "bad_query"],
    ];
    for (const [query, error] of queries) {
      const answer = await ask(adminPort, { host: "localhost", path: `/explain?${query}` });
      assert.equal(answer.status, 400, `${query}: ${answer.body}`);
      assert.equal((JSON.parse(answer.body) as { error: string }).error, error, query);
    }
  });

  it("tells of backends that are marked dead in another layout", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const legacy = await stage.moreRouter({
      workers: 1,
      http: `server { listen 127.0.0.1:${legacyPort}; include switchboard/admin.conf; }`,
      environment: { SWITCHBOARD_SCHEMA: "hipache", SWITCHBOARD_SERVER_SCHEMAS: "dinp" },
    });
    await stage.redis.client.rpush("frontend:marked.test", "id", `http://${a.at}`, `http://${b.at}`);
    await stage.redis.client.sadd("dead:marked.test", "0");
    await stage.redis.client.expire("dead:marked.test", 30);
    const explained = await explainAt(legacyPort, { host: "marked.test" });
    assert.deepEqual(
      explained.instances.map(({ address, kept, reason }) => [address, kept, reason]).sort(),
      [
        [a.at, false, "marked_dead"],
        [b.at, true, "usable"],
      ].sort(),
    );
    assert.equal((await legacy.echo({ host: "marked.test" })).name, "b");
    assert.ok(explained.keys_read.includes("frontend:marked.test"));

    await stage.redis.client.rpush("/rs/marked.test", a.at);
    const of_server = await explainAt(legacyPort, { host: "marked.test", schema: "dinp" });
    assert.deepEqual([of_server.route, of_server.picked], ["marked.test%dinp", a.at]);
    assert.deepEqual(of_server.keys_read, ["/rs/marked.test", "/cname/marked.test"]);
    const unknown = await ask(legacyPort, { host: "localhost", path: "/explain?host=a.test&schema=native" });
    assert.equal(unknown.status, 400);
  });
});
