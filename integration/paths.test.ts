import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const stage = useStage({ workers: 1 });

/** The backend that has a path, or the status and reason. */
async function who(host: string, path: string): Promise<string> {
  const answer = await stage.router.ask({ host, path });
  const reason = String(answer.headers["x-switchboard-error"] ?? "");
  return reason === "" ? (JSON.parse(answer.body) as { name: string }).name : `${answer.status} ${reason}`;
}

async function list(host: string, ...prefixes: string[]): Promise<void> {
  await stage.redis.client.sadd(`paths:${host}`, ...prefixes);
}

describe("a path prefix that a host lists", () => {
  before(async () => {
    await list("app.test", "/api", "/api/v2", "/API");
    for (const [name, at] of [
      ["site", "app.test"],
      ["api", "app.test/api"],
      ["v2", "app.test/api/v2"],
      ["upper", "app.test/API"],
    ] as const) {
      await stage.serve(at, await stage.backend(name));
    }
  });

  it("has its paths, by whole segments, the longest first, in its case", async () => {
    for (const [path, name] of [
      ["/", "site"],
      ["/ap", "site"],
      ["/api", "api"],
      ["/api/", "api"],
      ["/api/x?y=/api/v2", "api"],
      ["/api?x", "api"],
      ["/apix", "site"],
      ["/api/v2", "v2"],
      ["/api/v2/x/y", "v2"],
      ["/api/v22", "api"],
      ["/API/v2", "upper"],
      ["/Api", "site"],
      ["/x/api", "site"],
    ] as const) {
      assert.equal(await who("app.test", path), name, path);
    }
  });

  it("is looked for in the normalised path, and the app gets the path as it came", async () => {
    for (const [path, name] of [
      ["/x/../api/y", "api"],
      ["/%61pi/y", "api"],
      ["//api//y", "api"],
      ["/./api", "api"],
      ["/api%2fv2/x", "v2"],
      ["/api/../x", "site"],
      ["/api/v2/..%2f..", "site"],
    ] as const) {
      const echo = await stage.router.echo({ host: "app.test", path });
      assert.equal(echo.name, name, path);
      assert.equal(echo.url, path);
    }
  });

  it("is another host's business no more than the host is", async () => {
    await stage.serve("other.test", await stage.backend("other"));
    assert.equal(await who("other.test", "/api"), "other");
  });

  it("belongs to all hosts of a wildcard that lists it", async () => {
    await list("*.wild.test", "/api");
    await stage.serve("*.wild.test", await stage.backend("wild"));
    await stage.serve("*.wild.test/api", await stage.backend("wild-api"));
    await stage.serve("own.wild.test", await stage.backend("own"));
    assert.equal(await who("a.wild.test", "/api/x"), "wild-api");
    assert.equal(await who("b.c.wild.test", "/"), "wild");
    assert.equal(await who("own.wild.test", "/api"), "own", "an exact host has its own paths");
  });

  it("may have the instances of a pool", async () => {
    await stage.serve("@shop-v2", await stage.backend("pooled"));
    await list("shop.test", "/cart");
    await stage.redis.client.hset("route:shop.test/cart", "pool", "@shop-v2");
    assert.equal(await who("shop.test", "/cart/1"), "pooled");
    assert.equal(await who("shop.test", "/"), "404 unknown_route");
  });

  it("is one of a thousand", async () => {
    const count = 1000;
    const prefixes = Array.from({ length: count }, (_, i) => `/team-${i}/app`);
    const [odd, even] = [await stage.backend("odd"), await stage.backend("even")];
    const write = stage.redis.client.pipeline().sadd("paths:big.test", ...prefixes);
    prefixes.forEach((prefix, i) => write.sadd(`backends:big.test${prefix}`, (i % 2 === 1 ? odd : even).at));
    await write.exec();
    for (const i of [0, 1, 7, 499, 500, 998, 999]) {
      assert.equal(await who("big.test", `/team-${i}/app/x`), i % 2 === 1 ? "odd" : "even");
    }
    assert.equal(await who("big.test", "/team-1000/app"), "404 unknown_route");
  });
});

describe("a listed prefix without an instance", () => {
  before(async () => {
    await list("half.test", "/none", "/none/some", "/empty", "/through", "/through/on");
    await stage.serve("half.test", await stage.backend("host"));
    await stage.serve("half.test/none/some", await stage.backend("some"));
    await stage.redis.client.sadd("backends:half.test/empty", "-");
    await stage.redis.client.hset("route:half.test/through", "fallthrough", "on");
    await stage.redis.client.hset("route:half.test/through/on", "fallthrough", "on");
  });

  it("is known, and never the host's", async () => {
    assert.equal(await who("half.test", "/none"), "503 no_instances");
    assert.equal(await who("half.test", "/none/other"), "503 no_instances");
    assert.equal(await who("half.test", "/empty"), "503 no_instances");
    assert.equal(await who("half.test", "/none/some"), "some");
  });

  it("leaves its paths to the next shorter one, and to the host, where fallthrough is on", async () => {
    assert.equal(await who("half.test", "/through/on/x"), "host");
    await stage.serve("half.test/through", await stage.backend("shorter"));
    await eventually("the shorter prefix has an instance", async () => {
      assert.equal(await who("half.test", "/through/on/x"), "shorter");
    });
  });

  it("leaves nothing to a host that is only known by its paths", async () => {
    await list("only.test", "/api");
    await stage.redis.client.hset("route:only.test/api", "fallthrough", "on");
    assert.equal(await who("only.test", "/api"), "404 unknown_route");
    assert.equal(await who("only.test", "/"), "404 unknown_route");
  });
});

describe("a change of the list", () => {
  it("adds a prefix and takes it away", async () => {
    await stage.serve("move.test", await stage.backend("before"));
    await stage.serve("move.test/new", await stage.backend("new"));
    assert.equal(await who("move.test", "/new"), "before", "a path that is not listed is not guessed");
    await list("move.test", "/new");
    await eventually("the new prefix has its paths", async () => {
      assert.equal(await who("move.test", "/new"), "new");
    });
    await stage.redis.client.srem("paths:move.test", "/new");
    await eventually("the host has them again", async () => {
      assert.equal(await who("move.test", "/new"), "before");
    });
  });
});

describe("the options of a host", () => {
  it("are those of its paths, but for what these set themselves", async () => {
    const live = await stage.backend("live");
    await list("options.test", "/inherits", "/own");
    await stage.redis.client.hset("route:options.test", "tries", "1");
    await stage.redis.client.hset("route:options.test/own", "tries", "2");
    for (const path of ["/inherits", "/own"]) {
      await stage.redis.client.sadd(`backends:options.test${path}`, live.at, await deadPort());
    }
    const inherited = [await who("options.test", "/inherits"), await who("options.test", "/inherits")];
    assert.deepEqual(inherited.sort(), ["502 connect_failed", "live"]);
    const own = [await who("options.test", "/own"), await who("options.test", "/own")];
    assert.deepEqual(own, ["live", "live"]);

    await stage.redis.client.hset("route:options.test", "tries", "2");
    await eventually("the path has the new value", async () => {
      const answers = [await who("options.test", "/inherits"), await who("options.test", "/inherits")];
      assert.deepEqual(answers, ["live", "live"]);
    });
  });

  it("do not say where the instances of a path come from", async () => {
    await stage.serve("@elsewhere", await stage.backend("elsewhere"));
    await stage.redis.client.hset("route:pooled.test", "pool", "@elsewhere");
    await list("pooled.test", "/own");
    await stage.serve("pooled.test/own", await stage.backend("mine"));
    assert.equal(await who("pooled.test", "/own"), "mine");
    assert.equal(await who("pooled.test", "/"), "elsewhere");
  });
});

describe("what is no path prefix", () => {
  it("is skipped and told, and the others count", async () => {
    await stage.serve("odd.test", await stage.backend("odd-host"));
    await stage.serve("odd.test/good", await stage.backend("good"));
    await list("odd.test", "/good", "api", "/", "/x/", "//y", "/a/../b", "/%41");
    assert.equal(await who("odd.test", "/good"), "good");
    assert.equal(await who("odd.test", "/x/1"), "odd-host");
    await stage.router.logged(/skipped in paths:odd\.test: "api": a path prefix must begin with \//);
    await stage.router.logged(/skipped in paths:odd\.test: "\/x\/": a path prefix must not end with \//);
    await stage.router.logged(/skipped in paths:odd\.test: "\/a\/\.\.\/b": .* no empty segments/);
    await stage.router.logged(/skipped in paths:odd\.test: "\/%41": .* decoded/);
  });

  it("in a key of another type leaves the host alone", async () => {
    await stage.serve("typed.test", await stage.backend("typed"));
    await stage.redis.client.set("paths:typed.test", "/api");
    assert.equal(await who("typed.test", "/api"), "typed");
    await stage.router.logged(/skipped in paths:typed\.test: "": must be a set of path prefixes/);
  });

  it("as a fallthrough that is neither on nor off is told", async () => {
    await list("half2.test", "/p");
    await stage.redis.client.hset("route:half2.test/p", "fallthrough", "perhaps");
    assert.equal(await who("half2.test", "/p"), "503 no_instances");
    await stage.router.logged(/skipped in route:half2\.test\/p: "fallthrough perhaps": fallthrough must be/);
  });
});
