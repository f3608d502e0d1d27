import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { startApp, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import type { Answer } from "./support/http-client.ts";
import { useStage } from "./support/stage.ts";
import { deadPort, startClosing } from "./support/troubled-backends.ts";

const REQUESTS = 120;

describe("the budget of retries", () => {
  const stage = useStage({
    workers: 1,
    http: "include switchboard/log-formats.conf;",
    server: "include switchboard/prepared.conf; access_log /dev/stderr switchboard_json;",
  });

  const answering = async (name: string, status: number): Promise<Backend> =>
    stage.keep(
      startApp(name, (_, response) => {
        response.statusCode = status;
        response.end(`${name} says ${status}\n`);
      }),
    );

  const askMany = async (host: string): Promise<Answer[]> => {
    const answers: Answer[] = [];
    for (let i = 0; i < REQUESTS; i += 20) {
      answers.push(
        ...(await Promise.all(
          Array.from({ length: 20 }, async () => stage.router.ask({ host, path: "/many" })),
        )),
      );
    }
    return answers;
  };

  const reasonsOf = async (host: string): Promise<string[]> => {
    let reasons: string[] = [];
    await eventually(`lines about ${host}`, () => {
      reasons = stage.router
        .log()
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as Record<string, string>)
        .filter((line) => line.route === host)
        .map((line) => line.retry_reason!);
      assert.ok(reasons.length >= REQUESTS);
      return Promise.resolve();
    });
    return reasons;
  };

  it("bounds the tries of a route whose apps break off; the answer stays the same", async () => {
    const host = "broken.test";
    const apps = [await stage.keep(startClosing("a")), await stage.keep(startClosing("b"))];
    await stage.redis.client.sadd(`backends:${host}`, ...apps.map((app) => app.at));
    await stage.redis.client.hset(`route:${host}`, { tries: "2", eject: "off" });

    // One after the other: beside a running request a connection may come from the pool, and is tried once more.
    for (let i = 0; i < REQUESTS; i += 1) {
      const answer = await stage.router.ask({ host, path: "/many" });
      assert.equal(answer.status, 502);
      assert.equal(answer.headers["x-switchboard-error"], "bad_response");
    }

    const reasons = await reasonsOf(host);
    const spent = reasons.filter((reason) => reason === "budget_spent").length;
    const retried = reasons.filter((reason) => reason === "bad_response").length;
    assert.ok(spent > 0 && spent <= REQUESTS - 30, `${spent}`);
    assert.equal(spent + retried, REQUESTS);
    assert.equal(apps[0]!.count() + apps[1]!.count(), REQUESTS + retried);
  });

  it("lets every request find the one of three instances that listens", async () => {
    const host = "mostly-gone.test";
    const alive = await stage.backend("alive");
    await stage.redis.client.sadd(`backends:${host}`, alive.at, await deadPort(), await deadPort());
    await stage.redis.client.hset(`route:${host}`, { eject: "off" });

    const answers = await askMany(host);

    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
  });

  it("passes the app's own answer on when it is spent", async () => {
    const apps = [await answering("bad", 503), await answering("worse", 503)];
    const host = await stage.serve("unwell.test", ...apps);
    await stage.redis.client.hset(`route:${host}`, { retry_on: "503" });

    for (const answer of await askMany(host)) {
      assert.equal(answer.status, 503);
      assert.match(answer.body, /^(bad|worse) says 503\n$/);
    }

    const reasons = await reasonsOf(host);
    const spent = reasons.filter((reason) => reason === "budget_spent").length;
    const sent = apps.reduce((sum, app) => sum + app.count(), 0);
    assert.ok(spent > 0 && spent <= REQUESTS - 30, `${spent}`);
    assert.equal(sent, REQUESTS + reasons.filter((reason) => reason === "http_503").length);
  });

  it("gets back what was reserved for requests that went well, and is the route's own", async () => {
    const good = await answering("good", 200);
    const host = await stage.serve("well.test", good, await answering("better", 200));
    await stage.redis.client.hset(`route:${host}`, { retry_on: "503" });
    await askMany(host);
    assert.deepEqual(new Set(await reasonsOf(host)), new Set([""]));

    const bad = await answering("bad", 503);
    await stage.serve(host, bad);
    await eventually("the bad one is asked", async () => {
      assert.equal((await stage.router.ask({ host })).status, 200);
      assert.ok(bad.count() > 0);
    });
  });
});
