import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { ask, headerOf, statusOf } from "./support/http-client.ts";
import { useStage } from "./support/stage.ts";

describe("the name that a request leads to", () => {
  const stage = useStage();
  const whoServes = async (host: string): Promise<string> => {
    const answer = await stage.router.ask({ host });
    return answer.status === 200
      ? String(answer.headers["x-backend"])
      : `${answer.status} ${String(answer.headers["x-switchboard-error"])}`;
  };

  it("is the exact host, else the longest suffix that is known", async () => {
    await stage.serve("app.eu.shop.test", await stage.backend("exact"));
    await stage.serve("*.eu.shop.test", await stage.backend("eu"));
    await stage.serve("*.shop.test", await stage.backend("shop"));

    assert.equal(await whoServes("app.eu.shop.test"), "exact");
    assert.equal(await whoServes("other.eu.shop.test"), "eu");
    assert.equal(await whoServes("a.b.c.eu.shop.test"), "eu");
    assert.equal(await whoServes("eu.shop.test"), "shop");
    assert.equal(await whoServes("x.y.shop.test"), "shop");
    assert.equal(await whoServes("shop.test"), "404 unknown_route", "a suffix is not its own subdomain");
    assert.equal(await whoServes("my-shop.test"), "404 unknown_route", "a suffix begins at a dot");
  });

  it("is never a wider one while a closer one is known without instances", async () => {
    const [wild, drained] = [await stage.backend("wild"), await stage.backend("drained")];
    const redis = stage.redis.client;
    await stage.serve("*.paused.test", wild);
    await redis.sadd("backends:nobody.paused.test", "-");
    await redis.hset("route:options-only.paused.test", "meta.owner", "me");
    await redis.hset("route:lost-pool.paused.test", "pool", "@lost");
    await redis.sadd("backends:drained.paused.test", `${drained.at}?drain=1`);
    await redis.sadd("backends:broken.paused.test", "not an instance");
    await redis.zadd("backends:lapsed.paused.test", 1, drained.at);
    await redis.set("backends:wrong-type.paused.test", "x");
    await redis.sadd("backends:*.sub.paused.test", "-");
    await redis.hset("instances:not-known-by-this.paused.test", drained.at, "weight=1");

    const names = [
      "nobody",
      "options-only",
      "lost-pool",
      "drained",
      "broken",
      "lapsed",
      "wrong-type",
      "x.sub",
    ];
    for (const name of names) {
      assert.equal(await whoServes(`${name}.paused.test`), "503 no_instances", name);
    }
    assert.equal(await whoServes("not-known-by-this.paused.test"), "wild");
    assert.equal(await whoServes("anything-else.paused.test"), "wild");
  });

  it("is unknown where only paths of the host are known, even under a wildcard", async () => {
    await stage.serve("*.pathy.test", await stage.backend("wild"));
    await stage.redis.client.sadd("paths:app.pathy.test", "/api");

    assert.equal(await whoServes("app.pathy.test"), "404 unknown_route");
  });

  it("may be an IP address", async () => {
    await stage.serve("10.9.8.7", await stage.backend("four"));
    await stage.serve("2001:db8::1", await stage.backend("six"));

    assert.equal(await whoServes("10.9.8.7"), "four");
    assert.equal(await whoServes("10.9.8.7:8080"), "four");
    assert.equal(await whoServes("[2001:db8::1]"), "six");
    assert.equal(await whoServes("[2001:DB8:0:0::1]:8443"), "six");
  });
});

describe("a catch-all", () => {
  const stage = useStage();

  it("has every host that nobody else knows, and no host that somebody knows", async () => {
    await stage.serve("*", await stage.backend("all"));
    await stage.serve("*.known.test", await stage.backend("known"));
    await stage.redis.client.sadd("backends:empty.test", "-");
    await stage.redis.client.sadd("backends:*.empty.test", "-");

    assert.equal((await stage.router.echo({ host: "anything.at.all.test" })).name, "all");
    assert.equal((await stage.router.echo({ host: "localhost" })).name, "all");
    assert.equal((await stage.router.echo({ host: "192.0.2.1" })).name, "all");
    assert.equal((await stage.router.echo({ host: "a.known.test" })).name, "known");
    assert.equal((await stage.router.ask({ host: "empty.test" })).status, 503);
    assert.equal((await stage.router.ask({ host: "sub.empty.test" })).status, 503);
  });

  it("has no host that is none", async () => {
    for (const host of ["*", "@pool", "*.known.test", "a b", "x".repeat(300), "a/b"]) {
      const response = await stage.router.sendRaw(
        `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      assert.equal(statusOf(response), 400, host);
    }
  });
});

describe("a made-up Host", () => {
  // Thousands are asked for at once, on a machine that may be busy.
  const stage = useStage({ environment: { SWITCHBOARD_LOAD_TIMEOUT: "5s" } });
  const get = async (host: string): Promise<string> =>
    stage.router.sendRaw(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

  before(async () => {
    const app = await stage.backend("app");
    await stage.serve("app.test", app);
    await stage.serve("@pool", app);
    await stage.serve("*.wild.test", app);
  });

  it("in another spelling is the same name", async () => {
    for (const host of ["app.test", "APP.test", "app.test.", "aPp.TeSt.:8080", "app.test:80", "app.test:"]) {
      assert.equal(statusOf(await get(host)), 200, host);
    }
  });

  it("that spells a key is the name before its colon, as for any port", async () => {
    assert.match(String(statusOf(await get("backends:app.test"))), /^40[04]$/);
    assert.match(String(statusOf(await get("@pool:80"))), /^400$/);
  });

  it("that spells a pattern or a pool is refused", async () => {
    for (const host of ["*", "*.wild.test", "@pool", "*."]) {
      const response = await get(host);
      assert.equal(statusOf(response), 400, host);
      assert.equal(headerOf(response, "X-Switchboard-Error"), "invalid_host", host);
    }
  });

  it("with bytes that no name has is refused", async () => {
    const hosts = [
      "a'b.test",
      'a"b.test',
      "a`b.test",
      "$(id).test",
      "a;b.test",
      "a{name}.test",
      "%0d%0aGET.test",
      "a\\r\\nFLUSHALL.test",
      "\xff\xfe.test",
      "caf\xc3\xa9.test",
      "a<script>.test",
      "..%2f..%2fetc",
      "x".repeat(300),
      `${"x".repeat(64)}.test`,
      `${"abcdefg.".repeat(32)}test`,
      "[::1",
      "[::g]",
      "[1:2:3]",
      "::1",
      "-".repeat(260),
    ];
    for (const host of hosts) {
      const response = await get(host);
      assert.equal(statusOf(response), 400, host);
      assert.doesNotMatch(
        response.split("\r\n\r\n")[1] ?? "",
        /script>|etc|id\)/,
        "nothing of it comes back",
      );
    }
  });

  it("with bytes that nginx refuses by itself gets 400", async () => {
    for (const host of ["a b.test", "a..b", "a/b.test", "a\0b", "a\tb"]) {
      assert.equal(statusOf(await get(host)), 400, host);
    }
  });

  it("that is missing, empty or doubled gets 400", async () => {
    assert.equal(statusOf(await stage.router.sendRaw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")), 400);
    assert.equal(statusOf(await get("")), 400);
    assert.equal(statusOf(await get("app.test\r\nHost: app.test")), 400);

    const old = await stage.router.sendRaw("GET / HTTP/1.0\r\n\r\n");
    assert.equal(statusOf(old), 400);
    assert.equal(headerOf(old, "X-Switchboard-Error"), "invalid_host");
  });

  it("in HTTP/1.0 is a Host", async () => {
    assert.equal(statusOf(await stage.router.sendRaw("GET / HTTP/1.0\r\nHost: app.test\r\n\r\n")), 200);
  });

  it("that nobody knows gets 404, and thousands of them do not displace a route", async () => {
    for (const host of [
      "wild.test",
      "_",
      "-",
      "a",
      "1",
      "1.2.3",
      "999.1.1.1",
      "xn--nxasmq6b.test",
      "app_1.test",
    ]) {
      const response = await get(host);
      assert.equal(statusOf(response), 404, host);
      assert.equal(headerOf(response, "X-Switchboard-Error"), "unknown_route", host);
    }
    for (let i = 0; i < 20; i += 1) {
      const flood = Array.from({ length: 100 }, async (_, j) =>
        stage.router.ask({ host: `made-up-${i}-${j}.test` }),
      );
      const answers = await Promise.all(flood);
      assert.ok(answers.every((answer) => answer.status === 404));
    }
    assert.equal(statusOf(await get("app.test")), 200);
  });
});

describe("a virtual IP", () => {
  const stage = useStage({
    http: `
      server {
        listen 127.0.7.7:{port};
        set $switchboard_host $server_addr;
        include switchboard/errors.conf;
        location / { include switchboard/proxy.conf; }
      }`,
  });

  it("leads to the instances of the address that was connected to, whatever the Host says", async () => {
    await stage.serve("127.0.7.7", await stage.backend("virtual"));
    await stage.serve("named.test", await stage.backend("named"));

    const virtual = await ask(stage.router.port, { host: "named.test", address: "127.0.7.7" });
    const named = await stage.router.ask({ host: "named.test" });

    assert.equal(virtual.headers["x-backend"], "virtual");
    assert.equal((JSON.parse(virtual.body) as { headers: { host: string } }).headers.host, "named.test");
    assert.equal(named.headers["x-backend"], "named");
  });
});
