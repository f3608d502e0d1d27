import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

type Line = Record<string, string | number>;

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("an access log by the ready formats", () => {
  const stage = useStage({
    workers: 1,
    http: "include switchboard/log-formats.conf;",
    server: `access_log /dev/stderr switchboard_json;
             access_log /dev/stderr switchboard_hipache;
             access_log /dev/stderr switchboard_planb;`,
    environment: { SWITCHBOARD_TRUSTED_PROXIES: "127.0.0.1" },
  });
  before(async () => {
    const live = await stage.backend("a");
    await stage.serve("app.test", live);
    await stage.serve("*.wild.test", live);
    await stage.redis.client.sadd("backends:half.test", live.at, await deadPort());
    await stage.redis.client.sadd("backends:dead.test", await deadPort());
    await stage.redis.client.sadd("backends:idle.test", "-");
  });

  /** The JSON line of the request with this path, which no other story asks for. */
  async function lineOf(uri: string): Promise<Line> {
    let found: Line | undefined;
    await eventually(`a line about ${uri}`, async () => {
      found = stage.router
        .log()
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as Line)
        .find((line) => line.uri === uri);
      assert.ok(found !== undefined);
    });
    return found!;
  }

  it("says which route and instance had a request, from which cache, and how old that was", async () => {
    const echo = await stage.router.echo({ host: "app.test", path: "/first" });
    const first = await lineOf("/first");
    assert.equal(first.route, "app.test");
    assert.match(String(first.instance), /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(first.tries, "1");
    assert.equal(first.retry_reason, "");
    assert.equal(first.error, "");
    assert.equal(first.cache, "redis");
    assert.equal(first.status, 200);
    assert.match(String(first.age), /^0\.\d{3}$/);
    assert.equal(first.request_id, echo.headers["x-request-id"]);

    await stage.router.echo({ host: "app.test", path: "/second" });
    const second = await lineOf("/second");
    assert.equal(second.cache, "worker");
    assert.ok(Number(second.age) >= Number(first.age));
    assert.notEqual(second.request_id, first.request_id);
  });

  it("names the pattern that had a host", async () => {
    await stage.router.echo({ host: "some.wild.test", path: "/wild" });
    const line = await lineOf("/wild");
    assert.equal(line.route, "*.wild.test");
    assert.equal(line.host, "some.wild.test");
  });

  it("says why a request was tried again", async () => {
    for (let i = 0; i < 2; i += 1) {
      await stage.router.echo({ host: "half.test", path: `/half-${i}` });
    }
    const lines = [await lineOf("/half-0"), await lineOf("/half-1")];
    const retried = lines.find((line) => line.tries === "2");
    assert.equal(retried?.retry_reason, "connect_failed");
  });

  it("says why there was no answer of an app", async () => {
    await stage.router.ask({ host: "nobody.test", path: "/unknown" });
    const unknown = await lineOf("/unknown");
    assert.deepEqual([unknown.error, unknown.route, unknown.status], ["unknown_route", "", 404]);

    await stage.router.ask({ host: "idle.test", path: "/idle" });
    const idle = await lineOf("/idle");
    assert.deepEqual([idle.error, idle.route, idle.status], ["no_instances", "idle.test", 503]);

    await stage.router.ask({ host: "dead.test", path: "/dead" });
    const dead = await lineOf("/dead");
    assert.deepEqual([dead.error, dead.route, dead.status], ["connect_failed", "dead.test", 502]);
    assert.match(String(dead.instance), /^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it("has the client of a trusted proxy, and the trace that app and log share", async () => {
    const headers = { "x-forwarded-for": "203.0.113.7", traceparent: TRACE };
    const echo = await stage.router.echo({ host: "app.test", path: "/traced", headers });
    assert.equal(echo.headers.traceparent, TRACE);
    const line = await lineOf("/traced");
    assert.equal(line.client, "203.0.113.7");
    assert.equal(line.traceparent, TRACE);
  });

  it("stays JSON whatever a client writes", async () => {
    const agent = 'quo"te \\ <script> \t é';
    await stage.router.ask({ host: "app.test", path: "/odd", headers: { "user-agent": agent } });
    assert.ok(String((await lineOf("/odd")).user_agent).includes('quo"te \\ <script>'));
  });

  it("has the lines that hipache and planb write", async () => {
    const headers = {
      "x-forwarded-for": "2001:db8::7",
      referer: "http://from.test/",
      "user-agent": "tool/1",
    };
    await stage.router.ask({ host: "app.test", path: "/legacy", headers });
    const time = "\\d\\d/[A-Z][a-z][a-z]/\\d{4}:\\d\\d:\\d\\d:\\d\\d [+-]\\d{4}";
    await stage.router.logged(
      new RegExp(
        `^x_forwarded_for="::ffff:2001:db8::7" timestamp="${time}" request="GET /legacy HTTP/1\\.1" status_code=200 ` +
          'bytes_sent=\\d+ referrer="http://from\\.test/" user_agent="tool/1" virtual_host="app\\.test" ' +
          'request_time=\\d+\\.\\d+ backend_time=\\d+\\.\\d+ unique_id="[0-9a-f]{32}"$',
      ),
    );
    await stage.router.logged(
      new RegExp(
        `^::ffff:2001:db8::7 - - \\[${time}\\] "GET /legacy HTTP/1\\.1" 200 \\d+ "http://from\\.test/" "tool/1" ` +
          '"X-Request-Id:[0-9a-f]{32}" "app\\.test" "2001:db8::7" \\d+\\.\\d+ \\d+\\.\\d+$',
      ),
    );
  });
});
