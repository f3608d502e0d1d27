import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import type { Answer } from "./support/http-client.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const TOKEN = "s3cret-token";
const TRACE = {
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  tracestate: "a=1,b=2",
};
const WITH_ID = "location /with-id { include switchboard/proxy.conf; include switchboard/request-id.conf; }";

describe("a request with X-Switchboard-Debug", () => {
  const stage = useStage({ workers: 1, environment: { SWITCHBOARD_DEBUG_TOKEN: TOKEN }, server: WITH_ID });
  const debug = async (host: string, token = TOKEN, more: Record<string, string> = {}): Promise<Answer> =>
    stage.router.ask({ host, headers: { "x-switchboard-debug": token, ...more } });
  const explained = (answer: Answer): string[] =>
    ["route", "cache", "instance", "tries", "times"].map((name) =>
      String(answer.headers[`x-switchboard-${name}`] ?? ""),
    );

  it("is told its route, cache, instance, tries and times, and its app sees no token", async () => {
    const a = await stage.backend("a");
    const host = await stage.serve("explained.test", a);
    const first = await debug(host);
    const [route, cache, instance, tries, times] = explained(first);
    assert.equal(first.status, 200);
    assert.equal(route, host);
    assert.match(cache!, /^redis; age=0\.\d{3}$/);
    assert.equal(instance, `http://${a.at}`);
    assert.equal(tries, `http://${a.at}`);
    assert.match(times!, /^lookup=\d+ms; last_try_after=\d+ms$/);
    assert.doesNotMatch(first.body, /s3cret/);
    assert.match((await debug(host)).headers["x-switchboard-cache"] as string, /^worker; /);
  });

  it("is told which tries failed, and why, also when none is left", async () => {
    const [a, dead] = [await stage.backend("a"), await deadPort()];
    const host = await stage.serve("half-explained.test", a);
    await stage.redis.client.sadd(`backends:${host}`, dead);
    const seen = [await debug(host), await debug(host)].map((answer) => {
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["x-switchboard-instance"], `http://${a.at}`);
      return String(answer.headers["x-switchboard-tries"]);
    });
    const retried = seen.find((tries) => tries.includes(","));
    assert.match(String(retried), new RegExp(`^http://${dead} connect_failed after \\d+ms, http://${a.at}$`));

    await stage.redis.client.sadd("backends:dead-explained.test", dead);
    const failed = await debug("dead-explained.test");
    assert.equal(failed.status, 502);
    assert.equal(failed.headers["x-switchboard-error"], "connect_failed");
    assert.equal(failed.headers["x-switchboard-route"], "dead-explained.test");
    assert.match(String(failed.headers["x-switchboard-tries"]), new RegExp(`^http://${dead}`));
  });

  it("is told so when it has no route, or one without instances, or one of a wildcard or a path", async () => {
    const none = await debug("unknown-explained.test");
    assert.deepEqual([none.status, none.headers["x-switchboard-route"]], [404, "none"]);
    await stage.redis.client.sadd("backends:empty-explained.test", "-");
    const empty = await debug("empty-explained.test");
    assert.deepEqual([empty.status, empty.headers["x-switchboard-route"]], [503, "empty-explained.test"]);
    await stage.serve("*.explained.test", await stage.backend("b"));
    assert.equal((await debug("x.explained.test")).headers["x-switchboard-route"], "*.explained.test");
  });

  it("is told nothing with another token or none, and its app sees none either", async () => {
    const host = await stage.serve("closed.test", await stage.backend("a"));
    for (const token of ["", "s3cret", `${TOKEN}x`, TOKEN.toUpperCase(), "x".repeat(4000)]) {
      const answer = await debug(host, token);
      assert.equal(answer.status, 200);
      assert.deepEqual(explained(answer), ["", "", "", "", ""], token);
      assert.doesNotMatch(answer.body, /"x-switchboard-debug":"[^"]/);
    }
    const off = await stage.moreRouter({ workers: 1 });
    for (const token of ["", TOKEN]) {
      const answer = await off.ask({ host, headers: { "x-switchboard-debug": token } });
      assert.deepEqual(explained(answer), ["", "", "", "", ""]);
    }
  });

  it("leaves no explanation to the next request", async () => {
    const host = await stage.serve("next.test", await stage.backend("a"));
    for (let i = 0; i < 5; i += 1) {
      assert.equal((await debug(host)).headers["x-switchboard-route"], host);
      assert.deepEqual(explained(await stage.router.ask({ host })), ["", "", "", "", ""]);
    }
  });

  it("or without: traceparent and tracestate pass, and the id comes back where request-id.conf is", async () => {
    const host = await stage.serve("traced.test", await stage.backend("a"));
    const { headers } = await stage.router.echo({ host, headers: TRACE });
    assert.equal(headers.traceparent, TRACE.traceparent);
    assert.equal(headers.tracestate, TRACE.tracestate);
    assert.equal((await stage.router.echo({ host })).headers.traceparent, undefined);

    const given = await stage.router.ask({ host, path: "/with-id", headers: { "x-request-id": "given-1" } });
    assert.equal(given.headers["x-request-id"], "given-1");
    const made = await stage.router.ask({ host, path: "/with-id" });
    const seen = (JSON.parse(made.body) as { headers: Record<string, string> }).headers["x-request-id"];
    assert.match(String(seen), /^[0-9a-f]{32}$/);
    assert.equal(made.headers["x-request-id"], seen);
    const refused = await stage.router.ask({ host: "unknown-traced.test", path: "/with-id" });
    assert.equal(refused.status, 404);
    assert.match(String(refused.headers["x-request-id"]), /^[0-9a-f]{32}$/);
  });
});
