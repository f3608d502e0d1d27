/**
 * `make soak`: a Redis, two routers and many apps, a constant load, and everything that goes wrong in a month, for ten
 * minutes. It ends with the first failure, says what it was and when, and keeps the logs; or it writes its report to
 * soak.md and soak.json.
 *
 * Environment: MINUTES (10), UPDATES and REQUESTS a second (1000, 400), NAMES (20000), LOGS (soak-logs).
 */

import { strict as assert } from "node:assert";
import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually } from "../integration/support/eventually.ts";
import { ask } from "../integration/support/http-client.ts";
import { assertCalm } from "../integration/support/router.ts";
import { checkNames, checkQuiet, type Heap, heaps } from "./soak/check.ts";
import { beatLast, fill, startChurn, type Churn } from "./soak/churn.ts";
import { clock, openJournal } from "./soak/journal.ts";
import { askName, newLoad, quantile, runClients, type Client, type Load } from "./soak/load.ts";
import { allSeries, growthOf, look, type Sample, type Series } from "./soak/memory.ts";

import { report, type Findings } from "./soak/report.ts";
import { askSite, makeSites, type Site, type Sites } from "./soak/sites.ts";
import { holdSockets } from "./soak/sockets.ts";
import { startTroubles } from "./soak/troubles.ts";
import { openWorld, type Tried, type World } from "./soak/world.ts";

const MINUTES = Number(process.env.MINUTES ?? 10);
const UPDATES = Number(process.env.UPDATES ?? 1000);
const REQUESTS = Number(process.env.REQUESTS ?? 400);
const NAMES = Number(process.env.NAMES ?? 20_000);
const LOGS = process.env.LOGS ?? fileURLToPath(new URL("../soak-logs", import.meta.url));

/**
 * Seconds until caches and dicts are as full as they will be, and what is run now and then is compiled; nothing is said of
 * memory before.
 */
const WARM_UP = Math.min(300, MINUTES * 60 * 0.5);
/** Minutes; in less nothing is as full as it will be. */
const LONG_ENOUGH = 5;
const SAMPLE_EVERY = 5;
const SAY_EVERY = 10;
/** Milliseconds that a PING takes on a machine that can do no more. */
const SLOW = 250;
/** Share of its rates that a soak must have kept up: on a starved machine it tells nothing. */
const KEPT_UP = 0.9;
/** Seconds of quiet before it is looked whether everybody knows everything. */
const QUIET = 20;

/** What clients do, their share of the requests, and how many do it. */
function startClients(world: World, sites: Sites, load: Load): Promise<unknown> {
  const one = <T>(list: T[]): T => list[Math.floor(Math.random() * list.length)]!;
  const askOne = async (client: Client, list: Site[], method = "GET", path = "/"): Promise<void> =>
    askSite(client, one(list), method, path);
  const kinds: [number, number, (client: Client) => Promise<void>][] = [
    [0.5, 6, async (client) => askName(world, client, load, one(world.names))],
    [0.05, 2, async (client) => askName(world, client, load, one([...world.passing, world.names[0]!]))],
    [0.15, 2, async (client) => askOne(client, sites.steady)],
    [0.05, 2, async (client) => askOne(client, sites.steady, "POST", "/api/x")],
    [0.1, 12, async (client) => askOne(client, sites.failing)],
    [0.15, 4, async (client) => askOne(client, sites.fleet)],
  ];
  const perRouter = REQUESTS / world.tried.length;
  return Promise.all(
    world.tried.flatMap((tried) =>
      kinds.map(([share, clients, once]) => runClients(world, tried, load, clients, perRouter * share, once)),
    ),
  );
}

/** What nobody has asked for is not kept, and not known while Redis is away. */
async function askForAll(world: World): Promise<void> {
  for (const tried of world.tried) {
    let next = 0;
    const client = async (): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (next < world.names.length && world.journal.failures.length === 0) {
        const { host } = world.names[next]!;
        next += 1;
        await eventually(`${host} is known to ${tried.name}`, async () => {
          assert.equal((await ask(tried.port, { host, agent })).status, 200);
        });
      }
      agent.destroy();
    };
    await Promise.all(Array.from({ length: 8 }, client));
  }
}

/** Takes over what a router has logged since, and sees to it that none of it tells of an error of ours. */
function readLog(world: World, logs: Map<Tried, number>, tried: Tried): void {
  const from = logs.get(tried) ?? 0;
  const lines = tried.router.log().slice(from);
  logs.set(tried, from + lines.length);
  world.journal.keep(`${tried.name}.log`, lines);
  for (const line of lines) {
    try {
      assertCalm([line]);
      assert.ok(!line.includes("event=bug"), line);
    } catch {
      world.journal.fail(`${tried.name} logs: ${line}`);
    }
  }
}

/** How often the routers said what. */
function eventsOf(world: World): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of world.tried.flatMap((tried) => tried.router.log())) {
    const event = /\[switchboard\] event=(\w+)/.exec(line)?.[1];
    if (event !== undefined) {
      counts[event] = (counts[event] ?? 0) + 1;
    }
  }
  return counts;
}

interface Seen {
  /** How much of its log was read, by router. */
  logs: Map<Tried, number>;
  samples: Map<Tried, Sample[]>;
  load: Load;
  churn: Churn;
}

function say(
  world: World,
  { samples, load, churn }: Seen,
  before: { requests: number; written: number },
): void {
  const sizes = (samples.get(world.old)?.at(-1)?.processes ?? [])
    .filter(({ role }) => role === "worker")
    .map(({ own }) => (own / 1024).toFixed(1));
  const rate = (now: number, then: number): string => ((now - then) / SAY_EVERY).toFixed(0);
  console.log(
    [
      `${clock(world.journal.seconds())}/${clock(MINUTES * 60)}`,
      `${rate(load.requests, before.requests)} requests/s, p99 ${quantile(load, 0.99)} ms`,
      `${rate(churn.written, before.written)} updates/s`,
      `workers ${sizes.join(" ")} MB`,
      `lag ${world.tried.map((tried) => samples.get(tried)?.at(-1)?.lag.toFixed(2)).join(" ")} s`,
      `late ${load.late}`,
    ].join("  "),
  );
}

/** How long Redis takes to answer, and this process to hear it: what is slow then is the machine. */
async function feelPulse(world: World): Promise<void> {
  while (world.running) {
    const began = performance.now();
    await world.redis.client.ping();
    const took = performance.now() - began;
    if (took > SLOW && world.storeIsWell) {
      world.journal.note(`the machine is slow: an answer of Redis took ${took.toFixed(0)} ms`);
    }
    await pause(100);
  }
}

/** Looks on until the time is over, or something has failed. */
async function lookOn(world: World, seen: Seen): Promise<Map<string, Heap>> {
  const { journal } = world;
  let warm = new Map<string, Heap>();
  let [sampled, said] = [0, 0];
  let before = { requests: 0, written: 0 };
  while (journal.seconds() < MINUTES * 60 && journal.failures.length === 0) {
    await pause(500);
    for (const tried of world.tried) {
      readLog(world, seen.logs, tried);
    }
    const now = journal.seconds();
    if (warm.size === 0 && now > WARM_UP) {
      warm = await heaps(world.old);
    }
    if (now - sampled >= SAMPLE_EVERY) {
      sampled = now;
      for (const tried of world.tried) {
        seen.samples.get(tried)!.push(await look(world, tried));
      }
    }
    if (now - said >= SAY_EVERY) {
      said = now;
      say(world, seen, before);
      before = { requests: seen.load.requests, written: seen.churn.written };
    }
  }
  return warm;
}

/** What can be said of the whole only at its end. */
function judge(world: World, seen: Seen, seconds: number, updates: number): Series[] {
  const { journal } = world;
  const series = world.tried.flatMap((tried) =>
    allSeries(
      tried,
      seen.samples.get(tried)!.filter(({ at }) => at > WARM_UP),
    ),
  );
  for (const each of series) {
    const grown = growthOf(each);
    if (grown !== undefined && MINUTES >= LONG_ENOUGH) {
      journal.fail(grown);
    }
  }
  for (const [what, done, rate] of [
    ["requests", seen.load.requests, REQUESTS],
    ["updates", updates, UPDATES],
  ] as const) {
    if (done < rate * seconds * KEPT_UP) {
      journal.fail(
        `the machine is starved: ${(done / seconds).toFixed(0)} ${what} a second instead of ${rate}: this tells nothing`,
      );
    }
  }
  return series;
}

async function soak(world: World): Promise<Findings | undefined> {
  const { journal } = world;
  let findings: Findings | undefined;
  console.log(`${NAMES} names, two routers; logs are in ${LOGS}`);
  await fill(world);
  const sites = await makeSites(world);
  // From now on: heart-beats go on.
  const churn = startChurn(world, UPDATES);
  await askForAll(world);
  churn.written = 0;
  const seen: Seen = {
    logs: new Map(),
    samples: new Map(world.tried.map((tried) => [tried, []])),
    load: newLoad(),
    churn,
  };
  journal.begin();
  const sockets = await holdSockets(world);
  const clients = startClients(world, sites, seen.load);
  const { troubles, ended } = startTroubles(world, sites, MINUTES * 60 - QUIET);
  const pulse = feelPulse(world);
  const warm = await lookOn(world, seen);
  const seconds = journal.seconds();
  const updates = churn.written;
  world.running = false;
  await Promise.all([clients, ended, sockets.ended, pulse]);
  if (journal.failures.length === 0) {
    console.log("quiet; comparing what each worker says of each name with Redis");
    const memory = judge(world, seen, seconds, updates);
    await beatLast(world, churn);
    await pause(Math.max(2000, world.trusted - performance.now()));
    const compared = await checkNames(world);
    await checkQuiet(world);
    const last = await heaps(world.old);
    // Where a process has grown: did what lives in its Lua, or what surrounds it?
    for (const [worker, was] of warm) {
      const is = last.get(worker);
      journal.note(
        `Lua of worker ${worker} after a full collection: ${was.kilobytes} kB and ${was.traces} traces, then ${is?.kilobytes} kB and ${is?.traces}`,
      );
    }
    findings = {
      minutes: seconds / 60,
      names: NAMES,
      requests: seen.load.requests,
      requests_per_second: seen.load.requests / seconds,
      milliseconds_p50: quantile(seen.load, 0.5),
      milliseconds_p99: quantile(seen.load, 0.99),
      milliseconds_p999: quantile(seen.load, 0.999),
      updates,
      updates_per_second: updates / seconds,
      late: seen.load.late,
      passed_names: churn.passed,
      websocket_words: sockets.answered,
      websockets_opened: sockets.opened,
      compared,
      troubles: { ...troubles },
      events: eventsOf(world),
      warm_up: WARM_UP,
      memory,
      heaps: [...warm].map(([worker, first]) => ({ worker, first, last: last.get(worker)! })),
    };
  }
  for (const tried of world.tried) {
    readLog(world, seen.logs, tried);
  }
  await sites.close();
  await sockets.close();
  return findings;
}

async function main(): Promise<void> {
  const journal = openJournal(LOGS);
  const world = await openWorld(journal, NAMES);
  let findings: Findings | undefined;
  try {
    findings = await soak(world);
  } finally {
    await world.close();
  }
  const [first] = journal.failures;
  if (first !== undefined) {
    throw new Error(`at ${clock(first.at)} (${first.time}): ${first.what}\nall logs are in ${LOGS}`);
  }
  report(findings!);
  console.log("no failure; written to bench/soak.md and bench/soak.json");
}

try {
  await main();
} catch (failure) {
  console.error(`make soak: ${(failure as Error).message}`);
  process.exitCode = 1;
}
