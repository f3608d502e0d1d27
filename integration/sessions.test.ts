import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { startApp, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import type { Answer, Question } from "./support/http-client.ts";
import type { Router } from "./support/router.ts";
import { tally, useStage, type Stage } from "./support/stage.ts";
import { deadPort, startClosing } from "./support/troubled-backends.ts";

const stage = useStage({
  environment: {
    SWITCHBOARD_TTL: "100ms",
    SWITCHBOARD_STALE_WHILE_REFRESH: "100ms",
    SWITCHBOARD_STICKY_SECRET: "of-these-routers",
    SWITCHBOARD_TRUSTED_PROXIES: "127.0.0.1",
  },
});

/** `name=value` of the cookies that an answer sets. */
function cookiesOf(answer: Answer): string[] {
  return (answer.headers["set-cookie"] ?? []).map((cookie) => cookie.split(";")[0]!);
}

async function serveSticky(
  host: string,
  options: Record<string, string>,
  ...backends: Backend[]
): Promise<string> {
  await stage.serve(host, ...backends);
  await stage.redis.client.hset(`route:${host}`, { sticky: "cookie", ...options });
  return host;
}

async function askWith(cookie: string, question: Question, router: Router = stage.router): Promise<Answer> {
  const answer = await router.ask({ ...question, headers: { ...question.headers, cookie } });
  assert.equal(answer.status, 200, answer.body);
  return answer;
}

/** A cookie for this backend, as a client would have got it. */
async function cookieFor(on: Stage, host: string, backend: Backend): Promise<string> {
  return eventually(`a cookie of ${backend.name}`, async () => {
    const answer = await on.router.ask({ host });
    assert.equal(answer.headers["x-backend"], backend.name);
    return cookiesOf(answer)[0]!;
  });
}

async function names(host: string, cookie: string, times: number): Promise<Record<string, number>> {
  const found: string[] = [];
  for (let i = 0; i < times; i += 1) {
    found.push(String((await askWith(cookie, { host })).headers["x-backend"]));
  }
  return tally(found);
}

describe("a sticky route", () => {
  it("keeps a client on its instance by a cookie that it sets once", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    const host = await serveSticky("kept.test", {}, a, b, c);

    const first = await stage.router.ask({ host });

    assert.match(
      first.headers["set-cookie"]![0]!,
      /^switchboard=[0-9a-f]{16}; Path=\/; HttpOnly; SameSite=Lax$/,
    );
    const [cookie] = cookiesOf(first);
    const name = String(first.headers["x-backend"]);
    for (let i = 0; i < 20; i += 1) {
      const answer = await askWith(`theme=dark; ${cookie!}`, { host });
      assert.equal(answer.headers["x-backend"], name);
      assert.deepEqual(cookiesOf(answer), []);
    }
    const others = new Set<string>();
    for (let i = 0; i < 12; i += 1) {
      others.add(String((await stage.router.ask({ host })).headers["x-backend"]));
    }
    assert.deepEqual([...others].sort(), ["a", "b", "c"], "without a cookie it goes in turn");
  });

  it("names the cookie and lets it last as the route says, and is Secure under TLS", async () => {
    const a = await stage.backend("a");
    const host = await serveSticky(
      "named.test",
      { sticky: "cookie:APP-session", sticky_max_age: "60m", balance: "least_conn" },
      a,
    );

    const answer = await stage.router.ask({ host, headers: { "x-forwarded-proto": "https" } });

    assert.match(
      answer.headers["set-cookie"]![0]!,
      /^APP-session=[0-9a-f]{16}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
    );
    assert.deepEqual(cookiesOf(await askWith(cookiesOf(answer)[0]!, { host })), []);
  });

  it("has a cookie of its own for every path that is a route of its own", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const [c, d] = [await stage.backend("c"), await stage.backend("d")];
    const host = await serveSticky("pathed.test", {}, a, b);
    await stage.redis.client.sadd(`paths:${host}`, "/api");
    await serveSticky(`${host}/api`, {}, c, d);
    await eventually("the path is a route", async () => {
      assert.match(String((await stage.router.ask({ host, path: "/api/x" })).headers["x-backend"]), /^[cd]$/);
    });

    const root = await stage.router.ask({ host });
    const api = await stage.router.ask({ host, path: "/api/x" });

    assert.match(root.headers["set-cookie"]![0]!, /; Path=\/; /);
    assert.match(api.headers["set-cookie"]![0]!, /; Path=\/api; /);
    // As browsers send them: the longer path first.
    const both = `${cookiesOf(api)[0]!}; ${cookiesOf(root)[0]!}`;
    for (let i = 0; i < 6; i += 1) {
      const answer = await askWith(both, { host, path: "/api/y" });
      assert.equal(answer.headers["x-backend"], api.headers["x-backend"]);
      assert.deepEqual(cookiesOf(answer), []);
    }
  });

  it("leaves the app's own cookies alone", async () => {
    const app = await stage.keep(
      startApp("a", (_, response) => {
        response.setHeader("Set-Cookie", ["one=1; Path=/", "two=2"]);
        response.end();
      }),
    );
    const host = await serveSticky("cookies.test", {}, app);

    const cookies = cookiesOf(await stage.router.ask({ host }));

    assert.deepEqual(cookies.map((cookie) => cookie.split("=")[0]).sort(), ["one", "switchboard", "two"]);
  });

  it("gives another instance and a new cookie when the instance is gone", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await serveSticky("gone.test", {}, a, b);
    const cookie = await cookieFor(stage, host, a);

    await stage.redis.client.srem(`backends:${host}`, a.at);

    await eventually("the other instance and its cookie", async () => {
      const answer = await askWith(cookie, { host });
      assert.equal(answer.headers["x-backend"], "b");
      assert.deepEqual(cookiesOf(answer), [await cookieFor(stage, host, b)]);
    });
  });

  it("gives another instance and its cookie when the instance fails", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await serveSticky("failing.test", {}, a, b);
    const cookie = await cookieFor(stage, host, a);
    const ofB = await cookieFor(stage, host, b);

    await a.close();

    const answer = await askWith(cookie, { host });
    assert.equal(answer.headers["x-backend"], "b");
    assert.deepEqual(cookiesOf(answer), [ofB]);
  });

  it("sets no cookie when no instance answered", async () => {
    const host = "dead.test";
    await stage.redis.client.sadd(`backends:${host}`, await deadPort(), await deadPort());
    await stage.redis.client.hset(`route:${host}`, "sticky", "cookie");
    const closing = await serveSticky("closing.test", {}, await stage.keep(startClosing("a")));

    for (const dead of [host, closing]) {
      const answer = await stage.router.ask({ host: dead });
      assert.equal(answer.status, 502);
      assert.deepEqual(cookiesOf(answer), [], dead);
    }
  });

  it("lets only requests with their cookie to instances that drain or weigh nothing", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    const host = await serveSticky("draining.test", {}, a, b, c);
    const [ofA, ofB] = [await cookieFor(stage, host, a), await cookieFor(stage, host, b)];

    await stage.redis.client.hset(`instances:${host}`, a.at, "drain=1", b.at, "weight=0");

    await eventually("new clients go to c alone", async () => {
      assert.deepEqual(await names(host, "", 10), { c: 10 });
    });
    assert.deepEqual(await names(host, ofA, 10), { a: 10 });
    assert.deepEqual(await names(host, ofB, 10), { b: 10 });
  });

  it("serves clients of draining instances when there are no others, and refuses the rest", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await serveSticky("all-draining.test", {}, a, b);
    const ofA = await cookieFor(stage, host, a);

    await stage.redis.client.hset(`instances:${host}`, a.at, "drain=1", b.at, "weight=0");

    await eventually("new clients are refused", async () => {
      const answer = await stage.router.ask({ host });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers["x-switchboard-error"], "no_instances");
    });
    assert.deepEqual(await names(host, ofA, 5), { a: 5 });
    const forged = await stage.router.ask({ host, headers: { cookie: "switchboard=0000000000000000" } });
    assert.equal(forged.status, 503);
  });

  it("takes a forged, foreign, empty or huge cookie for none, and sets a good one", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await serveSticky("forged.test", {}, a, b);
    const elsewhere = await serveSticky("elsewhere.test", {}, await stage.backend("c"));
    const [foreign] = cookiesOf(await stage.router.ask({ host: elsewhere }));

    for (const cookie of [
      foreign!,
      "switchboard=",
      "switchboard",
      "switchboard=0000000000000000",
      `switchboard=${a.at}`,
      'switchboard=..%2F\\"; x',
      `switchboard=${"f".repeat(7900)}`,
    ]) {
      const answer = await askWith(cookie, { host });
      assert.match(cookiesOf(answer)[0]!, /^switchboard=[0-9a-f]{16}$/, cookie.slice(0, 40));
    }
    // More than a header buffer: nginx refuses that before any of it is read.
    const huge = await stage.router.ask({ host, headers: { cookie: `switchboard=${"f".repeat(8192)}` } });
    assert.equal(huge.status, 400);
  });
});

describe("routers with the same secret", () => {
  it("take each other's cookies; those with another do not", async () => {
    const backends = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    const host = await serveSticky("shared.test", {}, ...backends);
    const same = await stage.moreRouter({ environment: { SWITCHBOARD_STICKY_SECRET: "of-these-routers" } });
    const other = await stage.moreRouter({ environment: { SWITCHBOARD_STICKY_SECRET: "of-others" } });

    const first = await stage.router.ask({ host });
    const [cookie] = cookiesOf(first);

    for (let i = 0; i < 5; i += 1) {
      const answer = await askWith(cookie!, { host }, same);
      assert.equal(answer.headers["x-backend"], first.headers["x-backend"]);
      assert.deepEqual(cookiesOf(answer), []);
    }
    assert.notEqual(cookiesOf(await askWith(cookie!, { host }, other))[0], cookie);
    assert.ok(!other.log().join("\n").includes("of-others"), "the secret is in no log");
  });
});
