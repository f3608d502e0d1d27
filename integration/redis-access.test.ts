import { strict as assert } from "node:assert";
import { mkdtemp, chmod, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { makeCertificate, type Certificate } from "./support/certificates.ts";
import { underLoad } from "./support/load.ts";
import { startRedis, type RedisServer } from "./support/redis-server.ts";
import type { Router } from "./support/router.ts";
import { useStage } from "./support/stage.ts";

/** The rights that the README documents. */
const RIGHTS =
  "~backends:* ~instances:* ~route:* ~paths:* resetchannels -@all +multi +exec +smembers +zrange +hgetall +exists +ping +select " +
  "+client|id +client|tracking +subscribe &__redis__:invalidate ~switchboard:wiped +get";

async function assertServes(router: Router, host: string, name: string): Promise<void> {
  await eventually(
    `${host} is served`,
    async () => assert.equal((await router.echo({ host })).name, name),
    3,
  );
}

async function assertUnreachable(router: Router, host: string): Promise<void> {
  const answer = await router.ask({ host });
  assert.equal(answer.status, 503);
  assert.equal(answer.headers["x-switchboard-error"], "store_unreachable");
}

describe("an ACL user", () => {
  const stage = useStage();
  const url = (user: string, password: string): string =>
    `redis://${user}:${password}@127.0.0.1:${stage.redis.port}`;

  it("with exactly the documented rights suffices, for everything a route can be", async () => {
    const redis = stage.redis.client;
    await redis.call("ACL", "SETUSER", "switchboard", "on", ">s3cr:t@/%", ...RIGHTS.split(" "));
    const a = await stage.backend("a");
    await stage.serve("set.test", a);
    await stage.serve("*.wild.test", a);
    await stage.serve("@pool", a);
    await redis.zadd("backends:zset.test", Math.floor(Date.now() / 1000) + 60, a.at);
    await redis.hset("route:pool.test", "pool", "@pool");
    await redis.hset("instances:set.test", a.at, "weight=2");
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: `${url("switchboard", encodeURIComponent("s3cr:t@/%"))}/0` },
    });

    for (const host of ["set.test", "x.wild.test", "zset.test", "pool.test"]) {
      await assertServes(router, host, "a");
    }
    assert.equal((await router.ask({ host: "unknown.test" })).status, 404);
    assert.equal((await router.health("/readyz")).body, "ready\n");
    assert.equal((await router.metrics()).get('switchboard_watch{mode="tracking"}'), 1);
    const denied = (await redis.call("ACL", "LOG")) as unknown[];
    assert.deepEqual(denied, [], "nothing was denied");
  });

  it("with a wrong password gets nothing, and the log says what to look at, without the password", async () => {
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: url("switchboard", "hunter2-is-wrong") },
    });

    await assertUnreachable(router, "set.test");
    await router.logged(/WRONGPASS|username|password/i);
    assert.doesNotMatch(router.log().join("\n"), /hunter2/);
    assert.match((await router.health("/readyz")).body, /degraded/);
  });

  it("without the right to one kind of key makes nobody unknown", async () => {
    await stage.redis.client.call(
      "ACL",
      "SETUSER",
      "blind",
      "on",
      ">x",
      ...RIGHTS.replace("~route:* ", "").split(" "),
    );
    const router = await stage.moreRouter({ environment: { SWITCHBOARD_REDIS_URL: url("blind", "x") } });

    await assertUnreachable(router, "set.test");
    await router.logged(/NOPERM|ACL|permission/i);
  });
});

describe("a password alone", () => {
  const stage = useStage({
    redis: { arguments: ["--requirepass", "only-a-password"], client: { password: "only-a-password" } },
    environment: {},
  });
  const withPassword = (): string => `redis://:only-a-password@127.0.0.1:${stage.redis.port}`;

  it("suffices, and from a file too", async () => {
    const host = await stage.serve("locked.test", await stage.backend("a"));
    const direct = await stage.moreRouter({ environment: { SWITCHBOARD_REDIS_URL: withPassword() } });
    await assertServes(direct, host, "a");
    assert.doesNotMatch(direct.log().join("\n"), /only-a-password/);
  });

  it("that is missing is named in the log", async () => {
    await assertUnreachable(stage.router, "locked.test");
    await stage.router.logged(/NOAUTH|password/i);
  });
});

describe("a db by number", () => {
  const stage = useStage();

  it("is the one that is read, and pooled connections of two dbs are not mixed up", async () => {
    const [zero, one] = [await stage.backend("zero"), await stage.backend("one")];
    const host = await stage.serve("numbered.test", zero);
    await stage.redis.connect({ db: 1 }).sadd("backends:numbered.test", one.at);
    const router = await stage.moreRouter({ environment: { SWITCHBOARD_REDIS_URL: `${stage.redis.url}/1` } });

    await assertServes(router, host, "one");
    await assertServes(stage.router, host, "zero");
  });

  it("that does not exist is named in the log", async () => {
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: `${stage.redis.url}/9999` },
    });

    await assertUnreachable(router, "numbered.test");
    await router.logged(/DB index|9999/);
  });
});

describe("a name", () => {
  const stage = useStage();

  it("of Redis is resolved, /etc/hosts included", async () => {
    const host = await stage.serve("named.test", await stage.backend("a"));
    const local = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: `redis://localhost:${stage.redis.port}` },
    });
    const aliased = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: `redis://store.internal:${stage.redis.port}` },
      extraHosts: [{ host: "store.internal", ipAddress: "127.0.0.1" }],
    });

    await assertServes(local, host, "a");
    await assertServes(aliased, host, "a");
  });

  it("that does not resolve is named in the log", async () => {
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: `redis://no-such-redis.invalid:6379` },
    });

    await assertUnreachable(router, "named.test");
    await router.logged(/could not resolve no-such-redis\.invalid/);
  });
});

describe("a unix socket", () => {
  let folder = "";
  let redis: RedisServer;
  const stage = useStage();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "switchboard-"));
    await chmod(folder, 0o777);
    redis = await startRedis({
      folders: { "/run/store": folder },
      arguments: ["--unixsocket", "/run/store/redis.sock", "--unixsocketperm", "777"],
    });
  });
  after(async () => {
    await redis.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("leads to Redis", async () => {
    const a = await stage.backend("a");
    await redis.client.sadd("backends:socket.test", a.at);
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: "unix:/run/store/redis.sock" },
      folders: { "/run/store": folder },
    });

    await assertServes(router, "socket.test", "a");
  });

  it("that is not there is named in the log", async () => {
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: "unix:/run/store/other.sock" },
    });

    await assertUnreachable(router, "socket.test");
    await router.logged(/other\.sock/);
  });
});

describe("rediss://", () => {
  let certificate: Certificate;
  let redis: RedisServer;
  const stage = useStage();

  before(async () => {
    certificate = await makeCertificate("DNS:localhost,IP:127.0.0.1");
    redis = await startRedis({
      plain: false,
      files: [
        { content: certificate.cert, target: "/etc/redis-cert.pem" },
        { content: certificate.key, target: "/etc/redis-key.pem" },
      ],
      arguments: [
        ...["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no", "--requirepass", "tls-secret"],
        ...["--tls-cert-file", "/etc/redis-cert.pem", "--tls-key-file", "/etc/redis-key.pem"],
        ...["--tls-ca-cert-file", "/etc/redis-cert.pem"],
      ],
      client: { password: "tls-secret", tls: { ca: certificate.cert } },
    });
    const a = await stage.backend("a");
    await redis.client.sadd("backends:tls.test", a.at);
  });
  after(async () => redis.close());

  const trusting = (): { http: string; files: { content: string; target: string }[] } => ({
    http: "lua_ssl_trusted_certificate /etc/store-ca.pem;",
    files: [{ content: certificate.cert, target: "/etc/store-ca.pem" }],
  });

  it("speaks TLS to a Redis whose certificate is trusted", async () => {
    const router = await stage.moreRouter({
      ...trusting(),
      environment: { SWITCHBOARD_REDIS_URL: `rediss://:tls-secret@localhost:${redis.port}` },
    });

    await assertServes(router, "tls.test", "a");
  });

  it("refuses one whose certificate is not, and says so", async () => {
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: `rediss://:tls-secret@localhost:${redis.port}` },
    });

    await assertUnreachable(router, "tls.test");
    await router.logged(/certificate/);
    assert.doesNotMatch(router.log().join("\n"), /tls-secret/);
  });

  it("takes any certificate with redis_tls_verify off", async () => {
    const router = await stage.moreRouter({
      environment: {
        SWITCHBOARD_REDIS_URL: `rediss://:tls-secret@127.0.0.1:${redis.port}`,
        SWITCHBOARD_REDIS_TLS_VERIFY: "off",
      },
    });

    await assertServes(router, "tls.test", "a");
  });
});

describe("rediss:// to a Redis that asks for a certificate", () => {
  let ours: Certificate;
  let theirs: Certificate;
  let foreign: Certificate;
  let redis: RedisServer;
  const stage = useStage();

  before(async () => {
    theirs = await makeCertificate("DNS:store.internal");
    ours = await makeCertificate("DNS:router.internal");
    foreign = await makeCertificate("DNS:router.internal");
    redis = await startRedis({
      plain: false,
      files: [
        { content: theirs.cert, target: "/etc/redis-cert.pem" },
        { content: theirs.key, target: "/etc/redis-key.pem" },
        { content: ours.cert, target: "/etc/router-cert.pem" },
      ],
      arguments: [
        ...[
          "--port",
          "0",
          "--tls-port",
          "{port}",
          "--tls-auth-clients",
          "yes",
          "--requirepass",
          "tls-secret",
        ],
        ...["--tls-cert-file", "/etc/redis-cert.pem", "--tls-key-file", "/etc/redis-key.pem"],
        ...["--tls-ca-cert-file", "/etc/router-cert.pem"],
      ],
      client: {
        password: "tls-secret",
        tls: { ca: theirs.cert, cert: ours.cert, key: ours.key, servername: "store.internal" },
      },
    });
    await redis.client.call("ACL", "SETUSER", "switchboard", "on", ">acl-secret", ...RIGHTS.split(" "));
    await redis.client.sadd("backends:mutual.test", (await stage.backend("a")).at);
  });
  after(async () => redis.close());

  const router = async (
    certificate: Certificate | undefined,
    more: Record<string, string>,
  ): Promise<Router> =>
    stage.moreRouter({
      http: "lua_ssl_trusted_certificate /etc/store-ca.pem;",
      files: [
        { content: theirs.cert, target: "/etc/store-ca.pem" },
        { content: certificate?.cert ?? "", target: "/etc/router-cert.pem" },
        { content: certificate?.key ?? "", target: "/etc/router-key.pem" },
      ],
      environment: {
        SWITCHBOARD_REDIS_URL: `rediss://switchboard:acl-secret@127.0.0.1:${redis.port}`,
        ...(certificate === undefined
          ? {}
          : {
              SWITCHBOARD_REDIS_TLS_CERT: "/etc/router-cert.pem",
              SWITCHBOARD_REDIS_TLS_KEY: "/etc/router-key.pem",
            }),
        ...more,
      },
    });

  it("serves with one that it trusts, as an ACL user, the name of the server checked", async () => {
    const trusted = await router(ours, { SWITCHBOARD_REDIS_TLS_NAME: "store.internal" });
    await assertServes(trusted, "mutual.test", "a");
    await eventually("it is watched", async () => {
      assert.equal((await trusted.metrics()).get('switchboard_watch{mode="tracking"}'), 1);
    });
    assert.equal((await trusted.health("/readyz")).body, "ready\n");
  });

  it("is told where it has another name than it must have", async () => {
    const wary = await router(ours, { SWITCHBOARD_REDIS_TLS_NAME: "other.internal" });
    await assertUnreachable(wary, "mutual.test");
    // The router tells once why Redis is down: where its first attempt took too long that is a timeout, and the line is nginx's.
    await wary.logged(
      /event=redis_down about="tls_failed".*certificate host mismatch|certificate does not match host "other\.internal"/,
    );
  });

  for (const [what, certificate] of [
    ["without one", (): undefined => undefined],
    ["with one that it does not trust", (): Certificate => foreign],
  ] as const) {
    it(`is told as tls_failed, ${what}, with the options that help`, async () => {
      const refused = await router(certificate(), { SWITCHBOARD_REDIS_TLS_NAME: "store.internal" });
      await assertUnreachable(refused, "mutual.test");
      await refused.logged(/event=redis_down about="tls_failed".*redis_tls_cert, redis_tls_key/);
      assert.match((await refused.health("/readyz")).body, /unreachable for \d+ s: tls_failed/);
      assert.doesNotMatch(refused.log().join("\n"), /acl-secret/);
    });
  }
});

describe("servers in a list", () => {
  let second: RedisServer;
  const stage = useStage();

  before(async () => {
    second = await startRedis({
      arguments: ["--replicaof", "127.0.0.1", String(stage.redis.port), "--repl-diskless-sync-delay", "0"],
    });
    await eventually("it is a replica in step", async () => {
      assert.match(await second.client.info("replication"), /master_link_status:up/);
    });
  });
  after(async () => second.close());

  it("take each other's place: no request fails, and the workers all ask the one that is watched", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const host = await stage.serve("listed.test", a);
    const router = await stage.moreRouter({
      workers: 4,
      environment: {
        SWITCHBOARD_REDIS_URL: `redis://127.0.0.1:${stage.redis.port},127.0.0.1:${second.port}`,
        SWITCHBOARD_TTL: "600s",
      },
    });
    const rewrite = async (server: RedisServer, at: string): Promise<unknown> =>
      server.client.multi().del(`backends:${host}`).sadd(`backends:${host}`, at).exec();
    await assertServes(router, host, "a");

    const load = await underLoad({ port: router.port, host, clients: 4 }, async () => {
      await stage.redis.signal("KILL");
      await second.client.replicaof("NO", "ONE");
      await rewrite(second, b.at);
      await assertServes(router, host, "b");
      await router.logged(new RegExp(`event=store_moved .*127\\.0\\.0\\.1:${second.port}`));
      // The first is back with what it had, and nobody asks it.
      await stage.redis.start();
      await rewrite(stage.redis, "127.0.0.1:1");
      await rewrite(second, a.at);
      await assertServes(router, host, "a");
      for (let i = 0; i < 30; i += 1) {
        assert.equal((await router.echo({ host })).name, "a");
      }
    });
    assert.deepEqual(load.failures, []);
    // The other router watches it.
    const clients = String(await stage.redis.client.client("LIST"));
    assert.equal(clients.split("\n").filter((line) => / flags=\w*t/.test(line)).length, 1, clients);
  });
});
