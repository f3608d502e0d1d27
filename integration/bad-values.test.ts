import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import type { Finding } from "../tools/check/walk.ts";
import { command } from "./support/command.ts";
import { ROOT } from "./support/containers.ts";
import { eventually } from "./support/eventually.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";
import { startClosing } from "./support/troubled-backends.ts";

// Without a watch, under which nothing is read again that has not changed.
const stage = useStage({
  environment: {
    SWITCHBOARD_TTL: "200ms",
    SWITCHBOARD_STALE_WHILE_REFRESH: "200ms",
    SWITCHBOARD_WATCH: "off",
  },
});

/** Waits for the one line that tells of a bad value. */
async function told(key: string, value: string, reason: RegExp): Promise<void> {
  await eventually(`the log tells of ${value} in ${key}`, () => {
    const lines = stage.router.log().filter((line) => line.includes(`skipped in ${key}: "${value}"`));
    assert.equal(lines.length, 1, "once");
    assert.match(lines[0] ?? "", reason);
  });
}

describe("a bad member", () => {
  it("hurts itself alone, and is told once with its key, value and reason", async () => {
    const a = await stage.backend("a");
    const bad: [member: string, reason: RegExp][] = [
      ["nonsense", /must be host:port/],
      ["10.0.0.5", /must be host:port/],
      ["10.0.0.5:0", /port must be 1 to 65535/],
      ["10.0.0.5:99999", /port must be 1 to 65535/],
      ["10.0.0.5:80x", /port/],
      ["10.0.0.300:80", /host must be/],
      ["::1:80", /host must be/],
      ["[::g]:80", /host must be/],
      ["ftp://10.0.0.5:21", /scheme must be http/],
      ["two..dots:80", /host must be/],
      ["a b:80", /host must be/],
      ["", /must be host:port/],
      ["x".repeat(1100), /longer than 1024 bytes/],
    ];
    await stage.redis.client.sadd("backends:members.test", a.at, ...bad.map(([member]) => member));

    assert.deepEqual(tally(await askTimes(stage.router, "members.test", 20)), { a: 20 });

    for (const [member, reason] of bad) {
      const shown = member.length > 120 ? `${member.slice(0, 120)}…` : member;
      await told("backends:members.test", shown, reason);
    }
  });

  it("with bytes that no line of a log should hold is told harmlessly", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.sadd(
      "backends:bytes.test",
      a.at,
      'quote"\n\x1b[31mred\0',
      Buffer.from([0xff, 0xfe, 0x3a]),
    );

    assert.equal((await stage.router.echo({ host: "bytes.test" })).name, "a");

    await told("backends:bytes.test", "quote???[31mred?", /must be host:port/);
  });

  it("that has a bad attribute keeps the others", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    await stage.redis.client.sadd(
      "backends:attributes.test",
      `${a.at}?weight=heavy&drain=maybe&zone=a&colour=blue&&x`,
      `${b.at}?weight=70000&drain=1`,
    );

    assert.deepEqual(tally(await askTimes(stage.router, "attributes.test", 10)), { a: 10 });

    await stage.router.logged(
      /skipped in backends:attributes\.test.*weight must be a whole number from 0 to 65535/,
    );
    await stage.router.logged(/skipped in backends:attributes\.test.*drain must be 0 or 1/);
    await stage.router.logged(/skipped in backends:attributes\.test.*unknown attribute/);
    await stage.router.logged(/skipped in backends:attributes\.test.*an attribute must be name=value/);
  });

  it("among instances: hurts no other", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("overrides.test", a, b);
    await stage.redis.client.hset(
      "instances:overrides.test",
      "nonsense",
      "weight=1",
      a.at,
      "weight=x",
      b.at,
      "drain=1",
    );

    assert.deepEqual(tally(await askTimes(stage.router, host, 10)), { a: 10 });

    await told("instances:overrides.test", "nonsense", /must be host:port/);
  });

  it("is counted, and told once though it is read again and again by every worker", async () => {
    const host = await stage.serve("again.test", await stage.backend("a"));
    await stage.redis.client.sadd("backends:again.test", "still bad");
    const badOf = async (): Promise<number> =>
      (await stage.router.metrics()).get("switchboard_bad_values_total") ?? 0;
    const before = await badOf();

    await eventually("it was read five times", async () => {
      await stage.router.echo({ host });
      assert.ok((await badOf()) >= before + 5);
    });

    await told("backends:again.test", "still bad", /must be host:port/);
  });
});

describe("a key of the wrong type", () => {
  it("hurts only its name", async () => {
    const redis = stage.redis.client;
    const a = await stage.backend("a");
    for (const [i, write] of [
      async (key: string) => redis.set(key, "x"),
      async (key: string) => redis.hset(key, "x", "y"),
      async (key: string) => redis.rpush(key, a.at),
      async (key: string) => redis.xadd(key, "*", "x", "y"),
    ].entries()) {
      await write(`backends:type-${i}.test`);
      const answer = await stage.router.ask({ host: `type-${i}.test` });
      assert.equal(answer.headers["x-switchboard-error"], "no_instances");
      await told(`backends:type-${i}.test`, "", /must be a set or a sorted set/);
    }
  });

  it("beside a good set leaves the set alone", async () => {
    const host = await stage.serve("beside.test", await stage.backend("a"));
    await stage.redis.client.set("route:beside.test", "x");
    await stage.redis.client.sadd("instances:beside.test", "x");
    await stage.redis.client.set("paths:beside.test", "x");

    assert.deepEqual(tally(await askTimes(stage.router, host, 10)), { a: 10 });

    await told("route:beside.test", "", /must be a hash/);
    await told("instances:beside.test", "", /must be a hash/);
  });

  it("in the place of a pool leaves the route known", async () => {
    await stage.redis.client.set("backends:@broken", "x");
    await stage.redis.client.hset("route:broken-pool.test", "pool", "@broken");

    assert.equal((await stage.router.ask({ host: "broken-pool.test" })).status, 503);

    await told("backends:@broken", "", /must be a set or a sorted set/);
  });
});

describe("a bad option", () => {
  it("is told, and the others count", async () => {
    const host = await stage.serve("options.test", await stage.backend("a"));
    await stage.redis.client.hset("route:options.test", {
      tries: "many",
      connect_timeout: "soon",
      read_timeout: "0",
      send_timeout: "-1",
      colour: "blue",
      "meta.owner": "anything\nat all",
    });

    assert.deepEqual(tally(await askTimes(stage.router, host, 10)), { a: 10 });

    await told("route:options.test", "tries many", /tries must be a whole number from 1 to 100/);
    await told("route:options.test", "connect_timeout soon", /connect_timeout must be a time such as/);
    await told("route:options.test", "read_timeout 0", /read_timeout must be/);
    await told("route:options.test", "send_timeout -1", /send_timeout must be a time/);
    await told("route:options.test", "colour blue", /unknown option/);
    assert.ok(!stage.router.log().some((line) => line.includes("meta.owner")));
  });

  it("keeps the last good value", async () => {
    const closing = [
      await stage.keep(startClosing("closing-1")),
      await stage.keep(startClosing("closing-2")),
      await stage.keep(startClosing("closing-3")),
    ];
    const host = await stage.serve("kept.test", ...closing);
    await stage.redis.client.hset("route:kept.test", "tries", "1");
    const triesOf = async (): Promise<number> => {
      const before = closing.reduce((sum, { count }) => sum + count(), 0);
      await stage.router.ask({ host });
      return closing.reduce((sum, { count }) => sum + count(), 0) - before;
    };
    assert.equal(await triesOf(), 1);

    await stage.redis.client.hset("route:kept.test", "tries", "none at all");

    await eventually("the bad value was read", async () => {
      assert.equal(await triesOf(), 1);
      assert.ok(stage.router.log().some((line) => line.includes('"tries none at all"')));
    });
    assert.equal(await triesOf(), 1);
  });

  it("such as a pool that is none, keeps the route known", async () => {
    for (const [i, pool] of ["green", "@", "@a/b", "@*", "", "@a b", "@@x"].entries()) {
      const wild = await stage.backend("wild");
      await stage.serve("*.pools.test", wild);
      await stage.redis.client.hset(`route:p${i}.pools.test`, "pool", pool);

      assert.equal((await stage.router.ask({ host: `p${i}.pools.test` })).status, 503, pool);

      await told(`route:p${i}.pools.test`, `pool ${pool}`, /pool must be @/);
    }
  });

  it("such as a pool of a pool, is not followed further", async () => {
    const a = await stage.backend("a");
    await stage.serve("@second", a);
    await stage.redis.client.hset("route:@first", "pool", "@second");
    await stage.redis.client.hset("route:two-hops.test", "pool", "@first");
    await stage.redis.client.hset("route:@itself", "pool", "@itself");
    await stage.redis.client.hset("route:itself.test", "pool", "@itself");

    assert.equal((await stage.router.ask({ host: "two-hops.test" })).status, 503);
    assert.equal((await stage.router.ask({ host: "itself.test" })).status, 503);
  });
});

describe("a name whose every key is garbage", () => {
  const own = useStage({
    environment: { SWITCHBOARD_TTL: "200ms", SWITCHBOARD_STALE_WHILE_REFRESH: "200ms" },
  });
  const KEYS = ["backends", "instances", "route", "paths"];
  const NAMES = ["rotten.test", "rotten.test/api", "@rotten", "*.rotten.test"];

  /** Bytes that are the same in every run. */
  function bytesFrom(seed: number): (most: number) => Buffer {
    let state = seed;
    const draw = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 16;
    };
    return (most) => Buffer.from(Array.from({ length: 1 + (draw() % most) }, () => draw() & 255));
  }

  const OPTIONS = [
    ...["pool", "tries", "connect_timeout", "balance", "sticky", "slow_start", "split", "split_cookie"],
    ...["retry_on", "host_header", "strip_prefix", "max_body", "https_redirect", "hsts", "allow_ips"],
    ...["deny_ips", "retry_after", "request_header.X", "response_header.X", "fallthrough", "prefer_zone"],
  ];

  /** Each writes garbage of one sort into a key, `kind` being what it should hold. */
  const GARBAGE: Record<string, (key: string, kind: string) => Promise<unknown>> = {
    "random bytes": async (key, kind) => {
      const bytes = bytesFrom(key.length);
      const client = own.redis.client;
      for (let i = 0; i < 200; i += 1) {
        if (kind === "route") {
          await client.hset(key, Buffer.concat([Buffer.from("\xff"), bytes(20)]), bytes(200));
        } else if (kind === "instances") {
          await client.hset(key, Buffer.concat([Buffer.from("!"), bytes(20)]), bytes(200));
        } else {
          await client.sadd(key, Buffer.concat([Buffer.from("!"), bytes(200)]));
        }
      }
      // What is never good whatever else stands in it: each option that there is, with a line end.
      return kind === "route"
        ? client.hset(key, Object.fromEntries(OPTIONS.map((name) => [name, "\n\xff,"])))
        : undefined;
    },
    "a string of a megabyte": async (key) => own.redis.client.set(key, Buffer.alloc(1 << 20, 0xfe)),
    "a list": async (key) => own.redis.client.rpush(key, "10.0.0.1:80"),
    "a stream": async (key) => own.redis.client.xadd(key, "*", "tries", "1"),
  };

  it("leaves all other names untouched, and says in one place what is wrong with which key", async () => {
    const redis = own.redis.client;
    const [a, b, c] = [await own.backend("a"), await own.backend("b"), await own.backend("c")];
    await own.serve("plain.test", a);
    await own.serve("*.wild.test", b);
    await own.serve("paths.test", a);
    await own.serve("paths.test/api", c);
    await redis.sadd("paths:paths.test", "/api");
    await own.serve("@shared", c);
    await redis.hset("route:pooled.test", "pool", "@shared", "request_header.X-Tenant", "acme");
    const others = async (): Promise<string[]> => {
      const served: string[] = [];
      for (const [host, path] of [
        ["plain.test", "/"],
        ["x.wild.test", "/"],
        ["paths.test", "/"],
        ["paths.test", "/api/x"],
        ["pooled.test", "/"],
      ] as const) {
        const echo = await own.router.echo({ host, path });
        served.push(`${echo.name} ${String(echo.headers["x-tenant"] ?? "")}`.trim());
      }
      return served;
    };
    const good = ["a", "b", "a", "c", "c acme"];
    assert.deepEqual(await others(), good);

    for (const [sort, write] of Object.entries(GARBAGE)) {
      for (const name of NAMES) {
        for (const kind of KEYS) {
          await redis.del(`${kind}:${name}`);
          await write(`${kind}:${name}`, kind);
        }
      }
      for (const [host, path] of [
        ["rotten.test", "/"],
        ["rotten.test", "/api"],
        ["x.rotten.test", "/"],
      ] as const) {
        await eventually(`${host}${path} has ${sort} and serves nobody`, async () => {
          const { headers } = await own.router.ask({ host, path });
          // A bad allow_ips allows nobody.
          assert.match(String(headers["x-switchboard-error"]), /^(no_instances|forbidden)$/);
        });
      }
      assert.deepEqual(await others(), good, sort);

      const { exitCode, stdout } = await command(
        process.execPath,
        [`${ROOT}tools/check/bin.js`, "check", "--json", "--redis", own.redis.url],
        { env: { PATH: process.env.PATH, HOME: process.env.HOME } },
      );
      assert.equal(exitCode, 1);
      const { findings } = JSON.parse(stdout) as { findings: Finding[] };
      const accused = new Set(findings.map(({ name }) => name));
      assert.deepEqual([...accused].sort(), [...NAMES].sort(), sort);
      const keys = new Set(findings.map(({ key }) => key));
      for (const name of NAMES) {
        for (const kind of KEYS) {
          assert.ok(keys.has(`${kind}:${name}`), `${sort}: nothing said of ${kind}:${name}`);
        }
      }
      assert.ok(findings.every(({ reason }) => reason !== ""));
    }

    assert.ok(((await own.router.metrics()).get("switchboard_bad_values_total") ?? 0) > 0);
    assert.deepEqual(
      own.router.log().filter((line) => /lua entry thread aborted|failed to run|stack traceback/.test(line)),
      [],
    );
  });
});
