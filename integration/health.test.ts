import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { useStage } from "./support/stage.ts";
import { startSlow } from "./support/troubled-backends.ts";

/** Fills the dict of hosts that nobody knows, as a flood of them does. */
const FILL = `location = /fill { content_by_lua_block {
  for i = 1, 100000 do ngx.shared.switchboard_matches:set("made-up-" .. i .. ".test", "0 0 0 ") end
} }`;

/** Fills the list of names until nothing more goes in, and empties it again. */
const FULL = `location = /full { content_by_lua_block {
  local i = 0
  repeat i = i + 1 until not ngx.shared.switchboard_names:safe_set("filler-" .. i, ("x"):rep(60000))
} }
location = /empty { content_by_lua_block {
  for i = 1, 2000 do ngx.shared.switchboard_names:delete("filler-" .. i) end
} }`;

describe("the health pages", () => {
  const stage = useStage({ workers: 1, server: FILL + FULL });

  it("/healthz says that the process serves, /readyz that requests may come", async () => {
    for (const [path, body] of [
      ["/healthz", "ok\n"],
      ["/readyz", "ready\n"],
    ] as const) {
      const answer = await stage.router.health(path);
      assert.equal(answer.status, 200);
      assert.equal(answer.body, body);
      assert.equal(answer.headers["cache-control"], "no-store");
      assert.match(String(answer.headers["content-type"]), /^text\/plain/);
    }
  });

  it("/metrics counts requests by status, tries, retries and lookups, and names no route", async () => {
    const host = await stage.serve("secret-app.test", await stage.backend("a"));
    const before = await stage.router.metrics();
    for (let i = 0; i < 10; i += 1) {
      await stage.router.echo({ host });
    }
    await stage.router.ask({ host: "secret-unknown.test" });
    const after = await stage.router.metrics();
    const more = (series: string): number => (after.get(series) ?? NaN) - (before.get(series) ?? NaN);

    assert.equal(more('switchboard_requests_total{code="2xx"}'), 10);
    assert.equal(more('switchboard_requests_total{code="4xx"}'), 1);
    assert.equal(more('switchboard_answers_total{reason="unknown_route"}'), 1);
    assert.equal(more("switchboard_tries_total"), 10);
    assert.equal(more('switchboard_retries_total{reason="connect_failed"}'), 0);
    assert.ok(more('switchboard_lookups_total{cache="worker"}') >= 9);
    assert.equal(after.get("switchboard_redis_up"), 1);
    assert.ok((after.get('switchboard_dict_free_bytes{dict="switchboard_routes"}') ?? 0) > 1_000_000);
    const page = await stage.router.health("/metrics");
    assert.doesNotMatch(page.body, /secret/);
  });

  it("/readyz is not concerned about a dict that a flood of made-up hosts has filled", async () => {
    await stage.router.ask({ host: "flood.test", path: "/fill" });
    const free = (await stage.router.metrics()).get(
      'switchboard_dict_free_bytes{dict="switchboard_matches"}',
    );
    assert.ok(free! < 100_000, `${free} bytes are free`);

    assert.equal((await stage.router.health("/readyz")).body, "ready\n");
  });

  it("/readyz says which other dict is nearly full, and that requests may come all the same", async () => {
    await stage.router.ask({ host: "full.test", path: "/full" });
    const full = await stage.router.health("/readyz");
    assert.equal(full.status, 200);
    assert.match(
      full.body,
      /^ready\ndegraded: switchboard_names is nearly full; make its lua_shared_dict larger\n$/,
    );
    await stage.router.ask({ host: "full.test", path: "/empty" });
    assert.equal((await stage.router.health("/readyz")).body, "ready\n");
  });

  it("change nothing, whatever is asked of them", async () => {
    for (const method of ["POST", "DELETE", "PUT", "OPTIONS"]) {
      for (const path of ["/healthz", "/readyz", "/metrics"]) {
        const answer = await ask(stage.router.healthPort, { host: "h", path, method, body: "x" });
        assert.ok(answer.status < 500, `${method} ${path}: ${answer.status}`);
      }
    }
    assert.equal((await stage.router.health("/")).status, 404);
  });
});

describe("a router that is not ready", () => {
  const stage = useStage();

  it("says starting until it has asked Redis once, even one that hangs, and serves then", async () => {
    await stage.redis.pause();
    const router = await stage.moreRouter({ environment: { SWITCHBOARD_REDIS_TIMEOUT: "2s" } });
    await stage.redis.resume();

    assert.match(router.notReadyBecause.at(-1) ?? "", /^starting: /);
    await eventually("it is ready", async () => {
      assert.equal((await router.health("/readyz")).body, "ready\n");
    });
  });

  it("says draining while its drain_file exists, and goes on serving", async () => {
    const host = await stage.serve("draining.test", await stage.backend("a"));
    const router = await stage.moreRouter({ environment: { SWITCHBOARD_DRAIN_FILE: "/tmp/draining" } });
    assert.equal((await router.health("/readyz")).status, 200);

    await router.exec(["touch", "/tmp/draining"]);
    const draining = await router.health("/readyz");
    assert.equal(draining.status, 503);
    assert.match(draining.body, /^draining: /);
    assert.equal((await router.health("/healthz")).status, 200);
    assert.equal((await router.echo({ host })).name, "a");

    await router.exec(["rm", "/tmp/draining"]);
    assert.equal((await router.health("/readyz")).status, 200);
  });
});

describe("a router that stops gracefully", () => {
  const stage = useStage({ workers: 1 });

  it("ends its requests, takes no new connections, and says draining on those that it still has", async () => {
    const slow = await stage.keep(startSlow("slow", 2));
    const host = await stage.serve("slow.test", slow);
    const router = await stage.moreRouter({ workers: 1 });
    const running = router.ask({ host });
    await eventually("the request is running", () => assert.equal(slow.count(), 1));
    const held = connect(router.healthPort, "127.0.0.1");
    held.write("GET /readyz HTTP/1.1\r\nHost: h\r\n");
    await eventually("the health page's connection is taken", async () => router.health("/healthz"));

    await router.signal("SIGQUIT");
    await eventually("nobody listens", async () => {
      await assert.rejects(router.health("/readyz"), /ECONNREFUSED/);
    });
    held.write("\r\n");
    const [said] = (await once(held, "data")) as [Buffer];

    assert.match(said.toString(), /^HTTP\/1\.1 503 [^]*\r\n\r\n[^]*draining: /);
    assert.equal((await running).body, "slow\n");
    held.destroy();
  });
});
