import { strict as assert } from "node:assert";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Finding } from "../tools/check/walk.ts";
import { makeCertificate } from "./support/certificates.ts";
import { command, type Outcome } from "./support/command.ts";
import { ROOT } from "./support/containers.ts";
import { freePort } from "./support/ports.ts";
import { startRedis, type RedisServer } from "./support/redis-server.ts";
import { deadPort } from "./support/troubled-backends.ts";

interface Report {
  version: number;
  findings: Finding[];
  summary: { complete: boolean; error?: string; redis: string; names: number; problems: number } & Record<
    string,
    unknown
  >;
}

/** Kilobytes; a Node with tsx alone takes 110,000. */
const MOST_MEMORY = 300_000;
/** Says at the end how much memory there ever was. */
const MEASURE =
  "--import data:text/javascript,process.on(`exit`,()=>process.stderr.write(`peak%20${process.resourceUsage().maxRSS}%20kB%5Cn`))";

const folder = await mkdtemp(join(tmpdir(), "switchboard-check-"));
let server: RedisServer;
let tlsPort: number;

async function switchboard(words: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const { PATH, HOME } = process.env;
  return command(process.execPath, [`${ROOT}tools/check/bin.js`, ...words], { env: { PATH, HOME, ...env } });
}

async function check(...words: string[]): Promise<Outcome> {
  return switchboard(["check", "--redis", server.url, ...words]);
}

async function report(...words: string[]): Promise<Report> {
  const { stdout } = await check("--json", ...words);
  return JSON.parse(stdout) as Report;
}

/** What is said of each key: `code key value`. */
function said({ findings }: Report): string[] {
  return findings.map(({ code, key, value }) => `${code} ${key} ${value}`.trim()).sort();
}

before(async () => {
  tlsPort = await freePort();
  const { cert, key } = await makeCertificate("DNS:localhost");
  await writeFile(join(folder, "cert.pem"), cert);
  await chmod(folder, 0o777);
  server = await startRedis({
    arguments: [
      ...[
        "--tls-port",
        String(tlsPort),
        "--tls-cert-file",
        "/tmp/cert.pem",
        "--tls-key-file",
        "/tmp/key.pem",
      ],
      ...["--tls-ca-cert-file", "/tmp/cert.pem", "--tls-auth-clients", "no"],
      ...["--unixsocket", "/sockets/redis.sock", "--unixsocketperm", "777"],
    ],
    files: [
      { content: cert, target: "/tmp/cert.pem" },
      { content: key, target: "/tmp/key.pem" },
    ],
    folders: { "/sockets": folder },
  });
});

after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  await server.client.flushall();
});

describe("switchboard check, of the native schema", () => {
  it("finds nothing in what the router takes whole, and says so with status 0", async () => {
    const redis = server.client;
    await redis.sadd("backends:app.example.com", "10.0.0.1:80", "https://[fd00::1]:443?weight=3&zone=a");
    await redis.zadd("backends:beats.example.com", 1_900_000_000, "10.0.0.1:80");
    await redis.hset("instances:app.example.com", "10.0.0.1:80", "drain=1");
    await redis.hset("route:app.example.com", { tries: "2", "meta.owner": "me" });
    await redis.sadd("backends:@shop", "shop.internal:8080");
    await redis.hset("route:shop.example.com", "pool", "@shop");
    await redis.sadd("backends:*.example.com", "-");
    await redis.sadd("backends:*", "10.0.0.9:80");
    await redis.sadd("backends:2001:db8::1", "10.0.0.9:80");
    await redis.set("switchboard:wiped", "1700000000");

    const { exitCode, stdout, stderr } = await check();

    assert.equal(stderr, "");
    assert.match(stdout, /^0 problems, 0 notes; 10 keys, 7 names in redis:\/\/127\.0\.0\.1:\d+, [\d.]+ s\n$/);
    assert.equal(exitCode, 0);
  });

  it("lists what the router would skip and why, with status 1", async () => {
    const redis = server.client;
    await redis.sadd(
      "backends:a.test",
      "10.0.0.1:80",
      "http://10.0.0.1:80",
      "10.0.0.2",
      "169.254.169.254:80",
    );
    await redis.sadd("backends:a.test", "127.0.0.1:80", "10.0.0.3:80?color=red");
    await redis.sadd("backends:b.test", Buffer.from("\xff\n\\:80", "latin1"));
    await redis.set("backends:c.test", "10.0.0.1:80");
    await redis.lpush("route:d.test", "tries");
    await redis.hset("route:e.test", { tries: "0", colour: "red", pool: "@gone" });
    await redis.sadd("backends:Upper.test", "10.0.0.1:80");
    await redis.sadd("backends:a b", "10.0.0.1:80");
    await redis.hset("instances:f.test", "10.0.0.1:80", "weight=3");
    await redis.sadd("backends:@p", "10.0.0.1:80");
    await redis.hset("route:@p", "pool", "@q");
    await redis.sadd("backends:a.test/api", "10.0.0.1:80");
    await redis.zadd("backends:beats.test", 1_700_000_000, "10.0.0.1:80", 1_900_000_000, "10.0.0.2:80");
    await redis.hset("route:s.test", "split", "@p=5,@gone=95");
    await redis.sadd("paths:g.test", "/ok", "/bad/", "nope");
    await redis.sadd("backends:g.test/ok", "10.0.0.1:80");
    await redis.set("paths:h.test", "/api");
    await redis.sadd("paths:g.test/ok", "/deeper");
    await redis.sadd("paths:j.test/alone", "/deeper");
    await redis.set("paths:k.test/alone", "x");
    await redis.sadd("paths:@p", "/deeper");
    await redis.mset("session:1", "x", "session:2", "x");

    const found = await report("--deny-instances", "127.0.0.0/8");

    assert.deepEqual(said(found), [
      "bad_name backends:Upper.test Upper.test",
      "bad_name backends:a b a b",
      "bad_path paths:g.test /bad/",
      "bad_path paths:g.test nope",
      "bad_value backends:a.test 10.0.0.2",
      "bad_value backends:a.test 10.0.0.3:80?color=red",
      "bad_value backends:b.test \\xff\\n\\\\:80",
      "bad_value route:e.test tries 0",
      "dangling_pool route:e.test pool @gone",
      "dangling_pool route:s.test split @p=5,@gone=95",
      ...["duplicate backends:a.test 10.0.0.1:80", "duplicate backends:a.test http://10.0.0.1:80"].filter(
        (one) =>
          // Which of two is met first is Redis's affair.
          said(found).includes(one),
      ),
      "expired backends:beats.test 10.0.0.1:80",
      "forbidden_target backends:a.test 127.0.0.1:80",
      "forbidden_target backends:a.test 169.254.169.254:80",
      "foreign_key session:*",
      "ignored_option route:@p pool @q",
      "orphan instances:f.test",
      "unknown_option route:e.test colour red",
      "unreachable_path backends:a.test/api /api",
      "unreachable_path paths:@p",
      "unreachable_path paths:g.test/ok",
      "unreachable_path paths:j.test/alone",
      "unreachable_path paths:j.test/alone /alone",
      "unreachable_path paths:k.test/alone",
      "unreachable_path paths:k.test/alone /alone",
      "wrong_type backends:c.test",
      "wrong_type paths:h.test",
      "wrong_type route:d.test",
    ]);
    const { exitCode, stdout } = await check();
    assert.equal(exitCode, 1);
    assert.match(stdout, /^problem bad_value {2}backends:a\.test "10\.0\.0\.2": must be host:port$/m);
    assert.match(stdout, /^note foreign_key {2}session:\*: 2 keys that no schema in --schema reads$/m);
  });

  it("has one shape of JSON", async () => {
    await server.client.sadd("backends:a.test", "10.0.0.2");
    const { version, findings, summary } = await report();
    assert.equal(version, 1);
    assert.deepEqual(findings, [
      {
        severity: "problem",
        code: "bad_value",
        schema: "native",
        name: "a.test",
        key: "backends:a.test",
        value: "10.0.0.2",
        reason: "must be host:port",
      },
    ]);
    const { seconds, ...rest } = summary;
    assert.equal(typeof seconds, "number");
    assert.deepEqual(rest, {
      complete: true,
      redis: server.url,
      schemas: ["native"],
      keys: 1,
      names: 1,
      foreign: 0,
      problems: 1,
      notes: 0,
    });
  });

  it("takes notes for findings only when told to be strict", async () => {
    await server.client.set("session:1", "x");
    assert.equal((await check()).exitCode, 0);
    assert.equal((await check("--strict")).exitCode, 1);
  });

  it("reads keys as key_format spells them, also from the router's environment", async () => {
    await server.client.sadd("sb:backends:{a.test}", "10.0.0.2");
    await server.client.sadd("a.test|backends", "10.0.0.2");
    const format = "sb:{kind}:{{name}}";
    assert.deepEqual(said(await report("--key-format", format)), [
      "bad_value sb:backends:{a.test} 10.0.0.2",
      "foreign_key a.test|backends",
    ]);
    assert.deepEqual(said(await report("--key-format", "{name}|{kind}")), [
      "bad_value a.test|backends 10.0.0.2",
      "foreign_key sb:*",
    ]);
    const { stdout } = await switchboard(["check", "--json"], {
      SWITCHBOARD_REDIS_URL: server.url,
      SWITCHBOARD_KEY_FORMAT: format,
    });
    assert.equal((JSON.parse(stdout) as Report).summary.problems, 1);
  });

  it("scans and never asks for KEYS, and writes nothing", async () => {
    await server.client.sadd("backends:a.test", "10.0.0.2");
    await server.client.hset("route:a.test", "pool", "@gone");
    await server.client.config("RESETSTAT");
    await check();
    const stats = await server.client.info("commandstats");
    const used = [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name);
    const reads = ["dbsize", "exec", "exists", "hgetall", "multi", "ping", "scan", "smembers", "zrange"];
    assert.deepEqual(used.filter((name) => !["config|resetstat", "info"].includes(name!)).sort(), reads);
  });

  it("goes through 100,000 keys, in bounded memory", async () => {
    for (let from = 0; from < 100_000; from += 10_000) {
      const batch = server.client.pipeline();
      for (let i = from; i < from + 10_000; i++) {
        batch.sadd(
          `backends:h${i}.example.com`,
          `10.0.${i % 250}.1:80`,
          i % 100 === 0 ? "bad" : "10.1.0.1:80",
        );
      }
      await batch.exec();
    }
    const { exitCode, stdout, stderr } = await switchboard(
      ["check", "--redis", server.url, "--json", "--progress", "1"],
      {
        NODE_OPTIONS: MEASURE,
      },
    );
    assert.equal(exitCode, 1);
    const { findings, summary } = JSON.parse(stdout) as Report;
    assert.equal(summary.names, 100_000);
    assert.equal(findings.length, 1000);
    const peak = Number(/^peak (\d+) kB$/m.exec(stderr)?.[1]);
    assert.ok(peak < MOST_MEMORY, `it took ${peak} kB at its peak`);
    assert.match(stderr, /^[\d,]+ of about 100,000 keys, /m, "it says how far it is");
  });
});

describe("switchboard check, of the layouts of other routers", () => {
  it("lists what hipache's lists and marks have wrong, and no companions of theirs", async () => {
    const redis = server.client;
    await redis.rpush("frontend:good.test", "good", "http://10.0.0.1:80", "https://10.0.0.2:443/");
    await redis.sadd("dead:good.test", "0");
    await redis.expire("dead:good.test", 600);
    await redis.rpush("frontend:*.good.test", "good", "http://10.0.0.1:80");
    await redis.sadd("dead:x.good.test", "0");
    await redis.set("dead:good.test:http://10.0.0.1:80", "lease");
    await redis.mset("hchecker_ping", "1700000000", "healthcheck:good.test", "/");
    await redis.hset("route:good.test", "tries", "2");
    await redis.rpush(
      "frontend:bad.test",
      "http://10.0.0.9:80",
      "10.0.0.1:80",
      "https://10.0.0.3",
      "http://10.0.0.4:80/app",
    );
    await redis.rpush("frontend:twice.test", "id", "http://10.0.0.1:80", "http://10.0.0.1:80");
    await redis.rpush("frontend:shorter.test", "id", "http://10.0.0.1:80");
    await redis.sadd("dead:shorter.test", "0", "1", "x");
    await redis.hset("route:shorter.test", { tries: "0", pool: "@gone" });
    await redis.rpush("frontend:h.test:8080", "id", "http://10.0.0.1:80");
    await redis.rpush("frontend:*.1.2.3.4.5.6.test", "id", "http://10.0.0.1:80");
    await redis.rpush("frontend:Upper.test", "id", "http://10.0.0.1:80");
    await redis.set("frontend:string.test", "x");
    await redis.rpush("frontend:marked.test", "id", "http://10.0.0.1:80");
    await redis.set("dead:marked.test", "x");
    await redis.hset("instances:nobody.test", "10.0.0.1:80", "weight=3");
    await redis.sadd("backends:native.test", "10.0.0.1:80");

    const found = await report("--schema", "hipache");

    assert.deepEqual(said(found), [
      "assumed_port frontend:bad.test https://10.0.0.3",
      "bad_name frontend:*.1.2.3.4.5.6.test *.1.2.3.4.5.6.test",
      "bad_name frontend:Upper.test Upper.test",
      "bad_name frontend:h.test:8080 h.test:8080",
      "bad_value dead:shorter.test x",
      "bad_value frontend:bad.test 10.0.0.1:80",
      "bad_value route:shorter.test tries 0",
      "dangling_pool route:shorter.test pool @gone",
      "duplicate frontend:twice.test http://10.0.0.1:80",
      "foreign_key backends:*",
      "ignored_path frontend:bad.test http://10.0.0.4:80/app",
      "index_shift dead:shorter.test",
      "index_shift dead:shorter.test 1",
      "orphan instances:nobody.test",
      "url_as_id frontend:bad.test http://10.0.0.9:80",
      "wrong_type dead:marked.test",
      "wrong_type frontend:string.test",
    ]);
  });

  it("reads planb's lists as planb does, behind a prefix", async () => {
    const redis = server.client;
    await redis.rpush("p-frontend:h.test:8080", "id", "10.0.0.1:80");
    await redis.rpush("p-frontend:*.h.test", "id", "10.0.0.1:80");
    await redis.rpush("frontend:other.test", "id", "bad");

    const found = await report("--schema", "planb", "--legacy-prefix", "p-");

    assert.deepEqual(said(found), ["bad_name p-frontend:*.h.test *.h.test", "foreign_key frontend:*"]);
  });

  it("lists DINP's dangling cnames, and keys that its own routers crash on", async () => {
    const redis = server.client;
    await redis.lpush("/rs/demo.test", "10.0.0.5:10005", "10.0.0.5:10004");
    await redis.set("/cname/www.demo.test", "/rs/demo.test");
    await redis.set("/cname/gone.test", "/rs/nowhere.test");
    await redis.set("/cname/chain.test", "/rs/www.demo.test");
    await redis.set("/cname/no-list.test", "demo.test");
    await redis.set("/cname/demo.test", "/rs/demo.test");
    await redis.hset("/cname/hash.test", "a", "b");
    await redis.sadd("/rs/set.test", "x");
    await redis.lpush("/rs/bad.test", "http://10.0.0.1:80", "10.0.0.1");
    await redis.lpush("/rs/*.test", "10.0.0.1:80");
    await redis.mset("foo", "1", "session:1", "x", "session:2", "x", "/x/ours", "1");

    const found = await report("--schema", "dinp");

    assert.deepEqual(said(found), [
      "bad_name /rs/*.test *.test",
      "bad_value /cname/no-list.test demo.test",
      "bad_value /rs/bad.test 10.0.0.1",
      "bad_value /rs/bad.test http://10.0.0.1:80",
      "dangling_cname /cname/chain.test /rs/www.demo.test",
      "dangling_cname /cname/gone.test /rs/nowhere.test",
      "foreign_key /x/*",
      "ignored_cname /cname/demo.test /rs/demo.test",
      "slashless_key foo",
      "slashless_key session:*",
      "wrong_type /cname/hash.test",
      "wrong_type /rs/set.test",
    ]);
    assert.equal(found.findings.find(({ code }) => code === "slashless_key")!.severity, "problem");
  });

  it("says what is wrong with the options of another layout's names once, and takes none for an orphan", async () => {
    const redis = server.client;
    await redis.sadd("backends:@pool", "10.0.0.1:80");
    await redis.rpush("frontend:a.test", "id", "http://10.0.0.1:80");
    await redis.hset("route:a.test", { tries: "0", pool: "@pool" });
    await redis.hset("instances:a.test", "10.0.0.1:80", "weight=x");
    await redis.rpush("frontend:b.test", "id", "http://10.0.0.1:80");
    await redis.hset("instances:b.test", "10.0.0.1:80", "weight=2");
    await redis.rpush("frontend:b.test:81", "id", "http://10.0.0.1:80");
    await redis.hset("route:b.test:81", "tries", "2");
    await redis.hset("instances:nobody.test", "10.0.0.1:80", "weight=2");
    await redis.lpush("/rs/c.test", "bad");
    await redis.lpush("/rs/list", "10.0.0.1:80");
    await redis.hset("route:d.test", "pool", "@list");
    await redis.set("foo", "1");

    const { stdout } = await switchboard(["check", "--json"], {
      SWITCHBOARD_REDIS_URL: server.url,
      SWITCHBOARD_SCHEMA: "native,planb,dinp",
    });
    const found = JSON.parse(stdout) as Report;

    assert.deepEqual(said(found), [
      "bad_value /rs/c.test bad",
      "bad_value route:a.test tries 0",
      "foreign_key foo",
      "orphan instances:nobody.test",
    ]);
    assert.deepEqual(found.summary.schemas, ["native", "planb", "dinp"]);
  });

  it("asks hipache's and DINP's keys with the rights that the README names, and no more", async () => {
    const [, rights] = /^ACL SETUSER checker on >secret (.+)$/m.exec(
      await readFile(`${ROOT}README.md`, "utf8"),
    )!;
    await server.client.rpush("frontend:a.test", "id", "bad");
    await server.client.set("/cname/b.test", "/rs/gone");
    await server.client.call("ACL", "SETUSER", "legacy", "on", ">hunter2", ...rights!.split(" "));
    await server.client.config("RESETSTAT");
    const url = server.url.replace("//", "//legacy:hunter2@");

    const { exitCode, stderr, stdout } = await switchboard([
      "check",
      "--redis",
      url,
      "--schema",
      "hipache,dinp",
      "--json",
    ]);

    assert.equal(exitCode, 1, stderr);
    assert.deepEqual(said(JSON.parse(stdout) as Report), [
      "bad_value frontend:a.test bad",
      "dangling_cname /cname/b.test /rs/gone",
    ]);
    const stats = await server.client.info("commandstats");
    assert.doesNotMatch(stats, /^cmdstat_(keys|set|del|sadd|eval|expire|publish|rpush)/m);
  });
});

describe("how switchboard check reaches Redis", () => {
  it("by TLS, when the authority is given", async () => {
    const url = `rediss://localhost:${tlsPort}`;
    const trusted = ["check", "--redis", url, "--tls-ca", join(folder, "cert.pem")];
    assert.equal((await switchboard(trusted)).exitCode, 0);
    assert.equal((await switchboard(["check", "--redis", url, "--tls-insecure"])).exitCode, 0);
    const untrusted = await switchboard(["check", "--redis", url]);
    assert.equal(untrusted.exitCode, 2);
    assert.match(untrusted.stderr, /--tls-ca <file>/);
  });

  it("by a unix socket, and another database", async () => {
    await server.connect({ db: 3 }).sadd("backends:a.test", "bad");
    const words = ["check", "--redis", `unix:${folder}/redis.sock?db=3`, "--json"];
    const { exitCode, stdout } = await switchboard(words);
    assert.equal(exitCode, 1);
    assert.equal((JSON.parse(stdout) as Report).summary.problems, 1);
  });

  it("as an ACL user with the rights that the README names, and says which are missing", async () => {
    const readme = await readFile(`${ROOT}README.md`, "utf8");
    const [, rights] = /^ACL SETUSER checker on >secret (.+)$/m.exec(readme) ?? [];
    assert.ok(rights !== undefined, "the README has the line");
    await server.client.sadd("backends:a.test", "bad");
    await server.client.hset("route:a.test", "pool", "@gone");
    await server.client.sadd("backends:a.test/p", "10.0.0.1:80");
    const url = server.url.replace("//", "//checker:hunter2@");
    const words = ["check", "--redis", url, "--json"];

    await server.client.call("ACL", "SETUSER", "checker", "on", ">hunter2", ...rights.split(" "));
    const allowed = await switchboard(words);
    assert.equal(allowed.exitCode, 1, allowed.stderr);
    assert.equal((JSON.parse(allowed.stdout) as Report).findings.length, 3);

    await server.client.call("ACL", "SETUSER", "checker", "-scan");
    const refused = await switchboard(words);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /Redis refuses a command or key to this user: NOPERM .*scan.*it needs/);
    const { summary } = JSON.parse(refused.stdout) as Report;
    assert.equal(summary.complete, false);
    assert.match(summary.error!, /NOPERM/);
    assert.ok(!`${refused.stdout}${refused.stderr}${allowed.stdout}${allowed.stderr}`.includes("hunter2"));
  });
});

describe("when switchboard check cannot check, it says what would help, with status 2", () => {
  const mistakes: [string, string[], RegExp][] = [
    ["nobody listens", ["--redis", "redis://:hunter2@{dead}"], /nobody listens there .*--redis/],
    ["no socket", ["--redis", "unix:/nowhere/redis.sock"], /nobody listens there .*socket's path/],
    ["an unknown name", ["--redis", "redis://:hunter2@no.invalid"], /does not resolve .*--redis/],
    ["no such database", ["--redis", "{url}/99"], /no such database/],
    ["a wrong password", ["--redis", "{user}"], /refuses this user or password/],
    ["no URL", ["--redis", "http://:hunter2@x"], /redis_url must be redis:\/\//],
    [
      "a bad key format",
      ["--key-format", "{kind}"],
      /key_format must contain \{kind\} and \{name\}.*got "\{kind\}"/,
    ],
    [
      "an unknown schema",
      ["--schema", "natif"],
      /schema must be a comma-separated list of native, hipache.*got "natif"/,
    ],
    ["an unknown option", ["--jsno"], /--jsno.*--help/],
    ["a count of none", ["--count", "0"], /--count must be a whole number from 1/],
    [
      "no certificate",
      ["--redis", "rediss://127.0.0.1:1", "--tls-ca", "/nowhere"],
      /file that --tls-ca names/,
    ],
  ];
  for (const [mistake, words, remedy] of mistakes) {
    it(mistake, async () => {
      const user = server.url.replace("//", "//nobody:hunter2@");
      const dead = await deadPort();
      const spelled = words.map((word) =>
        word.replace("{url}", server.url).replace("{user}", user).replace("{dead}", dead),
      );
      const { exitCode, stdout, stderr } = await switchboard(["check", "--timeout", "5", ...spelled]);
      assert.match(stderr, remedy);
      assert.ok(!`${stdout}${stderr}`.includes("hunter2"), "the password is not shown");
      assert.equal(exitCode, 2);
    });
  }

  it("a server that is silent", async () => {
    await server.pause();
    try {
      const { exitCode, stderr } = await check("--timeout", "1");
      assert.match(stderr, /does not answer.*--timeout/);
      assert.equal(exitCode, 2);
    } finally {
      await server.resume();
    }
  });

  it("is started by npx in the repository, and has help", async () => {
    const { exitCode, stdout } = await command("npx", ["--no", "switchboard", "check", "--help"], {
      cwd: ROOT,
    });
    assert.equal(exitCode, 0);
    assert.match(stdout, /--redis <url>/);
  });
});
