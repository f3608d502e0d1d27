/**
 * `npx tsx bench/watch.ts`, part of `make bench`: how soon a change in Redis is served by every worker, and
 * what the watch costs. Its figures are put into results.json beside the others.
 *
 * Environment: WRITES (1000), NAMES (100000), SECONDS of a measurement (2), ROUNDS (15).
 */

import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { quantile } from "./figure.ts";
import { resultOf } from "./load.ts";
import { play } from "./part.ts";
import { type Figures, record } from "./results.ts";
import { eventually, metricOf, type Stage } from "./stage.ts";

const WRITES = Number(process.env.WRITES ?? 1000);
const NAMES = Number(process.env.NAMES ?? 100000);
const SECONDS = Number(process.env.SECONDS ?? 2);
const ROUNDS = Number(process.env.ROUNDS ?? 15);
const WORKERS = 4;
const UPDATES_PER_SECOND = 1000;
const HEARTBEATS = 10000;
/** 16 clients that wait 8 ms on the average ask some 1,800 times a second: at full load latency says how many requests queue. */
const CLIENTS = 16;
const THINK_MS = 8;
const INSTANCES = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"];

async function headersOf(stage: Stage, host: string, agent: Agent): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    get({ host: stage.address, port: 8080, agent, headers: { Host: host } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.headers));
    }).on("error", reject);
  });
}

async function metric(stage: Stage, series: string): Promise<number> {
  return metricOf(stage, 8082, series);
}

/** One kept connection to each worker. */
async function connectEach(stage: Stage, host: string): Promise<Agent[]> {
  const byWorker = new Map<string, Agent>();
  for (let i = 0; byWorker.size < WORKERS; i += 1) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const worker = String((await headersOf(stage, host, agent))["x-worker"]);
    if (byWorker.has(worker) || i > 1000) {
      agent.destroy();
    } else {
      byWorker.set(worker, agent);
    }
  }
  return [...byWorker.values()];
}

/** Milliseconds from the write until each worker served it; and how many were stale a second later. */
async function propagation(stage: Stage, redis: Redis): Promise<{ times: number[]; lost: number }> {
  const hosts = Array.from({ length: 50 }, (_, i) => `moved-${i}.bench.example`);
  for (const host of hosts) {
    await redis.sadd(`backends:${host}`, INSTANCES[0]!);
  }
  const agents = await connectEach(stage, hosts[0]!);
  const times: number[] = [];
  let lost = 0;
  for (let i = 0; i < WRITES; i += 1) {
    const host = hosts[i % hosts.length]!;
    const old = INSTANCES[Math.floor(i / hosts.length) % 3]!;
    const next = INSTANCES[(Math.floor(i / hosts.length) + 1) % 3]!;
    await Promise.all(agents.map(async (agent) => headersOf(stage, host, agent)));
    const began = performance.now();
    const written = redis.multi().srem(`backends:${host}`, old).sadd(`backends:${host}`, next).exec();
    const seen = agents.map(async (agent) => {
      while ((await headersOf(stage, host, agent))["x-instance"] !== next) {
        if (performance.now() - began > 1000) {
          lost += 1;
          return;
        }
      }
      times.push(performance.now() - began);
    });
    await Promise.all([written, ...seen]);
  }
  agents.forEach((agent) => agent.destroy());
  return { times, lost };
}

/** Nanoseconds of CPU of each worker so far. */
async function cpu(stage: Stage): Promise<number[]> {
  const text = await stage.exec(
    "for p in $(pgrep -P $(cat /tmp/bench/proxy.pid)); do cat /proc/$p/schedstat; done",
  );
  return text.split("\n").map((line) => Number(line.split(" ")[0]));
}

/** Percent of a core that all workers together take while something goes on. */
async function cost(stage: Stage, during: () => Promise<void>): Promise<number> {
  const [before, began] = [await cpu(stage), performance.now()];
  await during();
  const [after, ended] = [await cpu(stage), performance.now()];
  return (after.reduce((sum, ns, i) => sum + ns - before[i]!, 0) / ((ended - began) * 1e6)) * 100;
}

/** Calls so many times a second, in steps of a millisecond, until stopped: platforms write one thing after another. */
function steadily(perSecond: number, write: (i: number) => void): () => void {
  let count = 0;
  const began = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * perSecond;
    while (count < due) {
      write(count);
      count += 1;
    }
  }, 1);
  return () => clearInterval(timer);
}

async function wrk(stage: Stage): Promise<{ p99: number; rps: number }> {
  const output = await stage.exec(
    `HOSTS=${NAMES} THINK=${THINK_MS} wrk -t1 -c${CLIENTS} -d${SECONDS}s -s /tmp/bench/load.lua http://127.0.0.1:8080/`,
  );
  const { requests, seconds, bad, errors, p99 } = resultOf(output);
  if (bad > 0 || errors > 0) {
    throw new Error(`${bad} answers were not 2xx, ${errors} errors`);
  }
  return { p99, rps: requests / seconds };
}

async function freeBytes(stage: Stage): Promise<number> {
  return (
    (await metric(stage, 'switchboard_dict_free_bytes{dict="switchboard_routes"}')) +
    (await metric(stage, 'switchboard_dict_free_bytes{dict="switchboard_names"}'))
  );
}

async function startRouter(stage: Stage, preload: boolean): Promise<void> {
  await stage.spawn(
    `SWITCHBOARD_PRELOAD=${preload ? "on" : "off"} exec nginx -p /tmp/bench/ -c /tmp/bench/watch.conf -g 'daemon off; user root;' >/tmp/bench/watch.log 2>&1`,
  );
  await eventually(
    "the watch",
    async () => (await metric(stage, 'switchboard_watch{mode="tracking"}')) === 1,
  );
}

async function stopRouter(stage: Stage): Promise<void> {
  await stage.exec("kill -TERM $(cat /tmp/bench/proxy.pid)");
  await eventually("its end", async () => !(await stage.exec("ls /tmp/bench")).includes("proxy.pid"));
}

async function fill(redis: Redis): Promise<void> {
  for (let from = 0; from < NAMES; from += 1000) {
    const pipeline = redis.pipeline();
    for (let i = from; i < Math.min(from + 1000, NAMES); i += 1) {
      pipeline.sadd(`backends:app-${i}.bench.example`, ...INSTANCES);
    }
    await pipeline.exec();
  }
}

await play("the watch", async (stage) => {
  const results: Figures = {};
  await stage.exec(
    "cp /switchboard/bench/conf/load.lua /tmp/bench/ && redis-cli config set protected-mode no",
  );
  const redis = new Redis({ host: stage.address });
  const note = (name: string, value: number, digits: number): void => {
    results[name] = Number(value.toFixed(digits));
    console.log(`${name.padEnd(32)} ${value.toFixed(digits)}`);
  };

  await startRouter(stage, false);
  await pause(2000);
  const idle: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    idle.push(await cost(stage, async () => pause(6000)));
  }
  note("watch_idle_percent_of_core", quantile(idle, 0.5), 3);
  note("watch_idle_percent_of_core_min", Math.min(...idle), 3);
  note("watch_idle_percent_of_core_max", Math.max(...idle), 3);
  const { times, lost } = await propagation(stage, redis);
  note("propagation_ms_p50", quantile(times, 0.5), 2);
  note("propagation_ms_p99", quantile(times, 0.99), 2);
  note("propagation_ms_max", Math.max(...times), 2);
  note("propagation_lost", lost, 0);

  // Heart-beats, of routes that somebody asked for.
  const beats = (i: number): string => `backends:beat-${i % HEARTBEATS}.bench.example`;
  const pipeline = redis.pipeline();
  for (let i = 0; i < HEARTBEATS; i += 1) {
    pipeline.zadd(beats(i), Math.floor(Date.now() / 1000) + 30, INSTANCES[i % 3]!);
  }
  await pipeline.exec();
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  await Promise.all(
    Array.from({ length: HEARTBEATS }, async (_, i) => headersOf(stage, `beat-${i}.bench.example`, agent)),
  );
  agent.destroy();
  const changes = await metric(stage, "switchboard_watch_changes_total");
  let worst = 0;
  const percent = await cost(stage, async () => {
    const stop = steadily(HEARTBEATS / 10, (i) => {
      void redis.zadd(beats(i), Math.floor(Date.now() / 1000) + 30, INSTANCES[i % 3]!);
    });
    for (let i = 0; i < 12; i += 1) {
      await pause(1000);
      worst = Math.max(worst, await metric(stage, "switchboard_watch_lag_seconds"));
    }
    stop();
  });
  note("heartbeats_heard", (await metric(stage, "switchboard_watch_changes_total")) - changes, 0);
  note("heartbeats_1000_per_s_percent_of_core", percent, 2);
  note("heartbeats_worst_lag_ms", worst * 1000, 0);
  await stopRouter(stage);

  await redis.flushall();
  await fill(redis);
  await startRouter(stage, false);
  const empty = await freeBytes(stage);
  await stopRouter(stage);
  const began = performance.now();
  await startRouter(stage, true);
  await eventually("all routes", async () => (await metric(stage, "switchboard_routes_complete")) === 1);
  note("preload_seconds", (performance.now() - began) / 1000, 1);
  note("shared_bytes_per_host", (empty - (await freeBytes(stage))) / NAMES, 0);
  await wrk(stage);
  const without = new Set<string>();
  /** The same writes load Redis and the machine in both; only one kind of key is a route. */
  const underUpdates = async (kind: string): Promise<{ p99: number; rps: number }> => {
    const stop = steadily(UPDATES_PER_SECOND, () => {
      const key = `${kind}:app-${Math.floor(Math.random() * NAMES)}.bench.example`;
      // Every one of them is a change.
      if (without.delete(key)) {
        void redis.sadd(key, INSTANCES[2]!);
      } else {
        without.add(key);
        void redis.srem(key, INSTANCES[2]!);
      }
    });
    const sample = await wrk(stage);
    stop();
    return sample;
  };
  // What is done for the first time is compiled then.
  await underUpdates("backends");
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const idle = await underUpdates("other");
    const churn = await underUpdates("backends");
    console.log(
      `idle ${idle.rps.toFixed(0)}/s p99 ${idle.p99} us; churn ${churn.rps.toFixed(0)}/s p99 ${churn.p99} us`,
    );
    ratios.push(churn.p99 / idle.p99);
  }
  note("churn_p99_ratio", quantile(ratios, 0.5), 2);
  note("churn_p99_ratio_min", Math.min(...ratios), 2);
  note("churn_p99_ratio_max", Math.max(...ratios), 2);
  redis.disconnect();
  record("watch", stage.image, results);
});
