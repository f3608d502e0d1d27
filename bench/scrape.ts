/**
 * Part of `make bench`: what scrapes of `/metrics` and looks at the dashboard do to the requests beside them, with 10,000
 * routes that all have requests; and what a million made-up hosts leave behind. One worker does it all.
 *
 * Environment: ROUNDS (5), SECONDS of a measurement (3), MADE_UP hosts (1000000).
 */

import { figureOf, quantile, ratioOf, type Figure } from "./figure.ts";
import { keepCoreFree, type Load, measure, resultOf, type Sample } from "./load.ts";
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
/** 64 clients that wait 16 ms on the average: about half of that. */
const HALF: Pace = { load: { HOSTS: String(ROUTES), THINK: "16" }, paced: true };
/** Seconds of a piece of the flood. */
const WAVE = 5;
/** Rows that a dashboard has in sight. */
const IN_SIGHT = 30;
const ROUTER = proxy("router", "scrape", 0);
const ADMIN = "http://127.0.0.1:8081";

interface Reader {
  says: string;
  pages: string[];
  /** Seconds between two turns. */
  pause: number;
}

const SIGHT = Array.from({ length: IN_SIGHT }, (_, i) => `name=app-${i}.bench.example`).join("&");
const READERS: Record<string, Reader> = {
  scrape_each_second: { says: "a scrape each second", pages: [`${ADMIN}/metrics`], pause: 1 },
  scrape_without_pause: { says: "scrapes without a pause", pages: [`${ADMIN}/metrics`], pause: 0 },
  dashboard: {
    says: "a dashboard that is looked at",
    pages: [`/status`, `/readyz`, `/events?after=0&limit=100`, `/routes?instances=60&${SIGHT}`].map(
      (path) => ADMIN + path,
    ),
    pause: 2,
  },
};

interface Beside extends Sample {
  /** Milliseconds that each page took. */
  pages: number[];
}

/** Asks for pages, one after the other, for as long as requests are measured. */
async function read(stage: Stage, { pages, pause }: Reader): Promise<number[]> {
  const asked = pages.map((page) => `curl -s -o /dev/null -w 'TOOK %{http_code} %{time_total}\\n' '${page}'`);
  const output = await stage.exec(
    `taskset -cp 1-$(($(nproc) - 1)) $$ >/dev/null; end=$(($(date +%s) + ${WARM + SECONDS})); ` +
      `while [ $(date +%s) -lt $end ]; do ${asked.join("; ")}; sleep ${pause}; done`,
  );
  const took = [...output.matchAll(/TOOK (\d+) (\S+)/g)];
  const failed = took.filter(([, status]) => status !== "200");
  if (took.length === 0 || failed.length > 0) {
    throw new Error(`${failed.length} of ${took.length} pages failed`);
  }
  return took.map(([, , seconds]) => Number(seconds) * 1000);
}

async function load(stage: Stage, { load: what, paced }: Pace, reader?: Reader): Promise<Beside> {
  const [sample, pages] = await Promise.all([
    measure(stage, ROUTER, what, { paced }, WARM, SECONDS),
    reader !== undefined ? read(stage, reader) : [],
  ]);
  return { ...sample, pages };
}

interface Read {
  /** Of the requests: beside the reader over without one, round by round. */
  p99_ratio: Figure;
  p99_us: Figure;
  page_ms: { median: number; p99: number; max: number };
  pages: number;
}

interface Found {
  rps: number;
  alone_p99_us: Figure;
  readers: Record<string, Read>;
}

/** Each round has everything once, so that what slows the machine for a while slows all. */
async function readers(stage: Stage, pace: Pace): Promise<Found> {
  const series = new Series<Beside>();
  const sorts: [string, Reader | undefined][] = [["alone", undefined], ...Object.entries(READERS)];
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [name, reader] of sorts) {
      const sample = await series.add(name, async () => load(stage, pace, reader));
      if (sample !== undefined) {
        const pages = reader === undefined ? "" : `, pages ${quantile(sample.pages, 0.5).toFixed(1)} ms`;
        console.log(
          `round ${round}/${ROUNDS}  ${name.padEnd(22)}${sample.rps.toFixed(0)} requests/s, p99 ${sample.p99} us${pages}`,
        );
      }
    }
  }
  const refused = sorts.map(([name]) => series.refusal(name)).find((each) => each !== undefined);
  if (refused !== undefined) {
    throw new Error(refused);
  }
  const p99s = (name: string): number[] => series.of(name, ({ p99 }) => p99)!;
  const found = Object.keys(READERS).map((name): [string, Read] => {
    const pages = series.of(name, (each) => each.pages)!.flat();
    const [median, p99, max] = [quantile(pages, 0.5), quantile(pages, 0.99), Math.max(...pages)];
    return [
      name,
      {
        p99_ratio: ratioOf(p99s(name), p99s("alone")),
        p99_us: figureOf(p99s(name)),
        page_ms: { median, p99, max },
        pages: pages.length,
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
    series: Number(await stage.exec(`curl -s ${ADMIN}/metrics | grep -c nobody- || true`)),
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
  const full = await readers(stage, FULL);
  const half = await readers(stage, HALF);
  const scrape = { routes: ROUTES, ...full, half, made_up: await endure(stage) };
  await stopProxies(stage, [ROUTER]);
  record("scrape", stage.image, { scrape });
  console.log(JSON.stringify(scrape, undefined, 2));
});
