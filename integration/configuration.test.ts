import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { underLoad } from "./support/load.ts";
import { START_NGINX } from "./support/router.ts";
import { useStage } from "./support/stage.ts";
import { startDripping } from "./support/troubled-backends.ts";

describe("a configuration error", () => {
  const stage = useStage({
    files: [
      { content: "redis://user:file-secret@127.0.0.1:1/not-a-number", target: "/tmp/bad-url" },
      { content: "5s\n", target: "/tmp/ttl" },
    ],
  });

  /** What nginx says when it is started with this environment; it must refuse. */
  const refusal = async (environment: Record<string, string>): Promise<string> => {
    const { output, exitCode } = await stage.router.exec(["timeout", "5", ...START_NGINX], environment);
    assert.notEqual(exitCode, 124, `nginx started with ${JSON.stringify(environment)}`);
    assert.notEqual(exitCode, 0);
    const first = output.split("\n").find((line) => line.includes("init_by_lua"));
    assert.ok(first !== undefined, output);
    return first;
  };

  const WRONG: [environment: Record<string, string>, says: RegExp[]][] = [
    [{ SWITCHBOARD_TTL: "soon" }, [/configure: ttl must be a time such as/, /"soon"/, /SWITCHBOARD_TTL/]],
    [{ SWITCHBOARD_TTL: "-1" }, [/configure: ttl must be a time/, /"-1"/]],
    [{ SWITCHBOARD_TTL: "0" }, [/configure: ttl must be/, /at least 0\.1/, /"0"/]],
    [{ SWITCHBOARD_TRIES: "many" }, [/configure: tries must be a whole number/, /"many"/]],
    [{ SWITCHBOARD_ERROR_BODY: "maybe" }, [/configure: error_body must be on or off/, /"maybe"/]],
    [{ SWITCHBOARD_TRUSTED_PROXIES: "10.0.0.0/33" }, [/configure: trusted_proxies/, /10\.0\.0\.0\/33/]],
    [{ SWITCHBOARD_DENY_INSTANCES: "everything" }, [/configure: deny_instances/, /everything/]],
    [{ SWITCHBOARD_NAMESERVERS: "ns.example" }, [/configure: nameservers/, /ns\.example/]],
    [{ SWITCHBOARD_KEY_FORMAT: "x:{name}" }, [/configure: key_format/, /\{kind\}/]],
    [
      { SWITCHBOARD_KEY_FORMAT: "{kind}/{name}", SWITCHBOARD_KEY_PREFIX: "p:" },
      [/configure: key_prefix and key_format/],
    ],
    [
      { SWITCHBOARD_TLL: "5s" },
      [/configure: unknown environment variable SWITCHBOARD_TLL; did you mean SWITCHBOARD_TTL\?/],
    ],
    [{ SWITCHBOARD_WHATEVER: "x" }, [/configure: unknown environment variable SWITCHBOARD_WHATEVER/]],
    [{ SWITCHBOARD_TTL_FILE: "/tmp/nowhere" }, [/configure: .*SWITCHBOARD_TTL_FILE/, /\/tmp\/nowhere/]],
    [
      { SWITCHBOARD_TTL_FILE: "/tmp/ttl", SWITCHBOARD_TTL: "1s" },
      [/SWITCHBOARD_TTL and SWITCHBOARD_TTL_FILE are both set/],
    ],
    [{ SWITCHBOARD_REDIS_URL: "http://127.0.0.1" }, [/configure: redis_url/, /redis:\/\//]],
  ];

  for (const [environment, says] of WRONG) {
    const shown = Object.entries(environment).map((pair) => pair.join("="));
    it(`stops the start, and the first line says what is wrong: ${shown.join(" ")}`, async () => {
      const line = await refusal(environment);
      for (const pattern of says) {
        assert.match(line, pattern);
      }
    });
  }

  it("shows no secret", async () => {
    const { output } = await stage.router.exec(["timeout", "5", ...START_NGINX], {
      SWITCHBOARD_REDIS_URL: "redis://user:hunter2@127.0.0.1:port",
    });
    assert.match(output, /configure: redis_url/);
    assert.doesNotMatch(output, /hunter2/);

    const fromFile = await stage.router.exec(["timeout", "5", ...START_NGINX], {
      SWITCHBOARD_REDIS_URL: "",
      SWITCHBOARD_REDIS_URL_FILE: "/tmp/bad-url",
    });
    assert.match(fromFile.output, /configure: redis_url/);
    assert.doesNotMatch(fromFile.output, /file-secret/);
  });
});

describe("options", () => {
  const stage = useStage();

  it("may come from files", async () => {
    const host = await stage.serve("filed.test", await stage.backend("a"));
    const router = await stage.moreRouter({
      environment: { SWITCHBOARD_REDIS_URL: "", SWITCHBOARD_REDIS_URL_FILE: "/run/redis-url" },
      files: [{ content: `${stage.redis.url}\n`, target: "/run/redis-url" }],
    });

    assert.equal((await router.echo({ host })).name, "a");
  });

  it("may change the names of keys", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.sadd("p:backends:prefixed.test", a.at);
    await stage.redis.client.sadd("sb:backends:{formatted.test}", a.at);
    const prefixed = await stage.moreRouter({ environment: { SWITCHBOARD_KEY_PREFIX: "p:" } });
    const formatted = await stage.moreRouter({
      environment: { SWITCHBOARD_KEY_FORMAT: "sb:{kind}:{{name}}" },
    });

    assert.equal((await prefixed.echo({ host: "prefixed.test" })).name, "a");
    assert.equal((await formatted.echo({ host: "formatted.test" })).name, "a");
    assert.equal((await formatted.ask({ host: "prefixed.test" })).status, 404);
  });
});

describe("a reload", () => {
  const stage = useStage();

  it("ends with what clients were reading still arriving", async () => {
    const dripping = await stage.keep(startDripping("dripping", 20, 0.1));
    const host = await stage.serve("dripping.test", dripping);
    const running = stage.router.ask({ host });
    await eventually("the request is running", () => assert.equal(dripping.count(), 1));

    await stage.router.signal("SIGHUP");

    assert.equal((await running).body, "x".repeat(20));
  });

  it("under load loses nothing, and the new workers know what the old ones knew", async () => {
    const host = await stage.serve("reloaded.test", await stage.backend("a"));
    const started = (): number =>
      stage.router.log().filter((line) => /start worker process \d/.test(line)).length;

    const load = await underLoad({ port: stage.router.port, host, clients: 6 }, async (running) => {
      for (let reload = 1; reload <= 3; reload += 1) {
        const before = started();
        await stage.router.signal("SIGHUP");
        await eventually("new workers have started", () => assert.ok(started() >= before + 2));
        const goal = running.total + 300;
        await eventually("requests flow", () => assert.ok(running.total > goal));
      }
      await stage.redis.stop();
      await stage.router.signal("SIGHUP");
      const goal = running.total + 300;
      await eventually("requests flow without Redis", () => assert.ok(running.total > goal));
      await stage.redis.start();
    });

    assert.deepEqual(load.failures, []);
    await eventually("nothing is in flight", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_in_flight"), 0);
    });
  });
});
