import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { startApp } from "./support/backends.ts";
import { docker } from "./support/command.ts";
import { imageOf } from "./support/containers.ts";
import { eventually } from "./support/eventually.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

describe("one worker", () => {
  const stage = useStage({ workers: 1 });

  it("sends a domain's requests to the instances of its set, each as many", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    const host = await stage.serve("even.test", a, b, c);

    assert.deepEqual(tally(await askTimes(stage.router, host, 300)), { a: 100, b: 100, c: 100 });
  });

  it("sends by weight exactly, and spreads the turns of a heavy instance between the others'", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    await stage.redis.client.sadd("backends:weighted.test", `${a.at}?weight=5`, b.at, `${c.at}?weight=1`);

    const names = await askTimes(stage.router, "weighted.test", 70);

    assert.deepEqual(tally(names), { a: 50, b: 10, c: 10 });
    assert.doesNotMatch(names.join(""), /aaaaa/, "never five in a row of seven");
  });

  it("sends nothing to an instance of weight 0, nor to one that drains", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    await stage.redis.client.sadd("backends:resting.test", a.at, `${b.at}?weight=0`, `${c.at}?drain=1`);

    assert.deepEqual(tally(await askTimes(stage.router, "resting.test", 20)), { a: 20 });
  });

  it("lets the attributes of instances: win over those of the member", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    await stage.redis.client.sadd("backends:overridden.test", `${a.at}?weight=7`, `${b.at}?drain=1`);
    await stage.redis.client.hset("instances:overridden.test", a.at, "weight=3", b.at, "drain=0");

    assert.deepEqual(tally(await askTimes(stage.router, "overridden.test", 40)), { a: 30, b: 10 });
  });

  it("counts duplicates as one instance, by the smallest weight, draining if any says so", async () => {
    const [a, b, c] = [await stage.backend("a"), await stage.backend("b"), await stage.backend("c")];
    await stage.redis.client.sadd(
      "backends:doubled.test",
      `${a.at}?weight=9`,
      `http://${a.at}?weight=2&id=other`,
      b.at,
      c.at,
      `${c.at}?drain=1`,
    );

    assert.deepEqual(tally(await askTimes(stage.router, "doubled.test", 30)), { a: 20, b: 10 });
  });

  it("reaches instances on IPv6 addresses", async () => {
    const a = await stage.backend("a", { address: "::1" });
    const host = await stage.serve("six.test", a);

    assert.deepEqual(tally(await askTimes(stage.router, host, 5)), { a: 5 });
  });

  it("reuses connections to the instances", async () => {
    const ports = new Set<number | undefined>();
    const app = await stage.keep(
      startApp("a", (request, response) => {
        ports.add(request.socket.remotePort);
        response.end("{}");
      }),
    );
    const host = await stage.serve("reused.test", app);

    await askTimes(stage.router, host, 50);

    assert.equal(ports.size, 1);
  });
});

describe("two workers", () => {
  const stage = useStage({
    server: "add_header X-Worker $pid always;",
  });

  it("begin at different instances", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    for (let i = 0; i < 5; i += 1) {
      const host = await stage.serve(`begin-${i}.test`, a, b);
      const firsts = new Map<string, string>();
      while (firsts.size < 2) {
        const { headers } = await stage.router.ask({ host });
        const worker = String(headers["x-worker"]);
        firsts.set(worker, firsts.get(worker) ?? String(headers["x-backend"]));
      }
      assert.deepEqual([...firsts.values()].sort(), ["a", "b"]);
    }
  });
});

describe("sixteen workers and fifty instances", () => {
  const WORKERS = 16;
  const INSTANCES = 50;
  const REQUESTS = 20_000;
  const stage = useStage({ workers: WORKERS, http: "keepalive_requests 1000000;" });

  it("are even to one request a worker, also after instances came and went under load", async () => {
    // One app behind them all, which sees by the address that was connected to which instance is meant.
    const counts = new Map<string, number>();
    const app = await stage.keep(
      startApp(
        "all",
        (request, response) => {
          const at = String(request.socket.localAddress);
          counts.set(at, (counts.get(at) ?? 0) + 1);
          response.end("ok");
        },
        { address: "0.0.0.0" },
      ),
    );
    const members = (from: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `127.1.0.${from + i}:${app.port}`);
    const key = "backends:many.test";
    await stage.redis.client.sadd(key, ...members(1, INSTANCES));
    assert.equal((await stage.router.ask({ host: "many.test" })).status, 200);
    const load = async (seconds: number): Promise<void> => {
      const words = ["wrk", "-t1", "-c64", `-d${seconds}s`, "-H", "Host: many.test"];
      const url = `http://127.0.0.1:${stage.router.port}/`;
      const run = ["run", "--rm", "--network", "host", imageOf("tools"), ...words, url];
      const { stdout, stderr, exitCode } = await docker(...run);
      assert.equal(exitCode, 0, stderr);
      assert.doesNotMatch(stdout, /Non-2xx|Socket errors/);
    };
    const total = (): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
    const loadUntilEnough = async (): Promise<void> => {
      counts.clear();
      await eventually(
        "there were requests enough",
        async () => {
          await load(2);
          assert.ok(total() >= REQUESTS, String(total()));
        },
        60,
      );
    };

    await loadUntilEnough();
    const first = [...counts.values()];
    assert.equal(first.length, INSTANCES);
    assert.ok(Math.max(...first) - Math.min(...first) <= WORKERS, first.join(" "));

    const scaling = load(2);
    for (let i = 0; i < 10; i += 1) {
      const [going] = members(i + 1, 1);
      const [coming] = members(101 + i, 1);
      await stage.redis.client.multi().srem(key, going!).sadd(key, coming!).exec();
    }
    await scaling;
    await loadUntilEnough();
    const second = [...counts.values()];
    assert.equal(second.length, INSTANCES, [...counts.keys()].join(" "));
    assert.ok(Math.max(...second) - Math.min(...second) <= WORKERS, second.join(" "));
  });
});
