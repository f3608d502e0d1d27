import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import type { Echo } from "./support/backends.ts";
import { startApp } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { statusOf } from "./support/http-client.ts";
import { useStage } from "./support/stage.ts";
import { deadPort, startClosing, startSlow } from "./support/troubled-backends.ts";

/** The values of a header, one for each time that it was sent. */
function linesOf(echo: Echo, name: string): string[] {
  return echo.rawHeaders.filter((_, i) => i % 2 === 1 && echo.rawHeaders[i - 1]?.toLowerCase() === name);
}

/** The body of a raw response with a Content-Length. */
function echoOf(response: string): Echo {
  return JSON.parse(response.slice(response.indexOf("\r\n\r\n") + 4)) as Echo;
}

const MADE_UP = {
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "made.up",
  "x-forwarded-port": "443",
  "x-real-ip": "203.0.113.9",
};

describe("what an app is told of a request", () => {
  const stage = useStage();
  before(async () => {
    await stage.serve("app.test", await stage.backend("a"));
  });

  it("is the method, the path with its escapes and query, the headers and the body", async () => {
    const path = "/a%20b/../c//d/%2F%C3%A9?q=1&r=%26";
    const echo = await stage.router.echo({
      host: "app.test",
      path,
      method: "PATCH",
      body: "words",
      headers: { "x-custom": "kept", cookie: "a=b; c=d", authorization: "Bearer x", accept: "x/y" },
    });

    assert.equal(echo.method, "PATCH");
    assert.equal(echo.url, path);
    assert.equal(echo.bodyLength, 5);
    assert.equal(echo.headers["x-custom"], "kept");
    assert.equal(echo.headers.cookie, "a=b; c=d");
    assert.equal(echo.headers.authorization, "Bearer x");
    assert.equal(echo.headers.accept, "x/y");
    assert.equal(echo.headers.upgrade, undefined);
  });

  it("is the Host as it came, with its port", async () => {
    for (const host of ["app.test", "app.test:8080", "APP.test", "app.test."]) {
      const echo = await stage.router.echo({ host });
      assert.equal(echo.headers.host, host);
      assert.equal(echo.headers["x-forwarded-host"], host);
    }
  });

  it("is the host of the request line where that names one, whatever the Host header says", async () => {
    const response = await stage.router.sendRaw(
      "GET http://app.test/absolute?x=1 HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n",
    );

    assert.equal(statusOf(response), 200);
    const echo = echoOf(response);
    assert.equal(echo.headers.host, "app.test");
    assert.equal(echo.url, "/absolute?x=1");
  });

  it("says where it came from, in the router's own words to whom it does not trust", async () => {
    const plain = await stage.router.echo({ host: "app.test" });
    assert.equal(plain.headers["x-forwarded-for"], "127.0.0.1");
    assert.equal(plain.headers["x-forwarded-proto"], "http");
    assert.equal(plain.headers["x-forwarded-host"], "app.test");
    assert.equal(plain.headers["x-forwarded-port"], String(stage.router.port));
    assert.equal(plain.headers["x-real-ip"], "127.0.0.1");

    const pretending = await stage.router.echo({ host: "app.test", headers: MADE_UP });
    assert.equal(pretending.headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1", "always appended to");
    assert.equal(pretending.headers["x-forwarded-proto"], "http");
    assert.equal(pretending.headers["x-forwarded-host"], "app.test");
    assert.equal(pretending.headers["x-forwarded-port"], String(stage.router.port));
    assert.equal(pretending.headers["x-real-ip"], "127.0.0.1");
    assert.equal(linesOf(pretending, "x-forwarded-proto").length, 1);
  });

  it("carries an X-Request-Id: a decent one as it came, else a new one", async () => {
    const kept = await stage.router.echo({ host: "app.test", headers: { "x-request-id": "Ab9._-z" } });
    assert.equal(kept.headers["x-request-id"], "Ab9._-z");
    const longest = "x".repeat(128);
    const long = await stage.router.echo({ host: "app.test", headers: { "x-request-id": longest } });
    assert.equal(long.headers["x-request-id"], longest);

    const made = new Set<string>();
    for (const bad of [undefined, "", "a b", "x".repeat(129), "<script>", "a,b", "\xe9"]) {
      const headers = bad === undefined ? {} : { "x-request-id": bad };
      const echo = await stage.router.echo({ host: "app.test", headers });
      assert.match(String(echo.headers["x-request-id"]), /^[0-9a-f]{32}$/, String(bad));
      made.add(String(echo.headers["x-request-id"]));
    }
    assert.equal(made.size, 7, "each its own");
  });

  it("says each thing once, whatever the client has said of it, and with whichever id it came", async () => {
    for (const id of [{}, { "x-request-id": "decent" }, { "x-request-id": "not decent" }]) {
      const echo = await stage.router.echo({ host: "app.test", headers: { ...MADE_UP, ...id } });
      for (const name of [...Object.keys(MADE_UP), "host", "via", "x-request-id"]) {
        assert.equal(linesOf(echo, name).length, 1, name);
      }
      assert.equal(echo.headers["x-forwarded-host"], "app.test");
      assert.equal(echo.headers["x-forwarded-port"], String(stage.router.port));
    }
  });

  it("signs in Via, after those that signed before", async () => {
    const first = await stage.router.echo({ host: "app.test" });
    assert.match(String(first.headers.via), /^1\.1 [^ ,]+:\d+$/);

    const later = await stage.router.echo({ host: "app.test", headers: { via: "1.0 fred, 1.1 p.example" } });
    assert.equal(later.headers.via, `1.0 fred, 1.1 p.example, ${String(first.headers.via)}`);
  });

  it("is HTTP/1.1 on a connection that stays open", async () => {
    const response = await stage.router.sendRaw("GET / HTTP/1.0\r\nHost: app.test\r\n\r\n");

    assert.equal(statusOf(response), 200);
    assert.notEqual(echoOf(response).headers.connection, "close");
  });
});

describe("a request that has passed this router before", () => {
  const stage = useStage();

  it("gets 508 loop", async () => {
    const via = String(
      (await stage.router.echo({ host: await stage.serve("app.test", await stage.backend("a")) })).headers
        .via,
    );

    const answer = await stage.router.ask({ host: "app.test", headers: { via: `1.0 fred, ${via}` } });

    assert.equal(answer.status, 508);
    assert.equal(answer.headers["x-switchboard-error"], "loop");
    assert.match(answer.body, /^508 Loop Detected/);
    await stage.router.logged(/app\.test: loop/);
  });

  it("gets it also when an instance leads back by another way", async () => {
    const forwarder = await stage.keep(
      startApp("forwarder", (request, response) => {
        void stage.router
          .ask({ host: "round.test", headers: { via: request.headers.via } })
          .then((answer) => {
            response.statusCode = answer.status;
            response.end(String(answer.headers["x-switchboard-error"]));
          });
      }),
    );
    const host = await stage.serve("round.test", forwarder);

    const answer = await stage.router.ask({ host });

    assert.equal(answer.status, 508);
    assert.equal(answer.body, "loop");
    assert.equal(forwarder.count(), 1);
  });

  it("is told from one that another router on this machine has passed", async () => {
    const other = await stage.moreRouter({});
    const via = String((await other.echo({ host: "app.test" })).headers.via);

    assert.equal((await stage.router.ask({ host: "app.test", headers: { via } })).status, 200);
  });
});

describe("behind trusted proxies", () => {
  const stage = useStage({ environment: { SWITCHBOARD_TRUSTED_PROXIES: "127.0.0.0/8, 10.0.0.0/8, ::1" } });
  before(async () => {
    await stage.serve("app.test", await stage.backend("a"));
  });

  it("their words about the client are kept", async () => {
    const echo = await stage.router.echo({
      host: "app.test",
      headers: { ...MADE_UP, "x-forwarded-for": "203.0.113.9, 10.1.2.3" },
    });

    assert.equal(echo.headers["x-forwarded-for"], "203.0.113.9, 10.1.2.3, 127.0.0.1");
    assert.equal(echo.headers["x-forwarded-proto"], "https");
    assert.equal(echo.headers["x-forwarded-host"], "made.up");
    assert.equal(echo.headers["x-forwarded-port"], "443");
    assert.equal(echo.headers["x-real-ip"], "203.0.113.9");
  });

  it("the client is the last address that is none of theirs, whatever was made up before it", async () => {
    const clientOf = async (forwardedFor: string): Promise<unknown> =>
      (await stage.router.echo({ host: "app.test", headers: { "x-forwarded-for": forwardedFor } })).headers[
        "x-real-ip"
      ];

    assert.equal(await clientOf("1.1.1.1, 203.0.113.9, 10.1.2.3"), "203.0.113.9");
    assert.equal(await clientOf("10.9.9.9, 10.1.2.3"), "10.9.9.9");
    assert.equal(await clientOf("2001:DB8::9"), "2001:db8::9");
    assert.equal(await clientOf("garbage, 203.0.113.9"), "203.0.113.9");
    assert.equal(await clientOf("garbage, 10.1.2.3"), "10.1.2.3");
    assert.equal(await clientOf("garbage"), "127.0.0.1");
    assert.equal(await clientOf(", ,"), "127.0.0.1");
  });

  it("what they do not say is the router's own view", async () => {
    const echo = await stage.router.echo({ host: "app.test" });

    assert.equal(echo.headers["x-forwarded-proto"], "http");
    assert.equal(echo.headers["x-real-ip"], "127.0.0.1");
  });
});

describe("a request of a server that routes by something else than Host", () => {
  const stage = useStage({ server: "set $switchboard_host app.test;" });

  it("has a Host of any length", async () => {
    await stage.serve("app.test", await stage.backend("a"));
    for (const host of ["b.test", "b".repeat(1500)]) {
      const echo = await stage.router.echo({ host });
      assert.equal(echo.headers.host, host);
      assert.equal(echo.headers["x-forwarded-host"], host);
      assert.match(String(echo.headers["x-request-id"]), /^[0-9a-f]{32}$/);
    }
  });
});

describe("a request that comes to the router again by a redirect within nginx", () => {
  const stage = useStage({
    errors: false,
    server: "error_page 502 = @again; location @again { include switchboard/proxy.conf; }",
  });

  it("keeps its id", async () => {
    const ids: string[] = [];
    const app = await stage.keep(
      startApp("once", (request, response) => {
        ids.push(String(request.headers["x-request-id"]));
        if (ids.length % 2 === 1) {
          request.socket.destroy();
        } else {
          response.end("the second time");
        }
      }),
    );
    const host = await stage.serve("once.test", app);
    await stage.redis.client.hset(`route:${host}`, "tries", "1");

    for (const headers of [{}, { "x-request-id": "its-own" }]) {
      ids.length = 0;
      await eventually("both tries", async () => {
        ids.length = 0;
        assert.equal((await stage.router.ask({ host, headers })).body, "the second time");
        assert.equal(ids.length, 2);
      });
      assert.equal(ids[0], ids[1]);
    }
    assert.equal(ids[0], "its-own");
  });
});

describe("an internal redirect", () => {
  const stage = useStage({
    errors: false,
    server: `
      error_page 502 503 504 /elsewhere;
      location = /elsewhere { internal; return 200 "elsewhere"; }
      location = /secret { internal; return 200 "secret"; }
      error_page 404 = @again;
      location @again { return 200 "again"; }`,
  });

  it("leaves nothing running behind: a server-level error_page, an app's X-Accel-Redirect", async () => {
    const closing = await stage.keep(startClosing("closing"));
    await stage.serve("closing.test", closing);
    await stage.redis.client.sadd("backends:dead.test", await deadPort());
    const accel = await stage.keep(
      startApp("accel", (_, response) => {
        response.setHeader("X-Accel-Redirect", "/secret");
        response.end("from the app");
      }),
    );
    await stage.serve("accel.test", accel);
    await stage.serve("app.test", await stage.backend("a"));

    const asked: Promise<{ body: string }>[] = [];
    for (let i = 0; i < 50; i += 1) {
      for (const host of ["closing.test", "dead.test", "nowhere.test", "accel.test", "app.test"]) {
        asked.push(stage.router.ask({ host }));
      }
    }
    const answers = await Promise.all(asked);

    assert.equal(answers[0]?.body, "elsewhere");
    assert.equal(answers[1]?.body, "elsewhere");
    assert.equal(answers[3]?.body, "from the app", "an app reaches no location of the router");
    await eventually("nothing is in flight", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 0);
    });
  });

  it("aside, what runs is counted", async () => {
    const slow = await stage.keep(startSlow("slow", 3));
    const host = await stage.serve("slow.test", slow);
    const running = Promise.all([stage.router.ask({ host }), stage.router.ask({ host })]);

    await eventually("two are in flight", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 2);
    });
    await running;

    await eventually("none is", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 0);
    });
  });
});
