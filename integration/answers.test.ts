import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { startApp, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import type { Answer } from "./support/http-client.ts";
import { useStage, type Stage } from "./support/stage.ts";
import { deadPort, startClosing, startSlow } from "./support/troubled-backends.ts";

/** Hosts that lead to each of the answers, and what their statuses are. */
const ANSWERS: [host: string, status: number, reason: string][] = [
  ["*", 400, "invalid_host"],
  ["nowhere.test", 404, "unknown_route"],
  ["empty.test", 503, "no_instances"],
  ["unresolved.test", 503, "name_unresolved"],
  ["dead.test", 502, "connect_failed"],
  ["no-tls.test", 502, "tls_failed"],
  ["closing.test", 502, "bad_response"],
  ["slow.test", 504, "read_timeout"],
];

async function prepare(stage: Stage): Promise<void> {
  const redis = stage.redis.client;
  const closing = await stage.keep(startClosing("closing"));
  const slow = await stage.keep(startSlow("slow", 60));
  const plain = await stage.backend("plain");
  await redis.sadd("backends:empty.test", "-");
  await redis.sadd("backends:unresolved.test", "nobody.invalid:80");
  await redis.sadd("backends:dead.test", await deadPort());
  await redis.sadd("backends:no-tls.test", `https://${plain.at}`);
  await stage.serve("closing.test", closing);
  await stage.serve("slow.test", slow);
  await redis.hset("route:slow.test", "read_timeout", "200ms");
}

function assertHead(answer: Answer, status: number, reason: string): void {
  assert.equal(answer.headers["x-switchboard-error"], reason);
  assert.equal(answer.status, status);
  assert.equal(answer.headers["cache-control"], "no-store");
}

describe("an answer of the router itself", () => {
  const stage = useStage({ workers: 1 });
  before(async () => prepare(stage));

  for (const [host, status, reason] of ANSWERS) {
    it(`is ${status} ${reason}, with a short text`, async () => {
      const answer = await stage.router.ask({ host });

      assertHead(answer, status, reason);
      assert.match(String(answer.headers["content-type"]), /^text\/plain/);
      assert.match(answer.body, new RegExp(`^${status} [A-Z][^\n]+ \\(${reason}\\)\n$`));
    });

    it(`is HTML for a browser: ${reason}`, async () => {
      const answer = await stage.router.ask({ host, headers: { accept: "text/html,*/*;q=0.8" } });

      assertHead(answer, status, reason);
      assert.match(String(answer.headers["content-type"]), /^text\/html/);
      assert.match(answer.body, new RegExp(`<h1>${status} [^<]+</h1>[^]*${reason}`));
    });

    it(`has no body for HEAD: ${reason}`, async () => {
      const answer = await stage.router.ask({ host, method: "HEAD" });

      assertHead(answer, status, reason);
      assert.equal(answer.body, "");
    });
  }

  it("leaves the connection open for the next request", async () => {
    const app = await stage.backend("app");
    await stage.serve("next.test", app);
    const response = await stage.router.sendRaw(
      "GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n" +
        "GET / HTTP/1.1\r\nHost: empty.test\r\n\r\n" +
        "GET / HTTP/1.1\r\nHost: closing.test\r\n\r\n" +
        "GET / HTTP/1.1\r\nHost: next.test\r\nConnection: close\r\n\r\n",
    );

    assert.deepEqual(response.match(/^HTTP\/1\.1 \d+/gm), [
      "HTTP/1.1 404",
      "HTTP/1.1 503",
      "HTTP/1.1 502",
      "HTTP/1.1 200",
    ]);
  });

  it("takes a request with a body, also a large one, without breaking the connection", async () => {
    const body = Buffer.alloc(5_000_000, "x");

    assertHead(await stage.router.ask({ host: "nowhere.test", method: "POST", body }), 404, "unknown_route");
    assertHead(await stage.router.ask({ host: "dead.test", method: "POST", body }), 502, "connect_failed");
  });

  it("is counted by reason and status", async () => {
    const before = await stage.router.metrics();
    await stage.router.ask({ host: "empty.test" });
    await stage.router.ask({ host: "dead.test" });

    await eventually("both are counted", async () => {
      const now = await stage.router.metrics();
      for (const reason of ["no_instances", "connect_failed"]) {
        const series = `switchboard_answers_total{reason="${reason}"}`;
        assert.equal(now.get(series), (before.get(series) ?? 0) + 1, reason);
      }
      const errors = 'switchboard_requests_total{code="5xx"}';
      assert.equal(now.get(errors), (before.get(errors) ?? 0) + 2);
    });
  });
});

describe("an app's own answer", () => {
  const stage = useStage();
  const startStatus = async (): Promise<Backend> =>
    startApp("status", (request, response) => {
      response.statusCode = Number(request.url?.slice(1));
      response.setHeader("X-Switchboard-Error", "no_instances");
      response.setHeader("X-App", "mine");
      response.setHeader("Cache-Control", "max-age=60");
      response.end(response.statusCode === 204 ? undefined : "the app's own words\n");
    });

  it("passes through untouched, but for an X-Switchboard-Error that only the router may send", async () => {
    const host = await stage.serve("own.test", await stage.keep(startStatus()));

    for (const status of [200, 201, 204, 301, 400, 401, 403, 404, 413, 429, 500, 501, 502, 503, 504, 508]) {
      const answer = await stage.router.ask({ host, path: `/${status}` });

      assert.equal(answer.status, status);
      assert.equal(answer.headers["x-switchboard-error"], undefined, String(status));
      assert.equal(answer.headers["x-app"], "mine");
      assert.equal(answer.headers["cache-control"], "max-age=60");
      assert.equal(answer.body, status === 204 ? "" : "the app's own words\n");
    }
  });

  it("passes through untouched after a retry too", async () => {
    const host = await stage.serve("own-retried.test", await stage.keep(startStatus()));
    await stage.redis.client.sadd("backends:own-retried.test", await deadPort());

    for (let i = 0; i < 10; i += 1) {
      const answer = await stage.router.ask({ host, path: "/502" });

      assert.equal(answer.headers["x-switchboard-error"], undefined);
      assert.equal(answer.body, "the app's own words\n");
    }
  });
});

describe("with error_body=off", () => {
  const stage = useStage({
    environment: { SWITCHBOARD_ERROR_BODY: "off" },
    errors: false,
    server: `
      error_page 400 404 502 503 504 508 /sorry;
      location = /sorry { internal; default_type text/plain; return 200 "sorry from $host"; }`,
  });
  before(async () => prepare(stage));

  for (const [host, status, reason] of ANSWERS) {
    it(`${reason} gets the body of the user's error_page`, async () => {
      const answer = await stage.router.ask({ host });

      assertHead(answer, status, reason);
      assert.match(answer.body, /^sorry from /);
    });
  }

  it("an app's own error passes through all the same", async () => {
    const app = await stage.keep(
      startApp("angry", (_, response) => {
        response.statusCode = 503;
        response.end("mine");
      }),
    );
    const host = await stage.serve("angry.test", app);

    assert.equal((await stage.router.ask({ host })).body, "mine");
  });
});

describe("an access log", () => {
  const stage = useStage({
    http: `log_format reasons 'logged $host "$switchboard_error" $status';`,
    server: "access_log /dev/stderr reasons if=$switchboard_failed;",
  });
  before(async () => prepare(stage));

  it("may name the reason, and hold failures alone", async () => {
    const app = await stage.keep(startApp("app", (_, response) => response.writeHead(502).end("mine")));
    await stage.router.ask({ host: await stage.serve("app.test", app) });
    for (const [host] of ANSWERS) {
      await stage.router.ask({ host });
    }

    for (const [host, status, reason] of ANSWERS) {
      await stage.router.logged(new RegExp(`^logged ${host.replace("*", "\\*")} "${reason}" ${status}$`));
    }
    assert.ok(!stage.router.log().some((line) => line.startsWith("logged app.test")));
  });
});

describe("without errors.conf", () => {
  const stage = useStage({ errors: false });
  before(async () => prepare(stage));

  for (const [host, status, reason] of ANSWERS) {
    it(`${reason} carries its reason too`, async () => {
      assertHead(await stage.router.ask({ host }), status, reason);
    });
  }
});
