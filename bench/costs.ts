/**
 * Part of `make bench`: what a request costs through each proxy, and what makes it cost more, in interleaved rounds. Within
 * a round a load is put on one proxy after the other; each round has processes of its own.
 *
 * Environment: ROUNDS (5), SECONDS of a measurement (1), SCENARIOS (all; with some nothing is written).
 */

import { type Figure, ratioOf, show } from "./figure.ts";
import {
  ALGORITHMS,
  headersFor,
  HOST,
  OPTIONS,
  OPTIONS_PATH,
  PATH,
  PLAIN_PATH,
  register,
  registerSpecial,
  SPLIT,
  type Target,
} from "./targets.ts";
import { type Expected, keepCoreFree, type Load, measure, resultOf, type Sample } from "./load.ts";
import { play } from "./part.ts";
import { type Proxy, proxy, renewWorkers, startProxies, stopProxies } from "./proxies.ts";
import { QUICK, record } from "./results.ts";
import { Series } from "./series.ts";
import { eventually, metricOf, prepareHaproxy, type Stage } from "./stage.ts";

const ROUNDS = Number(process.env.ROUNDS ?? (QUICK ? 1 : 5));
const SECONDS = Number(process.env.SECONDS ?? 1);
const WARM = 1;
const MANY = 1000;
const MOST = 100_000;
/** Seconds that reading as many from Redis may take. */
const PRELOAD_PATIENCE = 300;
/** Of the requests, those for hosts that nobody has: one in ten. */
const MADE_UP = 10;

/** Names that the router of a load has ready at most: the default, or enough for all that there are. */
const DEFAULT_CACHE = 10_000;
const LARGE_CACHE = 4 * MOST;

export interface Scenario {
  name: string;
  title: string;
  load: Load;
  proxies: string[];
  expected?: Expected;
  /** A kind of route: its router has a process of its own, whose traces are of this load alone. */
  target?: Target;
  /** What its router is held against, where that is not bare nginx under the same load. */
  over?: string;
  /** Measured for so many times as long. */
  times?: number;
}

/** Scenarios of the quick look: those that need no more than the thousand hosts and a minute. */
const QUICK_ONES = ["hosts_1", `hosts_${MANY}`, "body_1k", "plain_path", "options_path"];

const EVERYBODY = ["bare", "empty", "router", "naive", "haproxy"];
const THREE = ["bare", "router", "haproxy"];

function hosts(count: number, proxies: string[], times = 1): Scenario {
  const title = count === 1 ? "one host" : `${count.toLocaleString("en")} hosts in turn`;
  return { name: `hosts_${count}`, title, load: { HOSTS: String(count) }, proxies, times };
}

function route(name: string, title: string, target: Target, over?: string): Scenario {
  return { name, title, load: { HOST: target.host, ROUTE: target.path }, proxies: ["router"], target, over };
}

/** A router that has read all hosts, with this many names ready in the worker. */
const KNOWING = "router_knowing";
const LARGE = "router_large";

export const SCENARIOS: Scenario[] = [
  hosts(1, EVERYBODY, 2),
  hosts(100, THREE),
  hosts(MANY, EVERYBODY, 2),
  hosts(10_000, ["bare", KNOWING, LARGE]),
  hosts(MOST, ["bare", KNOWING, LARGE, "naive"]),
  {
    name: "zipf",
    title: "100,000 hosts, drawn by Zipf's law",
    load: { HOSTS: String(MOST), ZIPF: "1" },
    proxies: ["bare", KNOWING, LARGE],
  },
  {
    name: "made_up",
    title: "1,000 hosts in turn; one request in ten for a host that nobody has",
    load: { HOSTS: String(MANY), MADE_UP: String(MADE_UP) },
    proxies: ["bare", "router", "naive"],
    expected: { refused: 1 / MADE_UP },
  },
  { name: "body_1k", title: "answers of 1 kB", load: { ROUTE: "/bodies/1k" }, proxies: THREE },
  { name: "body_100k", title: "answers of 100 kB", load: { ROUTE: "/bodies/100k" }, proxies: THREE },
  { name: "upload_100k", title: "uploads of 100 kB", load: { BODY: "102400" }, proxies: THREE },
  {
    name: "new_connections",
    title: "each request on a new connection",
    load: { HEADERS: "Connection: close" },
    proxies: THREE,
    expected: { newConnections: true },
  },
  route("plain_path", "a plain host, asked for a path", PLAIN_PATH),
  route("path", "one of a thousand path routes of a host", PATH, "plain_path"),
  route("options", "a host with options", OPTIONS, "plain_path"),
  route("options_path", "one of a thousand path routes with options", OPTIONS_PATH, "plain_path"),
  route("split", "a host that is split over two pools", SPLIT, "plain_path"),
  ...ALGORITHMS.map(({ name, title, target }) =>
    route(name, title, target, name === "round_robin" ? undefined : "round_robin"),
  ),
];

const WANTED = process.env.SCENARIOS?.split(",");
const CHOSEN = SCENARIOS.filter(
  ({ name }) => WANTED?.includes(name) ?? (!QUICK || QUICK_ONES.includes(name)),
);
/** Hosts that have keys in Redis: all that are asked for, and all of HAProxy's map. */
const REGISTERED = Math.max(MANY, ...CHOSEN.map(({ load }) => Number(load.HOSTS ?? 1)));

/** Where in results.json, and in the series of a run, the figures of a proxy are. */
function keyOf(scenario: string, name: string): string {
  return `${scenario} ${name}`;
}

/** The processes that a scenario's proxies are, by their names. */
function idOf(scenario: Scenario, name: string): string {
  return scenario.target !== undefined ? `router_${scenario.name}` : name;
}

interface Cast {
  /** Started anew in each round. */
  fresh: Proxy[];
  /** They have read all hosts, which takes long: they run on, and get new workers. */
  knowing: Proxy[];
  byId: Map<string, Proxy>;
}

function castOf(scenarios: Scenario[]): Cast {
  const ids = [...new Set(scenarios.flatMap((each) => each.proxies.map((name) => idOf(each, name))))];
  const all = ids.map((id, place) => {
    if (id === KNOWING || id === LARGE) {
      const names = id === LARGE ? LARGE_CACHE : DEFAULT_CACHE;
      return proxy(id, "router", place, `SWITCHBOARD_PRELOAD=on SWITCHBOARD_WORKER_CACHE=${names}`);
    }
    return proxy(id, id.startsWith("router") ? "router" : id, place);
  });
  const isKnowing = ({ id }: Proxy): boolean => id === KNOWING || id === LARGE;
  return {
    fresh: all.filter((each) => !isKnowing(each)),
    knowing: all.filter(isKnowing),
    byId: new Map(all.map((each) => [each.id, each])),
  };
}

async function startKnowing(stage: Stage, knowing: Proxy[]): Promise<void> {
  await startProxies(stage, knowing, HOST);
  for (const each of knowing) {
    await eventually(
      `all routes in ${each.id}`,
      async () => (await metricOf(stage, each.port + 1, "switchboard_routes_complete")) === 1,
      PRELOAD_PATIENCE,
    );
  }
}

/** Asks for each host once, so that the worker has all of them ready. */
async function walkThrough(stage: Stage, { id, port }: Proxy): Promise<void> {
  let next = 0;
  while (next < MOST) {
    const output = await stage.exec(
      `START=${next} HOSTS=${MOST} wrk -t1 -c16 -d2s -s /tmp/bench/load.lua http://127.0.0.1:${port}/`,
    );
    const { requests } = resultOf(output);
    if (requests === 0) {
      throw new Error(`${id} answered nothing while it was asked for all hosts`);
    }
    next += requests;
  }
}

/** One load on one proxy. */
async function perform(stage: Stage, cast: Cast, scenario: Scenario, name: string): Promise<Sample> {
  const which = cast.byId.get(idOf(scenario, name))!;
  const headers =
    scenario.target !== undefined ? await headersFor(stage, which.port, scenario.target) : undefined;
  const lines = Object.entries(headers ?? {}).map(([header, value]) => `${header}: ${value}`);
  const load = lines.length > 0 ? { ...scenario.load, HEADERS: lines.join("\n") } : scenario.load;
  // Who has but one site has an answer for every host.
  const expected = name === "bare" ? { ...scenario.expected, refused: 0 } : (scenario.expected ?? {});
  return measure(stage, which, load, expected, WARM, SECONDS * (scenario.times ?? 1));
}

async function playRound(stage: Stage, cast: Cast, series: Series<Sample>, round: string): Promise<void> {
  await startProxies(stage, cast.fresh, HOST);
  for (const each of cast.knowing) {
    await renewWorkers(stage, each);
    if (each.id === LARGE) {
      await walkThrough(stage, each);
    }
  }
  for (const scenario of CHOSEN) {
    for (const name of scenario.proxies) {
      const sample = await series.add(keyOf(scenario.name, name), async () =>
        perform(stage, cast, scenario, name),
      );
      if (sample !== undefined) {
        console.log(
          `${round}  ${scenario.name.padEnd(16)}${name.padEnd(15)}${sample.rps.toFixed(0).padStart(7)} requests/s ${sample.cpu.toFixed(1).padStart(6)} us CPU`,
        );
      }
    }
  }
  await stopProxies(stage, cast.fresh);
}

const rps = (sample: Sample): number => sample.rps;
const cpu = (sample: Sample): number => sample.cpu;

/** Round by round, one proxy over another under the same load, or one load over another. */
function over(series: Series<Sample>, one: string, other: string, what = cpu): Figure | undefined {
  const [ones, others] = [series.of(one, what), series.of(other, what)];
  return ones === undefined || others === undefined ? undefined : ratioOf(ones, others);
}

function figuresOf(series: Series<Sample>, scenario: Scenario): Record<string, unknown> {
  return Object.fromEntries(
    scenario.proxies.map((name): [string, object] => {
      const key = keyOf(scenario.name, name);
      const refused = series.refusal(key);
      if (refused !== undefined) {
        return [name, { refused }];
      }
      const against = scenario.target === undefined ? keyOf(scenario.name, "bare") : undefined;
      return [
        name,
        {
          rps: series.figure(key, rps),
          cpu_us: series.figure(key, cpu),
          p99_us: series.figure(key, ({ p99 }) => p99),
          busy: series.figure(key, ({ busy }) => busy)?.median,
          over_bare: against === undefined || name === "bare" ? undefined : over(series, key, against),
          over_plain:
            scenario.over === undefined ? undefined : over(series, key, keyOf(scenario.over, "router")),
        },
      ];
    }),
  );
}

function report(series: Series<Sample>): void {
  console.log(`\n${"".padEnd(32)}requests/s               us CPU a request         over bare`);
  for (const scenario of CHOSEN) {
    for (const name of scenario.proxies) {
      const key = keyOf(scenario.name, name);
      const ratio = over(series, key, keyOf(scenario.name, "bare"));
      const line =
        series.refusal(key) !== undefined
          ? `none: ${series.refusal(key)}`
          : `${show(series.figure(key, rps)!, 0).padEnd(25)}${show(series.figure(key, cpu)!, 1).padEnd(25)}${ratio === undefined ? "" : show(ratio, 2)}`;
      console.log(`${scenario.name.padEnd(17)}${name.padEnd(15)}${line}`);
    }
  }
}

await play("what requests cost", async (stage) => {
  await keepCoreFree(stage);
  await register(stage, REGISTERED);
  await registerSpecial(stage);
  await prepareHaproxy(stage, MANY);
  const cast = castOf(CHOSEN);
  await startKnowing(stage, cast.knowing);
  const series = new Series<Sample>();
  for (let round = 1; round <= ROUNDS; round += 1) {
    await playRound(stage, cast, series, `round ${round}/${ROUNDS}`);
  }
  report(series);
  if (series.refused > 0) {
    process.exitCode = 1;
  }
  if (WANTED !== undefined) {
    return;
  }
  const ratio = (one: string, other: string, scenario = `hosts_${MANY}`, what = cpu): Figure | undefined =>
    over(series, keyOf(scenario, one), keyOf(scenario, other), what);
  record("costs", stage.image, {
    rounds: ROUNDS,
    seconds: SECONDS,
    rps_ratio: ratio("router", "bare", undefined, rps)?.median,
    cpu_ratio: ratio("router", "bare")?.median,
    cpu_ratio_spread: ratio("router", "bare"),
    cpu_ratio_one_host: ratio("router", "bare", "hosts_1"),
    cpu_ratio_empty: ratio("empty", "bare")?.median,
    cpu_ratio_naive: ratio("router", "naive")?.median,
    cpu_ratio_haproxy: ratio("router", "haproxy")?.median,
    costs: Object.fromEntries(CHOSEN.map((scenario) => [scenario.name, figuresOf(series, scenario)])),
  });
});
