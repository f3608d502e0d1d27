import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

describe("an instance by name", () => {
  const stage = useStage({
    environment: { SWITCHBOARD_DNS_TIMEOUT: "200ms" },
    workers: 1,
    extraHosts: [
      { host: "app.internal", ipAddress: "127.0.0.5" },
      { host: "app.internal", ipAddress: "127.0.0.6" },
      { host: "six.internal", ipAddress: "::1" },
    ],
  });

  it("is found in /etc/hosts, localhost among them", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.sadd("backends:local.test", `localhost:${a.port}`);

    assert.equal((await stage.router.echo({ host: "local.test" })).name, "a");
  });

  it("means every one of its addresses", async () => {
    const five = await stage.backend("five", { address: "127.0.0.5" });
    await stage.backend("six", { address: "127.0.0.6", port: five.port });
    await stage.redis.client.sadd("backends:named.test", `APP.internal:${five.port}`);

    assert.deepEqual(tally(await askTimes(stage.router, "named.test", 20)), { five: 10, six: 10 });
  });

  it("may have an IPv6 address", async () => {
    const a = await stage.backend("a", { address: "::1" });
    await stage.redis.client.sadd("backends:six.test", `six.internal:${a.port}`);

    assert.equal((await stage.router.echo({ host: "six.test" })).name, "a");
  });

  it("and the same by address is one instance", async () => {
    const five = await stage.backend("five", { address: "127.0.0.5" });
    const six = await stage.backend("six", { address: "127.0.0.6", port: five.port });
    await stage.redis.client.sadd("backends:both.test", `app.internal:${five.port}`, six.at);

    assert.deepEqual(tally(await askTimes(stage.router, "both.test", 20)), { five: 10, six: 10 });
  });

  it("that is nobody's leaves the others, and alone gives 503 name_unresolved", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.sadd("backends:half-named.test", a.at, "nobody.invalid:80");
    await stage.redis.client.sadd("backends:unresolved.test", "nobody.invalid:80");

    assert.deepEqual(tally(await askTimes(stage.router, "half-named.test", 10)), { a: 10 });
    const answer = await stage.router.ask({ host: "unresolved.test" });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers["x-switchboard-error"], "name_unresolved");
    await stage.router.logged(/could not resolve nobody\.invalid/);
  });
});

describe("a target that no instance may be", () => {
  const stage = useStage({
    environment: { SWITCHBOARD_DENY_INSTANCES: "127.66.0.0/16, 2001:db8::/32, 192.0.2.1" },
    extraHosts: [
      { host: "own.internal", ipAddress: "127.0.0.1" },
      { host: "denied.internal", ipAddress: "127.66.0.1" },
      { host: "mixed.internal", ipAddress: "127.66.0.1" },
      { host: "mixed.internal", ipAddress: "127.0.0.1" },
    ],
    http: `
      server { listen 127.0.7.8:{port}; location / { include switchboard/proxy.conf; } }
      server { listen 19876; location / { include switchboard/proxy.conf; } }`,
  });

  const assertRefused = async (name: string, member: string, reason: RegExp): Promise<void> => {
    await stage.redis.client.sadd(`backends:${name}.test`, member);
    const answer = await stage.router.ask({ host: `${name}.test` });
    assert.equal(answer.status, 503, member);
    assert.equal(answer.headers["x-switchboard-error"], "no_instances", member);
    await eventually(`the log tells why ${member} is refused`, () => {
      const lines = stage.router.log().filter((line) => line.includes(`skipped in ${name}.test: `));
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", reason);
    });
  };

  it("is one of the router's own listeners", async () => {
    await assertRefused("own", `127.0.0.1:${stage.router.port}`, /this router's own listener/);
    await assertRefused("own-health", `127.0.0.1:${stage.router.healthPort}`, /this router's own listener/);
    await assertRefused("own-other", `127.0.7.8:${stage.router.port}`, /this router's own listener/);
    await assertRefused(
      "own-mapped",
      `[::ffff:127.0.0.1]:${stage.router.port}`,
      /this router's own listener/,
    );
    await assertRefused("own-tls", `https://127.0.0.1:${stage.router.port}`, /this router's own listener/);
    await assertRefused("own-name", `own.internal:${stage.router.port}`, /this router's own listener/);
  });

  it("is one of this machine's addresses at a port that is listened on everywhere", async () => {
    await assertRefused("any-1", "127.0.0.1:19876", /this router's own listener/);
    await assertRefused("any-2", "127.9.9.9:19876", /this router's own listener/);
  });

  it("is unspecified, multicast, broadcast or link-local", async () => {
    await assertRefused("unspecified", "0.0.0.0:80", /unspecified address/);
    await assertRefused("unspecified-6", "[::]:80", /unspecified address/);
    await assertRefused("multicast", "224.0.0.1:80", /multicast address/);
    await assertRefused("multicast-6", "[ff02::1]:80", /multicast address/);
    await assertRefused("broadcast", "255.255.255.255:80", /broadcast address/);
    await assertRefused("link-local", "169.254.169.254:80", /link-local address/);
    await assertRefused("link-local-6", "[fe80::1]:80", /link-local address/);
    await assertRefused("mapped", "[::ffff:169.254.169.254]:80", /link-local address/);
  });

  it("is in deny_instances, by address, by name, or dressed as IPv6", async () => {
    await assertRefused("denied", "127.66.1.2:80", /denied by deny_instances/);
    await assertRefused("denied-one", "192.0.2.1:80", /denied by deny_instances/);
    await assertRefused("denied-6", "[2001:db8::5]:80", /denied by deny_instances/);
    await assertRefused("denied-name", "denied.internal:80", /denied by deny_instances/);
    await assertRefused("denied-mapped", "[::ffff:127.66.1.2]:80", /denied by deny_instances/);
  });

  it("hurts only itself", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.sadd("backends:mixed.test", a.at, "169.254.169.254:80", "127.66.0.1:80");
    await stage.redis.client.sadd("backends:mixed-name.test", `mixed.internal:${a.port}`);

    assert.deepEqual(tally(await askTimes(stage.router, "mixed.test", 10)), { a: 10 });
    assert.deepEqual(tally(await askTimes(stage.router, "mixed-name.test", 10)), { a: 10 });
  });
});
