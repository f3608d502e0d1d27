/**
 * `npx tsx bench/watch.ts`, part of `make bench`: how soon a change in Redis is served by every worker, and
 * what the watch costs.
 *
 * Environment: WRITES (1000).
 */

import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { Redis } from "ioredis";
import { quantile } from "./figure.ts";
import {
  cost,
  INSTANCES,
  metric,
  noteIn,
  startRouter,
  steadily,
  stopRouter,
  WORKERS,
} from "./four_workers.ts";
import { play } from "./part.ts";
import { type Figures, record } from "./results.ts";
import { openRedis, type Stage } from "./stage.ts";

const WRITES = Number(process.env.WRITES ?? 1000);
const HEARTBEATS = 10000;

async function headersOf(stage: Stage, host: string, agent: Agent): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    get({ host: stage.address, port: 8080, agent, headers: { Host: host } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.headers));
    }).on("error", reject);
  });
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

await play("the watch", async (stage) => {
  const results: Figures = {};
  const redis = await openRedis(stage);
  const note = noteIn(results);

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

  redis.disconnect();
  record("watch", stage.image, results);
});
