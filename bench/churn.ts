/**
 * Part of `make bench`: what 1,000 changes a second do to the requests beside them, with 100,000 names in Redis, all of them
 * preloaded, and four workers.
 *
 * Compared are, round by round: as many writes to keys that are no routes, so that Redis and who writes have the same to do;
 * writes to routes; and the former beside a rival, a process that does nothing but take a tenth of a core, 100 us at a time.
 * What the rival does to the requests any 100 us of work a change would do on this machine.
 *
 * Environment: NAMES (100000), SECONDS of a measurement (3), ROUNDS (15).
 */

import type { Redis } from "ioredis";
import { quantile, ratioOf } from "./figure.ts";
import { cpu, INSTANCES, metric, noteIn, startRouter, steadily, stopRouter } from "./four_workers.ts";
import { resultOf } from "./load.ts";
import { play } from "./part.ts";
import { type Figures, record } from "./results.ts";
import { eventually, openRedis, type Stage } from "./stage.ts";

const NAMES = Number(process.env.NAMES ?? 100000);
const SECONDS = Number(process.env.SECONDS ?? 3);
const ROUNDS = Number(process.env.ROUNDS ?? 15);
const UPDATES_PER_SECOND = 1000;
/** Seconds of changes before anything is measured: LuaJIT goes on compiling for that long. */
const WARM = 30;
/** 16 clients that wait 8 ms on the average ask some 1,800 times a second: at full load latency says how many requests queue. */
const CLIENTS = 16;
const THINK_MS = 8;
/** What goes on beside the requests. */
const KINDS = ["idle", "churn", "rival"] as const;
type Kind = (typeof KINDS)[number];

interface Sample {
  /** Microseconds. */
  p99: number;
  rps: number;
  /** Microseconds of CPU of all workers. */
  cpu: number;
  /** That the watch heard of. */
  changes: number;
}

async function wrk(stage: Stage, seconds: number): Promise<{ p99: number; rps: number }> {
  const output = await stage.exec(
    `HOSTS=${NAMES} THINK=${THINK_MS} wrk -t1 -c${CLIENTS} -d${seconds}s -s /tmp/bench/load.lua http://127.0.0.1:8080/`,
  );
  const { requests, seconds: took, bad, errors, p99 } = resultOf(output);
  if (bad > 0 || errors > 0) {
    throw new Error(`${bad} answers were not 2xx, ${errors} errors`);
  }
  return { p99, rps: requests / took };
}

async function freeBytes(stage: Stage): Promise<number> {
  return (
    (await metric(stage, 'switchboard_dict_free_bytes{dict="switchboard_routes"}')) +
    (await metric(stage, 'switchboard_dict_free_bytes{dict="switchboard_names"}'))
  );
}

async function fill(redis: Redis): Promise<void> {
  for (let from = 0; from < NAMES; from += 1000) {
    const pipeline = redis.pipeline();
    for (let i = from; i < Math.min(from + 1000, NAMES); i += 1) {
      pipeline.sadd(`backends:app-${i}.bench.example`, ...INSTANCES);
      pipeline.sadd(`other:app-${i}.bench.example`, ...INSTANCES);
    }
    await pipeline.exec();
  }
}

/** Keys that have an instance less than at first, by what they begin with. */
const without = { backends: new Set<string>(), other: new Set<string>() };

/** Each write changes its key. @returns what ends them */
function startWrites(redis: Redis, kind: keyof typeof without): () => void {
  return steadily(UPDATES_PER_SECOND, () => {
    const key = `${kind}:app-${Math.floor(Math.random() * NAMES)}.bench.example`;
    if (without[kind].delete(key)) {
      void redis.sadd(key, INSTANCES[2]!);
    } else {
      without[kind].add(key);
      void redis.srem(key, INSTANCES[2]!);
    }
  });
}

async function measure(stage: Stage, redis: Redis, kind: Kind, seconds: number): Promise<Sample> {
  const changes = await metric(stage, "switchboard_watch_changes_total");
  const before = await cpu(stage);
  const stop = startWrites(redis, kind === "churn" ? "backends" : "other");
  const rival =
    kind === "rival" ? stage.exec(`luajit /switchboard/bench/conf/rival.lua ${seconds}`) : undefined;
  try {
    const { p99, rps } = await wrk(stage, seconds);
    const after = await cpu(stage);
    return {
      p99,
      rps,
      cpu: after.reduce((sum, ns, i) => sum + ns - before[i]!, 0) / 1000,
      changes: (await metric(stage, "switchboard_watch_changes_total")) - changes,
    };
  } finally {
    stop();
    await rival;
  }
}

type Found = Record<Kind, Sample[]>;

async function compare(stage: Stage, redis: Redis): Promise<Found> {
  const found: Found = { idle: [], churn: [], rival: [] };
  for (let round = 1; round <= ROUNDS; round += 1) {
    const said: string[] = [];
    for (const kind of KINDS) {
      const sample = await measure(stage, redis, kind, SECONDS);
      found[kind].push(sample);
      said.push(`${kind} ${sample.rps.toFixed(0)}/s p99 ${sample.p99} us`);
    }
    console.log(`round ${round}/${ROUNDS}  ${said.join("; ")}`);
  }
  return found;
}

/** Microseconds of CPU, in all workers together, that a change takes: what a request costs is the same in both. */
function costOfChange({ idle, churn }: Found): number[] {
  return churn.map((sample, i) => {
    const request = idle[i]!.cpu / idle[i]!.rps;
    return (sample.cpu - request * sample.rps) / sample.changes;
  });
}

await play("changes", async (stage) => {
  const results: Figures = {};
  const note = noteIn(results);
  const redis = await openRedis(stage);
  await fill(redis);
  await startRouter(stage, false);
  const empty = await freeBytes(stage);
  await stopRouter(stage);
  const began = performance.now();
  await startRouter(stage, true);
  await eventually("all routes", async () => (await metric(stage, "switchboard_routes_complete")) === 1);
  note("preload_seconds", (performance.now() - began) / 1000, 1);
  note("shared_bytes_per_host", (empty - (await freeBytes(stage))) / NAMES, 0);
  await measure(stage, redis, "churn", WARM);
  const found = await compare(stage, redis);
  const p99s = (kind: Kind): number[] => found[kind].map(({ p99 }) => p99);
  for (const [kind, key] of [
    ["churn", "churn_p99_ratio"],
    ["rival", "churn_rival_p99_ratio"],
  ] as const) {
    const ratio = ratioOf(p99s(kind), p99s("idle"));
    note(key, ratio.median, 2);
    note(`${key}_min`, ratio.min, 2);
    note(`${key}_max`, ratio.max, 2);
  }
  note("churn_idle_p99_us", quantile(p99s("idle"), 0.5), 0);
  note("churn_us_of_cpu_per_change", quantile(costOfChange(found), 0.5), 0);
  redis.disconnect();
  record("churn", stage.image, results);
});
