import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { startApp, startEcho, type Backend } from "./support/backends.ts";
import { makeCertificate } from "./support/certificates.ts";
import type { Answer } from "./support/http-client.ts";
import { useStage } from "./support/stage.ts";
import {
  deadPort,
  startBabbling,
  startBlackHole,
  startClosing,
  startDripping,
  startForgetful,
  startResetting,
  startSlow,
  startTruncating,
} from "./support/troubled-backends.ts";

const stage = useStage({ environment: { SWITCHBOARD_CONNECT_TIMEOUT: "1s" } });

function assertOurs(answer: Answer, status: number, reason: string): void {
  assert.equal(answer.headers["x-switchboard-error"], reason);
  assert.equal(answer.status, status);
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.match(answer.body, new RegExp(`^${status} .*\\(${reason}\\)\\n$`));
}

async function routeTo(host: string, options: Record<string, string>, ...members: string[]): Promise<string> {
  await stage.redis.client.sadd(`backends:${host}`, ...members);
  if (Object.keys(options).length > 0) {
    await stage.redis.client.hset(`route:${host}`, options);
  }
  return host;
}

function total(backends: Backend[]): number {
  return backends.reduce((sum, backend) => sum + backend.count(), 0);
}

describe("what a client gets when the only instance", () => {
  it("does not listen: 502 connect_failed", async () => {
    const host = await routeTo("dead.test", {}, await deadPort());

    assertOurs(await stage.router.ask({ host }), 502, "connect_failed");
    assertOurs(await stage.router.ask({ host, method: "POST", body: "x" }), 502, "connect_failed");
  });

  it("never takes the connection: 504 connect_timeout, after the route's own timeout", async () => {
    const hole = await stage.keep(startBlackHole("hole"));
    const host = await routeTo("hole.test", { connect_timeout: "300ms" }, hole.at);
    const began = Date.now();

    assertOurs(await stage.router.ask({ host }), 504, "connect_timeout");

    assert.ok(Date.now() - began < 900, `${Date.now() - began} ms`);
  });

  it("takes no connection within the router's timeout: 504 connect_timeout", async () => {
    const hole = await stage.keep(startBlackHole("hole"));
    const host = await routeTo("hole-by-default.test", {}, hole.at);
    const began = Date.now();

    assertOurs(await stage.router.ask({ host }), 504, "connect_timeout");

    const took = Date.now() - began;
    assert.ok(took > 900 && took < 2500, `${took} ms`);
  });

  it("does not answer in time: 504 read_timeout", async () => {
    const slow = await stage.keep(startSlow("slow", 60));
    const host = await routeTo("slow.test", { read_timeout: "300ms" }, slow.at);

    assertOurs(await stage.router.ask({ host }), 504, "read_timeout");
    assertOurs(await stage.router.ask({ host, method: "POST", body: "x" }), 504, "read_timeout");
    assert.equal(slow.count(), 2);
  });

  it("closes, resets or babbles instead of answering: 502 bad_response", async () => {
    const troubled = [startClosing("closing"), startResetting("resetting"), startBabbling("babbling")];
    for (const starting of troubled) {
      const backend = await stage.keep(starting);
      const host = await routeTo(`${backend.name}.test`, {}, backend.at);

      assertOurs(await stage.router.ask({ host }), 502, "bad_response");
      assertOurs(await stage.router.ask({ host, method: "POST", body: "x" }), 502, "bad_response");
    }
  });

  it("sends a header that is too long for nginx's buffer: 502 bad_response", async () => {
    const app = await stage.keep(
      startApp("wordy", (_, response) => response.setHeader("X-Long", "x".repeat(100_000)).end("ok")),
    );
    const host = await routeTo("wordy.test", {}, app.at);

    assertOurs(await stage.router.ask({ host }), 502, "bad_response");
    assert.equal(app.count(), 1);
  });

  it("does not speak TLS: 502 tls_failed", async () => {
    const plain = await stage.backend("plain");
    const host = await routeTo("no-tls.test", {}, `https://${plain.at}`);

    assertOurs(await stage.router.ask({ host }), 502, "tls_failed");
  });

  it("breaks off in the middle of the body: so does the response", async () => {
    const truncating = await stage.keep(startTruncating("truncating"));
    const host = await routeTo("truncating.test", {}, truncating.at);

    await assert.rejects(stage.router.ask({ host }), /aborted|ECONNRESET|socket hang up/);
    assert.equal(truncating.count(), 1);
  });
});

describe("an instance over TLS", () => {
  it("is reached, beside one without", async () => {
    const certificate = await makeCertificate("IP:127.0.0.1");
    const safe = await stage.keep(startEcho("safe", {}, certificate));
    const plain = await stage.backend("plain");
    const host = await routeTo("mixed.test", {}, `https://${safe.at}`, plain.at);
    const names = new Set<string>();

    for (let i = 0; i < 40; i += 1) {
      names.add((await stage.router.echo({ host, method: i % 2 === 0 ? "GET" : "POST" })).name);
    }

    assert.deepEqual([...names].sort(), ["plain", "safe"]);
  });
});

describe("a retry", () => {
  it("goes past a dead instance, for any method, with the whole body", async () => {
    const a = await stage.backend("a");
    const host = await routeTo("one-dead.test", {}, a.at, await deadPort());
    const body = "x".repeat(300_000);
    const hash = createHash("sha256").update(body).digest("hex");

    for (let i = 0; i < 20; i += 1) {
      for (const method of ["GET", "POST", "PURGE", "PATCH"]) {
        const echo = await stage.router.echo({ host, method, body: method === "GET" ? "" : body });
        assert.equal(echo.method, method);
        assert.equal(echo.bodyHash, method === "GET" ? echo.bodyHash : hash);
      }
    }
    assert.equal(a.count(), 80);
  });

  it("goes past two dead instances, never to the same one again", async () => {
    const a = await stage.backend("a");
    const host = await routeTo("two-dead.test", {}, a.at, await deadPort(), await deadPort());

    for (let i = 0; i < 30; i += 1) {
      assert.equal((await stage.router.echo({ host })).name, "a");
    }
  });

  it("goes past an instance that never takes the connection, with an unsent POST", async () => {
    const [a, hole] = [await stage.backend("a"), await stage.keep(startBlackHole("hole"))];
    const host = await routeTo("one-hole.test", { connect_timeout: "200ms" }, a.at, hole.at);

    for (let i = 0; i < 6; i += 1) {
      assert.equal((await stage.router.echo({ host, method: "POST", body: "order" })).bodyLength, 5);
    }
    assert.equal(a.count(), 6);
  });

  it("repeats what was sent only for methods that may be sent twice", async () => {
    const closing = [
      await stage.keep(startClosing("closing-1")),
      await stage.keep(startClosing("closing-2")),
      await stage.keep(startClosing("closing-3")),
    ];
    const host = await routeTo("all-closing.test", {}, ...closing.map(({ at }) => at));
    const sent = new Map<string, number>();

    for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "LOCK", "PURGE"]) {
      const before = total(closing);
      const answer = await stage.router.ask({ host, method, body: method === "PUT" ? "x" : undefined });
      assert.equal(answer.status, 502, method);
      assert.equal(answer.headers["x-switchboard-error"], "bad_response", method);
      sent.set(method, total(closing) - before);
    }

    assert.deepEqual(Object.fromEntries(sent), {
      GET: 3,
      HEAD: 3,
      OPTIONS: 3,
      PUT: 3,
      DELETE: 3,
      POST: 1,
      PATCH: 1,
      LOCK: 1,
      PURGE: 1,
    });
  });

  it("repeats whatever has an Idempotency-Key, its body and all", async () => {
    const [a, closing] = [await stage.backend("a"), await stage.keep(startClosing("closing"))];
    const host = await routeTo("keyed.test", { eject: "off" }, a.at, closing.at);

    for (let i = 0; i < 6; i += 1) {
      const method = i % 3 === 0 ? "PATCH" : "POST";
      const headers = { "idempotency-key": `order-${i}` };
      const echo = await stage.router.echo({ host, method, body: "order", headers });
      assert.deepEqual([echo.name, echo.bodyLength], ["a", 5]);
    }

    assert.ok(closing.count() > 0);
  });

  it("ends at the deadline of the request, however many tries are left", async () => {
    const slow = [
      await stage.keep(startSlow("slow-1", 60)),
      await stage.keep(startSlow("slow-2", 60)),
      await stage.keep(startSlow("slow-3", 60)),
    ];
    const host = await routeTo(
      "late.test",
      { read_timeout: "300ms", deadline: "500ms", tries: "3", eject: "off" },
      ...slow.map(({ at }) => at),
    );

    const began = performance.now();
    assertOurs(await stage.router.ask({ host }), 504, "read_timeout");

    assert.ok(performance.now() - began >= 490);
    assert.equal(total(slow), 2, "a try of 300 ms, and one of 200");
  });

  it("repeats a GET after a read timeout, but no POST", async () => {
    const [a, slow] = [await stage.backend("a"), await stage.keep(startSlow("slow", 60))];
    const host = await routeTo("half-slow.test", { read_timeout: "200ms" }, a.at, slow.at);
    const lost: Answer[] = [];

    for (let i = 0; i < 4; i += 1) {
      assert.equal((await stage.router.ask({ host })).status, 200);
      const answer = await stage.router.ask({ host, method: "POST", body: "x" });
      lost.push(...(answer.status === 200 ? [] : [answer]));
    }

    const slowPosts = slow.methods.filter((method) => method === "POST").length;
    const quickPosts = a.methods.filter((method) => method === "POST").length;
    assert.equal(slowPosts + quickPosts, 4, "every POST was sent once");
    assert.equal(lost.length, slowPosts);
    lost.forEach((answer) => assertOurs(answer, 504, "read_timeout"));
  });

  it("happens as often as the route's tries say", async () => {
    for (const tries of [1, 2, 4]) {
      const closing: Backend[] = [];
      for (let i = 0; i < 5; i += 1) {
        closing.push(await stage.keep(startClosing(`closing-${i}`)));
      }
      const host = await routeTo(
        `tries-${tries}.test`,
        { tries: String(tries) },
        ...closing.map(({ at }) => at),
      );

      assert.equal((await stage.router.ask({ host })).status, 502);

      assert.equal(total(closing), tries);
      assert.ok(closing.every((backend) => backend.count() <= 1));
    }
  });

  it("never asks twice what an app has answered, whatever its status", async () => {
    const angry = await stage.keep(
      startApp("angry", (_, response) => {
        response.statusCode = 503;
        response.end("mine");
      }),
    );
    const a = await stage.backend("a");
    const host = await routeTo("angry.test", {}, angry.at, a.at);
    const statuses: number[] = [];

    for (let i = 0; i < 10; i += 1) {
      statuses.push((await stage.router.ask({ host })).status);
    }

    assert.equal(statuses.filter((status) => status === 503).length, angry.count());
    assert.equal(angry.count() + a.count(), 10);
  });
});

describe("a pooled connection that the instance has closed", () => {
  it("costs no client an error and the instance no share", async () => {
    const forgetful = await stage.keep(startForgetful("forgetful"));
    const host = await routeTo("forgetful.test", {}, forgetful.at);

    for (let i = 0; i < 60; i += 1) {
      const answer = await stage.router.ask({ host });
      assert.equal(answer.status, 200, `request ${i}: ${answer.body}`);
    }

    const metrics = await stage.router.metrics();
    assert.ok((metrics.get("switchboard_stale_connections_total") ?? 0) > 0);
  });

  it("gives a GET its other tries still", async () => {
    const forgetful = await stage.keep(startForgetful("forgetful"));
    const host = await routeTo("forgetful-and-dead.test", {}, forgetful.at, await deadPort());

    for (let i = 0; i < 60; i += 1) {
      assert.equal((await stage.router.ask({ host })).status, 200, `request ${i}`);
    }
  });

  it("never has a POST sent twice", async () => {
    const forgetful = await stage.keep(startForgetful("forgetful"));
    const host = await routeTo("forgetful-post.test", {}, forgetful.at);

    for (let i = 0; i < 20; i += 1) {
      const before = forgetful.count();
      await stage.router.ask({ host, method: "POST", body: "x" });
      assert.equal(forgetful.count(), before + 1);
    }
  });
});

describe("a timeout within the body", () => {
  it("counts from one read to the next, not for the whole", async () => {
    const dripping = await stage.keep(startDripping("dripping", 10, 0.1));
    const host = await routeTo("dripping.test", { read_timeout: "500ms" }, dripping.at);

    assert.equal((await stage.router.ask({ host })).body, "xxxxxxxxxx");
  });
});
