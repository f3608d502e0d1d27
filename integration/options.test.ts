import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { startApp, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { type Answer, type Question } from "./support/http-client.ts";
import { useStage, type Stage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const BEHIND = { SWITCHBOARD_TRUSTED_PROXIES: "127.0.0.0/8" };

/** A host of its own for a story, led to the backend, with these options. */
async function route(
  stage: Stage,
  name: string,
  options: Record<string, string>,
  ...backends: Backend[]
): Promise<string> {
  await stage.redis.client.hset(`route:${name}`, options);
  return backends.length > 0 ? stage.serve(name, ...backends) : name;
}

function reasonOf(answer: Answer): string {
  return `${answer.status} ${String(answer.headers["x-switchboard-error"] ?? "")}`.trim();
}

/** An app that answers with a status until it is told otherwise. */
async function startAnswering(name: string, status: number): Promise<Backend> {
  return startApp(name, (request, response) => {
    request.resume().on("end", () => {
      response.writeHead(status, { "X-Backend": name, "X-Powered-By": "magic", Server: "app/1" });
      response.end(`${name} says ${status}\n`);
    });
  });
}

describe("options that refuse", () => {
  const stage = useStage({ workers: 1, environment: BEHIND });
  let a: Backend;
  before(async () => {
    a = await stage.backend("a");
  });
  const from = async (host: string, client: string): Promise<string> =>
    reasonOf(await stage.router.ask({ host, headers: { "x-forwarded-for": client } }));

  it("allow_ips and deny_ips: by the client's address, the trusted proxies' word for it", async () => {
    const host = await route(
      stage,
      "gate.test",
      { allow_ips: "10.0.0.0/8, 2001:db8::/32", deny_ips: "10.6.6.6" },
      a,
    );

    assert.equal(await from(host, "10.1.2.3"), "200");
    assert.equal(await from(host, "2001:db8::7"), "200");
    assert.equal(await from(host, "10.6.6.6"), "403 forbidden");
    assert.equal(await from(host, "192.0.2.1"), "403 forbidden");
    assert.equal(await from(host, "10.1.2.3"), "200");
  });

  it("a bad allow_ips does not let everybody in", async () => {
    const host = await route(stage, "slip.test", { allow_ips: "10.0.0.0/8, 192.0.2.1/99" }, a);

    assert.equal(await from(host, "192.0.2.1"), "403 forbidden");
    assert.equal(await from(host, "10.1.2.3"), "200");
    await stage.router.logged(/skipped in route:slip\.test: "allow_ips .*192\.0\.2\.1\/99/);
  });

  it("https_redirect: to the same place by TLS, and hsts only once there", async () => {
    const host = await route(
      stage,
      "secure.test",
      { https_redirect: "on", hsts: "on; includeSubDomains" },
      a,
    );
    const question: Question = { host, path: "/a%20b?c=d" };

    const plain = await stage.router.ask(question);
    const posted = await stage.router.ask({ ...question, method: "POST", body: "x" });
    const secure = await stage.router.ask({ ...question, headers: { "x-forwarded-proto": "https" } });

    assert.equal(plain.status, 301);
    assert.equal(plain.headers.location, "https://secure.test/a%20b?c=d");
    assert.equal(plain.headers["strict-transport-security"], undefined);
    assert.equal(posted.status, 308);
    assert.equal(secure.status, 200);
    assert.equal(secure.headers["strict-transport-security"], "max-age=31536000; includeSubDomains");
    for (const word of ["HTTPS", "https, http", "https,https"]) {
      const answer = await stage.router.ask({ ...question, headers: { "x-forwarded-proto": word } });
      assert.equal(answer.status, 200, word);
    }
    for (const word of ["http, https", "httpsx", ",https", "", "http"]) {
      const answer = await stage.router.ask({ ...question, headers: { "x-forwarded-proto": word } });
      assert.equal(answer.status, 301, word);
    }
  });

  it("a request that is refused takes no turn of a split", async () => {
    const [v1, v2] = [await stage.backend("v1"), await stage.backend("v2")];
    await stage.serve("@turn-1", v1);
    await stage.serve("@turn-2", v2);
    const host = await route(stage, "turns.test", {
      split: "@turn-1=1,@turn-2=1",
      split_cookie: "lane",
      deny_ips: "10.6.6.6",
    });
    const names = new Set<string>();
    for (let i = 0; i < 4; i += 1) {
      const refused = await stage.router.ask({ host, headers: { "x-forwarded-for": "10.6.6.6" } });
      assert.equal(reasonOf(refused), "403 forbidden");
      assert.equal(refused.headers["set-cookie"], undefined);
      names.add((await stage.router.echo({ host })).name);
    }
    assert.equal(names.size, 2);
  });

  it("maintenance: 503 with Retry-After and the route's own message, until it is over", async () => {
    const host = await route(stage, "closed.test", { maintenance: "Back at <noon>", retry_after: "2m" }, a);

    const text = await stage.router.ask({ host });
    const html = await stage.router.ask({ host, headers: { accept: "text/html" } });

    assert.equal(reasonOf(text), "503 maintenance");
    assert.equal(text.headers["retry-after"], "120");
    assert.equal(text.body, "503 Service Unavailable: Back at <noon> (maintenance)\n");
    assert.match(html.body, /<p>Back at &lt;noon&gt;<\/p>/);

    await stage.redis.client.hset("route:closed.test", "maintenance", "off");
    await eventually("it is served", async () => stage.router.echo({ host }));
  });

  it("maintenance also of a route that has no instance", async () => {
    await stage.redis.client.hset("route:empty-closed.test", "maintenance", "on");

    assert.equal(reasonOf(await stage.router.ask({ host: "empty-closed.test" })), "503 maintenance");
  });

  it("max_body: by the length that is announced, and no length is none", async () => {
    const host = await route(stage, "small.test", { max_body: "1k" }, a);
    const post = async (body: string, headers: Record<string, string> = {}): Promise<string> =>
      reasonOf(await stage.router.ask({ host, method: "POST", body, headers }));

    assert.equal(await post("x".repeat(1024)), "200");
    assert.equal(await post("x".repeat(1025)), "413 body_too_large");
    assert.equal(await post("x", { "transfer-encoding": "chunked" }), "411 length_required");
    assert.equal(reasonOf(await stage.router.ask({ host })), "200");
  });

  it("leave nothing in flight", async () => {
    await eventually("none runs", async () =>
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 0),
    );
  });
});

describe("options about where a client is and how it came, without a trusted proxy", () => {
  const stage = useStage({ workers: 1 });
  const claims = { "x-forwarded-proto": "https", "x-forwarded-for": "10.1.2.3", "x-real-ip": "10.1.2.3" };

  it("take nobody's word for it", async () => {
    const a = await stage.backend("a");
    const secure = await route(stage, "secure.test", { https_redirect: "on", hsts: "on" }, a);
    const gate = await route(stage, "gate.test", { allow_ips: "10.0.0.0/8" }, a);
    const own = await route(stage, "own.test", { allow_ips: "127.0.0.0/8", hsts: "on" }, a);

    assert.equal((await stage.router.ask({ host: secure, headers: claims })).status, 301);
    assert.equal(reasonOf(await stage.router.ask({ host: gate, headers: claims })), "403 forbidden");
    const answer = await stage.router.ask({ host: own, headers: claims });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["strict-transport-security"], undefined);
  });
});

describe("options that change what an app sees", () => {
  const stage = useStage({ workers: 1 });
  let a: Backend;
  before(async () => {
    a = await stage.backend("a");
  });

  it("host_header: a value, the instance's address, or what came; X-Forwarded-Host is what came", async () => {
    const seen = async (value: string): Promise<string[]> => {
      const host = await route(stage, `${value.replaceAll(":", "-")}.host.test`, { host_header: value }, a);
      const { headers } = await stage.router.echo({ host });
      assert.equal(headers["x-forwarded-host"], host);
      assert.equal(headers["x-real-ip"], "127.0.0.1");
      return [String(headers.host), host];
    };

    assert.equal((await seen("inner.example:8080"))[0], "inner.example:8080");
    assert.equal((await seen("upstream"))[0], a.at);
    const [host, came] = await seen("preserve");
    assert.equal(host, came);
  });

  it("host_header=upstream: each try has its own instance's", async () => {
    const host = await route(stage, "tried.host.test", { host_header: "upstream" }, a);
    await stage.redis.client.sadd(`backends:${host}`, await deadPort());

    for (let i = 0; i < 4; i += 1) {
      const { headers, bodyLength } = await stage.router.echo({ host, method: "POST", body: "abc" });
      assert.equal(headers.host, a.at);
      assert.equal(bodyLength, 3);
    }
  });

  it("strip_prefix: without the prefix of the path route, told in X-Forwarded-Prefix", async () => {
    await stage.redis.client.sadd("paths:strip.test", "/api");
    await route(stage, "strip.test", { strip_prefix: "on" }, a);
    await stage.serve("strip.test/api", a);
    const seen = async (path: string): Promise<unknown[]> => {
      const { url, headers } = await stage.router.echo({ host: "strip.test", path });
      return [url, headers["x-forwarded-prefix"]];
    };

    assert.deepEqual(await seen("/api/v1/x?y=%2F"), ["/v1/x?y=%2F", "/api"]);
    assert.deepEqual(await seen("/api"), ["/", "/api"]);
    assert.deepEqual(await seen("/api/?q"), ["/?q", "/api"]);
    assert.deepEqual(await seen("/a%70i/b%20c"), ["/b%20c", "/api"]);
    assert.deepEqual(await seen("/other"), ["/other", undefined]);
  });

  it("request_header.…: a value sets, none removes, whatever the client sent", async () => {
    const host = await route(
      stage,
      "headed.test",
      { "request_header.X-Tenant": "acme corp", "request_header.Cookie": "" },
      a,
    );

    const { headers } = await stage.router.echo({
      host,
      headers: { "x-tenant": "evil", cookie: "a=b", accept: "x/y" },
    });

    assert.equal(headers["x-tenant"], "acme corp");
    assert.equal(headers.cookie, undefined);
    assert.equal(headers.accept, "x/y");
  });

  it("a path inherits its host's, and its own come first", async () => {
    await stage.redis.client.sadd("paths:heir.test", "/api");
    await route(stage, "heir.test", { "request_header.X-A": "host", "request_header.X-B": "host" }, a);
    await route(stage, "heir.test/api", { "request_header.X-B": "path" }, a);

    const { headers } = await stage.router.echo({ host: "heir.test", path: "/api" });

    assert.deepEqual([headers["x-a"], headers["x-b"]], ["host", "path"]);
  });

  it("a path that is listed and has no keys of its own is under its host's too", async () => {
    await stage.redis.client.sadd("paths:bare-heir.test", "/api", "/closed");
    await route(stage, "bare-heir.test", { "request_header.X-A": "host" }, a);
    assert.equal(
      reasonOf(await stage.router.ask({ host: "bare-heir.test", path: "/api" })),
      "503 no_instances",
    );

    await stage.redis.client.hset("route:bare-heir.test", "maintenance", "back at noon");

    await eventually("it is under maintenance", async () => {
      const answer = await stage.router.ask({ host: "bare-heir.test", path: "/api" });
      assert.equal(reasonOf(answer), "503 maintenance");
      assert.match(answer.body, /back at noon/);
    });
  });

  it("an unknown or bad one is left out and told, and the last good value stays", async () => {
    const host = await route(stage, "odd.test", { "request_header.X-A": "one", no_such: "1" }, a);
    assert.equal((await stage.router.echo({ host })).headers["x-a"], "one");
    await stage.router.logged(/skipped in route:odd\.test: "no_such 1": unknown option/);

    await stage.redis.client.hset("route:odd.test", "request_header.X-A", "two\nlines", "tries", "1");
    await stage.router.logged(/skipped in route:odd\.test: "request_header\.X-A two.*one line/);

    assert.equal((await stage.router.echo({ host })).headers["x-a"], "one");
    assert.ok(((await stage.router.metrics()).get("switchboard_bad_values_total") ?? 0) >= 2);
  });
});

const SITES = [
  { where: "with reasons.conf, as by the two lines", reasons: true },
  { where: "without it, as in the image", reasons: false },
];

for (const { where, reasons } of SITES) {
  describe(`options that change what a client sees, ${where}`, () => {
    const stage = useStage({ workers: 1, reasons });
    let good: Backend;
    let bad: Backend;
    before(async () => {
      good = await stage.keep(startAnswering("good", 200));
      bad = await stage.keep(startAnswering("bad", 503));
    });

    it("response_header.…: a value sets, none removes, whatever the app sent", async () => {
      const host = await route(
        stage,
        "dressed.test",
        {
          "response_header.X-Powered-By": "",
          "response_header.X-Backend": "hidden",
          "response_header.X-New": "1",
        },
        good,
      );

      const answer = await stage.router.ask({ host });
      const other = await stage.router.ask({ host: await stage.serve("plain.test", good) });

      assert.equal(answer.headers["x-powered-by"], undefined);
      assert.equal(answer.headers["x-backend"], "hidden");
      assert.equal(answer.headers["x-new"], "1");
      assert.equal(other.headers["x-powered-by"], "magic");
      assert.equal(other.headers["x-new"], undefined);
    });

    it("retry_on: another instance is asked after these statuses, and after no others", async () => {
      const host = await route(stage, "again.test", { retry_on: "502,503" }, good, bad);
      const only504 = await route(stage, "not-again.test", { retry_on: "504" }, bad);
      await stage.serve(only504, good);

      for (let i = 0; i < 6; i += 1) {
        assert.equal((await stage.router.ask({ host })).body, "good says 200\n");
      }
      const statuses = new Set<number>();
      for (let i = 0; i < 6; i += 1) {
        statuses.add((await stage.router.ask({ host: only504 })).status);
      }
      assert.deepEqual([...statuses].sort(), [200, 503]);
    });

    it("retry_on: the last answer is the app's own, and a POST is sent once", async () => {
      const worse = await stage.keep(startAnswering("worse", 503));
      const host = await route(stage, "all-bad.test", { retry_on: "503" }, bad, worse);
      const before = bad.count() + worse.count();

      const answer = await stage.router.ask({ host });

      assert.match(answer.body, /^(bad|worse) says 503\n$/);
      assert.equal(answer.headers["x-switchboard-error"], undefined);
      assert.equal(bad.count() + worse.count() - before, 2);
      const posted = await stage.router.ask({ host, method: "POST", body: "x" });
      assert.match(posted.body, /says 503/);
      assert.equal(bad.count() + worse.count() - before, 3);
    });

    it("response_header.Server: also nginx's own goes", async () => {
      const host = await route(stage, "nameless.test", { "response_header.Server": "" }, good);
      const named = await route(stage, "named.test", { "response_header.Server": "acme" }, good);

      assert.equal((await stage.router.ask({ host })).headers.server, undefined);
      assert.equal((await stage.router.ask({ host: named })).headers.server, "acme");
    });

    it("retry_on of a split route: its pools have their shares, and a client its pool", async () => {
      await stage.serve("@half-1", good);
      await stage.serve("@half-2", await stage.backend("other"));
      const options = { split: "@half-1=1,@half-2=1", retry_on: "502", "response_header.X-New": "1" };
      const host = await route(stage, "halves.test", options);
      const kept = await route(stage, "kept-halves.test", { ...options, split_cookie: "lane" });
      const landed = (answer: Answer): string => (answer.body.startsWith("good") ? "good" : "other");

      const seen = { good: 0, other: 0 };
      for (let i = 0; i < 20; i += 1) {
        seen[landed(await stage.router.ask({ host })) as keyof typeof seen] += 1;
      }
      assert.deepEqual(seen, { good: 10, other: 10 });

      for (let i = 0; i < 4; i += 1) {
        const first = await stage.router.ask({ host: kept });
        const [cookie] = first.headers["set-cookie"] ?? [];
        assert.equal(first.headers["set-cookie"]?.length, 1);
        const again = await stage.router.ask({ host: kept, headers: { cookie: cookie!.split(";")[0]! } });
        assert.equal(landed(again), landed(first));
      }
    });

    it("leave nothing in flight", async () => {
      await eventually("none runs", async () =>
        assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 0),
      );
    });
  });
}

describe("a server without prepared.conf", () => {
  const stage = useStage({ workers: 1, errors: false });

  it("serves routes with retry_on without it, and says what to include", async () => {
    const bad = await stage.keep(startAnswering("bad", 503));
    const host = await route(stage, "again.test", { retry_on: "503" }, bad);

    assert.equal((await stage.router.ask({ host })).body, "bad says 503\n");
    await stage.router.logged(/again\.test: retry_on is left out: include switchboard\/prepared\.conf/);
  });
});
