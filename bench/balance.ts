/**
 * `make bench`, second part: what a pick costs by each algorithm, how each copes with an odd instance, and how
 * even a real router with 16 workers spreads. Adds its figures to results.json.
 *
 *   tsx bench/balance.ts
 */

import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { play } from "./part.ts";
import { record } from "./results.ts";
import { ask, eventually, type Stage } from "./stage.ts";

/** Requests that the shares are taken over. */
const EVEN = 100_000;
const FAILING = 10_000;
/** Seconds that an instance is down and up, in turns, and how often. */
const FLAP = 10;
const FLAPS = 2;
/** A window (seconds) in which an instance must have this part of its even share, and the step from one to the next. */
const WINDOW = 0.5;
const ENOUGH = 0.9;
const STEP = 0.1;

type Table = Record<string, Record<string, unknown>>;

/** Picks and simulations, from the lines of bench/conf/pick.lua. */
async function runAlgorithms(stage: Stage): Promise<{ pick_ns: Table; simulated: Table }> {
  const output = await stage.exec("nginx -p /tmp/bench/ -c /tmp/bench/pick.conf -e stderr 2>/dev/null");
  const pick_ns: Table = {};
  const simulated: Table = {};
  for (const [kind, ...words] of output.split("\n").map((line) => line.split(" "))) {
    if (kind === "PICK") {
      const [algorithm, instances, ns] = words as [string, string, string];
      if (!(Number(ns) > 0)) {
        throw new Error(`a pick of ${algorithm} among ${instances} is said to take ${ns} ns`);
      }
      pick_ns[algorithm] = { ...pick_ns[algorithm], [instances]: Number(ns) };
    } else if (kind === "SIM") {
      const [scenario, algorithm] = words as [string, string];
      const [p50_ms, p99_ms, odd_share, max_min_of_others] = words.slice(2).map(Number);
      simulated[scenario] = {
        ...simulated[scenario],
        [algorithm]: { p50_ms, p99_ms, odd_share, max_min_of_others },
      };
    }
  }
  if (Object.keys(pick_ns).length === 0 || Object.keys(simulated).length === 0) {
    throw new Error(`bench/conf/pick.lua gave no figures: ${output}`);
  }
  return { pick_ns, simulated };
}

/** Requests of a host through the router until enough have come; how many each port got of the first so many. */
async function spread(stage: Stage, host: string, log: string, count: number): Promise<number[]> {
  // The first one may go to the instance that fails.
  await eventually(`${host} is served`, async () => ask(stage, host, new Agent()).then(() => true));
  await stage.exec(`: >/tmp/bench/${log}`);
  await eventually(`${count} requests`, async () => {
    const lines = await stage.exec(
      `wrk -t1 -c64 -d3s -H 'Host: ${host}' http://127.0.0.1:8080/ >/dev/null; wc -l </tmp/bench/${log}`,
    );
    return Number(lines) >= count;
  });
  const tally = await stage.exec(`head -n ${count} /tmp/bench/${log} | sort -n | uniq -c`);
  return tally.split("\n").map((line) => Number(line.trim().split(" ")[0]));
}

/** The share of the requests to a failing instance, of the first so many. */
async function shareOfFailing(stage: Stage, host: string): Promise<number> {
  const counts = await spread(stage, host, "failing.log", FAILING);
  return counts.length < 10 ? 0 : counts[0]! / FAILING;
}

/** Seconds from the return of the instance to the end of the first window in which it had its share. */
function recoveryFrom(lines: string[], from: number): number {
  const after = lines
    .map((line) => line.split(" "))
    .map(([at, port]) => ({ at: Number(at) - from, flapping: port === "9301" }))
    .filter(({ at }) => at >= 0);
  for (let begin = 0; begin < FLAP - WINDOW; begin += STEP) {
    const within = after.filter(({ at }) => at >= begin && at < begin + WINDOW);
    if (
      within.filter(({ flapping }) => flapping).length >= (ENOUGH * within.length) / 10 &&
      within.length > 0
    ) {
      return begin + WINDOW;
    }
  }
  return FLAP;
}

/** How long an instance that comes and goes takes to its share, at worst. */
async function measureRecovery(stage: Stage): Promise<number> {
  const start = "nginx -p /tmp/bench/ -c /tmp/bench/flapping.conf";
  await stage.exec(start);
  await ask(stage, "flapping.example", new Agent());
  // It ends when it is told to: what starting and ending the instance takes is not known.
  await stage.spawn("wrk -t1 -c64 -d1h -H 'Host: flapping.example' http://127.0.0.1:8080/");
  let worst = 0;
  for (let i = 0; i < FLAPS; i += 1) {
    await pause(FLAP * 1000);
    await stage.exec("kill -QUIT $(cat /tmp/bench/flapping.pid)");
    await pause(FLAP * 1000);
    const from = Number(await stage.exec(`: >/tmp/bench/flapping.log; date +%s.%N; ${start}`));
    await pause(FLAP * 1000);
    const lines = (await stage.exec("cat /tmp/bench/flapping.log")).split("\n");
    worst = Math.max(worst, recoveryFrom(lines, from));
  }
  await stage.exec("pkill -x wrk");
  return worst;
}

await play("balancing", async (stage) => {
  const algorithms = await runAlgorithms(stage);
  await stage.exec("nginx -p /tmp/bench/ -c /tmp/bench/pool.conf");
  await stage.exec(`for p in $(seq 9101 9150); do echo "SADD backends:even.example 127.0.0.1:$p"; done | redis-cli;
    for p in $(seq 9201 9210); do echo "SADD backends:failing.example 127.0.0.1:$p"; done | redis-cli;
    for p in $(seq 9201 9210); do echo "SADD backends:ejected.example 127.0.0.1:$p"; done | redis-cli;
    for p in $(seq 9301 9310); do echo "SADD backends:flapping.example 127.0.0.1:$p"; done | redis-cli;
    redis-cli HSET route:failing.example balance ewma;
    redis-cli HSET route:ejected.example eject 5xx`);
  await stage.exec(
    "sed 's/worker_processes 1;/worker_processes 16;/' /tmp/bench/router.conf >/tmp/bench/router16.conf",
  );
  await stage.exec("SWITCHBOARD_TTL=3600 nginx -p /tmp/bench/ -c /tmp/bench/router16.conf -g 'user root;'");
  const even = await spread(stage, "even.example", "even.log", EVEN);
  const failing_share_ewma = await shareOfFailing(stage, "failing.example");
  const failing_share = await shareOfFailing(stage, "ejected.example");
  const recovery_s = await measureRecovery(stage);
  if (even.length !== 50) {
    throw new Error(`${even.length} of 50 instances got requests`);
  }
  const figures = {
    pick_ns: algorithms.pick_ns,
    distribution_max_min: Math.max(...even) / Math.min(...even),
    failing_share,
    failing_share_ewma,
    recovery_s,
    simulated: algorithms.simulated,
  };
  console.log(JSON.stringify(figures, undefined, 2));
  record("balance", stage.image, figures);
});
