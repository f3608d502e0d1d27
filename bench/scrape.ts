/**
 * Part of `make bench`: what scrapes of `/metrics` and looks at the dashboard do to the requests beside them, with 10,000
 * routes that all have requests; and what a million made-up hosts leave behind. One worker does it all.
 *
 * Who reads takes time from the clients of these requests, on their core. So each reader has a rival, who reads as much of
 * an app, past the router: what the rival does to the requests is none of the router's doing.
 *
 * Environment: ROUNDS (5), SECONDS of a measurement (3), MADE_UP hosts (1000000).
 */

import { figureOf, ratioOf, type Figure } from "./figure.ts";
import { CONNECTIONS, keepCoreFree, type Load, measure, resultOf, type Sample } from "./load.ts";
import { play } from "./part.ts";
import { proxy, startProxies, stopProxies, workerOf } from "./proxies.ts";
import { record } from "./results.ts";
import { Series } from "./series.ts";
import { eventually, metricOf, type Stage } from "./stage.ts";
import { HOST, register } from "./targets.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SECONDS = Number(process.env.SECONDS ?? 3);
const MADE_UP = Number(process.env.MADE_UP ?? 1_000_000);
const ROUTES = 10_000;
/** Seconds before each measurement. */
const WARM = 1;
interface Pace {
  load: Load;
  /** It leaves the worker time to spare. */
  paced: boolean;
}

/** Each route in turn, as fast as the worker can: it has no time to spare for pages. */
const FULL: Pace = { load: { HOSTS: String(ROUTES) }, paced: false };

/** About half of that: each client waits as long as half as many requests of all take. */
function half(rps: number): Pace {
  const think = Math.round((CONNECTIONS / (rps / 2)) * 1000);
  return { load: { HOSTS: String(ROUTES), THINK: String(Math.max(1, think)) }, paced: true };
}

/** Seconds of a piece of the flood. */
const WAVE = 5;
/** Rows that a dashboard has in sight. */
const IN_SIGHT = 30;
const ROUTER = proxy("router", "scrape", 0);
const ADMIN = "127.0.0.1:8081";
const APP = "127.0.0.1:9001";
/** A page of metrics as it was at first; of an app. */
const COPY = "/bodies/metrics";

interface Reader {
  says: string;
  server: string;
  /** Asked for one after the other, on one connection. */
  paths: string[];
  /** Milliseconds between two turns. */
  pause: number;
}

const SIGHT = Array.from({ length: IN_SIGHT }, (_, i) => `name=app-${i}.bench.example`).join("&");
const DASHBOARD = ["/status", "/readyz", "/events?after=0&limit=100", `/routes?instances=60&${SIGHT}`];

/** By the name of their figures: who reads, and its rival. */
const READERS: Record<string, [Reader, Reader]> = {
  scrape_each_second: [
    { says: "a scrape each second", server: ADMIN, paths: ["/metrics"], pause: 1000 },
    { says: "as much of an app", server: APP, paths: [COPY], pause: 1000 },
  ],
  scrape_without_pause: [
    { says: "scrapes without a pause", server: ADMIN, paths: ["/metrics"], pause: 0 },
    // A page of an app takes no time, one of the router about this.
    { says: "as many of an app", server: APP, paths: [COPY], pause: 100 },
  ],
  dashboard: [
    { says: "a dashboard that is looked at", server: ADMIN, paths: DASHBOARD, pause: 2000 },
    { says: "small pages of an app", server: APP, paths: DASHBOARD.map(() => "/"), pause: 2000 },
  ],
};

/** Milliseconds that pages took. */
interface Pages {
  count: number;
  median: number;
  max: number;
}

interface Beside extends Sample {
  pages: Pages | undefined;
}

/** One client that asks for pages for as long as requests are measured. */
async function read(stage: Stage, { server, paths, pause }: Reader): Promise<Pages> {
  const output = await stage.exec(
    `HOST=${server} ROUTE='${paths.join("\n")}' PAUSE=${pause} taskset -c 1-$(($(nproc) - 1)) ` +
      `wrk -t1 -c1 -d${WARM + SECONDS}s --timeout 5s -s /tmp/bench/load.lua http://${server}/`,
  );
  const { requests: count, bad, errors, percentiles, max } = resultOf(output);
  if (count === 0 || bad > 0 || errors > 0) {
    throw new Error(`of ${count} pages ${bad} were refused, with ${errors} errors`);
  }
  return { count, median: percentiles[50]! / 1000, max: max / 1000 };
}

async function load(stage: Stage, { load: what, paced }: Pace, reader?: Reader): Promise<Beside> {
  const [sample, pages] = await Promise.all([
    measure(stage, ROUTER, what, { paced }, WARM, SECONDS),
    reader !== undefined ? read(stage, reader) : undefined,
  ]);
  return { ...sample, pages };
}

interface Read {
  /** Of the requests: beside the reader over without one, round by round. */
  p99_ratio: Figure;
  /** The same of its rival. */
  rival_p99_ratio: Figure;
  p99_us: Figure;
  /** Of each round the middle one. */
  page_ms: Figure;
  longest_page_ms: number;
  pages: number;
}

interface Found {
  rps: number;
  alone_p99_us: Figure;
  readers: Record<string, Read>;
}

const SORTS: [string, Reader | undefined][] = [
  ["alone", undefined],
  ...Object.entries(READERS).flatMap(([name, [reader, rival]]): [string, Reader][] => [
    [name, reader],
    [`${name}_rival`, rival],
  ]),
];

/** Each round has everything once, so that what slows the machine for a while slows all. */
async function readers(stage: Stage, pace: Pace): Promise<Found> {
  const series = new Series<Beside>();
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [name, reader] of SORTS) {
      const sample = await series.add(name, async () => load(stage, pace, reader));
      if (sample !== undefined) {
        const { rps, p99, pages } = sample;
        console.log(
          `round ${round}/${ROUNDS}  ${(reader?.says ?? name).padEnd(32)}${rps.toFixed(0)} requests/s, p99 ${p99} us` +
            (pages === undefined ? "" : `, pages ${pages.median.toFixed(1)} ms`),
        );
      }
    }
  }
  const refused = SORTS.map(([name]) => series.refusal(name)).find((each) => each !== undefined);
  if (refused !== undefined) {
    throw new Error(refused);
  }
  const p99s = (name: string): number[] => series.of(name, ({ p99 }) => p99)!;
  const found = Object.keys(READERS).map((name): [string, Read] => {
    const pages = series.of(name, (each) => each.pages!)!;
    return [
      name,
      {
        p99_ratio: ratioOf(p99s(name), p99s("alone")),
        rival_p99_ratio: ratioOf(p99s(`${name}_rival`), p99s("alone")),
        p99_us: figureOf(p99s(name)),
        page_ms: figureOf(pages.map(({ median }) => median)),
        longest_page_ms: Math.max(...pages.map(({ max }) => max)),
        pages: pages.reduce((sum, { count }) => sum + count, 0),
      },
    ];
  });
  return {
    rps: Math.round(series.figure("alone", ({ rps }) => rps)!.median),
    alone_p99_us: figureOf(p99s("alone")),
    readers: Object.fromEntries(found),
  };
}

async function routesOf(stage: Stage): Promise<number> {
  return metricOf(stage, ROUTER.port + 1, "switchboard_routes");
}

/** Kilobytes of the worker that are its own. */
async function ownMemory(stage: Stage): Promise<number> {
  const pid = await workerOf(stage, ROUTER);
  return Number(await stage.exec(`awk '/^RssAnon/ { print $2 }' /proc/${pid}/status`));
}

/** Asks for so many hosts that nobody has; each answer is a 404. */
async function flood(stage: Stage, hosts: number): Promise<number> {
  let asked = 0;
  while (asked < hosts) {
    const output = await stage.exec(
      `MADE_UP=1 wrk -t1 -c64 -d${WAVE}s -s /tmp/bench/load.lua http://127.0.0.1:${ROUTER.port}/`,
    );
    const { requests, bad, errors } = resultOf(output);
    if (errors > 0 || bad !== requests || requests === 0) {
      throw new Error(`of ${requests} made-up hosts ${bad} were refused, with ${errors} errors`);
    }
    asked += requests;
  }
  return asked;
}

interface Flooded {
  hosts: number;
  /** Before, after a fifth of the hosts, and after all. */
  worker_kb: [number, number, number];
  /** Known ones that are not known any more. */
  routes_lost: number;
  /** Lines of `/metrics` that name a made-up host. */
  series: number;
}

async function endure(stage: Stage): Promise<Flooded> {
  const known = await routesOf(stage);
  const before = await ownMemory(stage);
  const first = await flood(stage, MADE_UP / 5);
  const early = await ownMemory(stage);
  const rest = await flood(stage, MADE_UP - first);
  const late = await ownMemory(stage);
  return {
    hosts: first + rest,
    worker_kb: [before, early, late],
    routes_lost: known - (await routesOf(stage)),
    series: Number(await stage.exec(`curl -s http://${ADMIN}/metrics | grep -c nobody- || true`)),
  };
}

await play("scrapes and made-up hosts", async (stage) => {
  await keepCoreFree(stage);
  await register(stage, ROUTES);
  await startProxies(stage, [ROUTER], HOST);
  await eventually("all routes", async () => {
    await load(stage, FULL);
    return (await routesOf(stage)) >= ROUTES;
  });
  await stage.exec(`curl -s http://${ADMIN}/metrics >/tmp/bench${COPY}`);
  const full = await readers(stage, FULL);
  const paced = await readers(stage, half(full.rps));
  const scrape = { routes: ROUTES, ...full, half: paced, made_up: await endure(stage) };
  await stopProxies(stage, [ROUTER]);
  record("scrape", stage.image, { scrape });
  console.log(JSON.stringify(scrape, undefined, 2));
});
