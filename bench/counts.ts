/**
 * Part of `make bench`: what is counted instead of timed, and so the same on a busy machine: instructions of a request by
 * conf and by kind of route, and cache lines that it misses with one host and with a thousand.
 *
 * Environment: REQUESTS for callgrind, COUNTS (3) of which the median is taken.
 */

import { quantile } from "./figure.ts";
import { instructionsOf, type Misses, missesOf } from "./instructions.ts";
import { play } from "./part.ts";
import { QUICK, record } from "./results.ts";
import { openStage, type Stage } from "./stage.ts";
import {
  ALGORITHMS,
  OPTIONS,
  OPTIONS_PATH,
  PATH,
  PLAIN,
  PLAIN_PATH,
  register,
  registerSpecial,
  SPLIT,
  type Target,
} from "./targets.ts";

const COUNTS = Number(process.env.COUNTS ?? (QUICK ? 1 : 3));
const MANY = 1000;

interface Job {
  name: string;
  conf: string;
  target: Target;
}

function ofRouter(name: string, target: Target): Job {
  return { name, conf: "router", target };
}

const JOBS: Job[] = [
  ...["bare", "router", "naked", "empty", "unobserved", "two_lines"].map((conf) => ({
    name: conf,
    conf,
    target: PLAIN,
  })),
  ofRouter("plain_path", PLAIN_PATH),
  ofRouter("path_of_a_thousand", PATH),
  ofRouter("options", OPTIONS),
  ofRouter("options_and_path", OPTIONS_PATH),
  ofRouter("split", SPLIT),
  ...ALGORITHMS.map(({ name, target }) => ofRouter(name, target)),
];
/** For a look. */
const QUICK_JOBS = ["bare", "router", "plain_path", "options_and_path"];

async function prepare(stage: Stage): Promise<void> {
  await register(stage, MANY);
  await registerSpecial(stage);
}

/** Counts are the same beside others: two at a time take half as long. */
async function count(stage: Stage, jobs: Job[], counts: Map<string, number[]>): Promise<void> {
  let job = jobs.shift();
  while (job !== undefined) {
    const instructions = await instructionsOf(stage, job.conf, job.target);
    counts.set(job.name, [...(counts.get(job.name) ?? []), instructions]);
    console.log(`${job.name.padEnd(20)}${String(instructions).padStart(7)} instructions a request`);
    job = jobs.shift();
  }
}

/** Both confs with one host and with a thousand, each stage one after the other. */
async function countMisses(stage: Stage, other: Stage): Promise<Record<string, Misses>> {
  const of = async (where: Stage, conf: string, label: string): Promise<Record<string, Misses>> => {
    const found: Record<string, Misses> = {};
    for (const hosts of [1, MANY]) {
      const misses = await missesOf(where, conf, hosts);
      found[`${label} ${hosts}`] = misses;
      console.log(
        `${label}, ${hosts} hosts: ${misses.l1.toFixed(0)} lines not in L1, ${misses.l2.toFixed(1)} not in L2`,
      );
    }
    return found;
  };
  const [ours, bare] = await Promise.all([of(stage, "slow_clock", "router"), of(other, "bare", "bare")]);
  return { ...bare, ...ours };
}

await play("instructions", async (stage) => {
  const other = await openStage();
  try {
    await Promise.all([prepare(stage), prepare(other)]);
    const chosen = QUICK ? JOBS.filter(({ name }) => QUICK_JOBS.includes(name)) : JOBS;
    const jobs = Array.from({ length: COUNTS }, () => chosen).flat();
    const counts = new Map<string, number[]>();
    await Promise.all([count(stage, jobs, counts), count(other, jobs, counts)]);
    // The middle ones: LuaJIT lays its traces out differently now and then.
    const instructions = Object.fromEntries([...counts].map(([name, all]) => [name, quantile(all, 0.5)]));
    const over = (one: string, base: string): number | undefined =>
      instructions[one] === undefined || instructions[base] === undefined
        ? undefined
        : instructions[one] - instructions[base];
    const overPlain = over("options_and_path", "plain_path");
    const figures = {
      instructions,
      instructions_over_bare: over("router", "bare"),
      instructions_over_bare_two_lines: over("two_lines", "bare"),
      instructions_observed: over("router", "unobserved"),
      instructions_path_over_plain: over("path_of_a_thousand", "plain_path"),
      instructions_options_over_plain: over("options", "plain_path"),
      instructions_options_and_path_over_plain: overPlain,
      instructions_split_over_plain: over("split", "plain_path"),
      instructions_over_round_robin: QUICK
        ? undefined
        : Object.fromEntries(ALGORITHMS.slice(1).map(({ name }) => [name, over(name, "round_robin")])),
    };
    console.log(JSON.stringify(figures, undefined, 2));
    const misses = QUICK ? undefined : await countMisses(stage, other);
    record("counts", stage.image, { ...figures, cache_misses: misses });
  } finally {
    await other.close();
  }
});
