/**
 * Draws bench/plots from what results.json has.
 *
 *   tsx bench/plots.ts
 */

import { mkdirSync, writeFileSync } from "node:fs";
import type { Figure } from "./figure.ts";
import { type Cost, isRefused, type Refusable, type Results, results, sourceOf } from "./read.ts";
import {
  type Axis,
  type Colour,
  dotChart,
  type Line,
  lineChart,
  logTicks,
  type Point,
  type Row,
} from "./svg.ts";

const FOLDER = new URL("plots/", import.meta.url);

interface Look {
  label: string;
  colour: Colour;
  dashed?: true;
  strong?: true;
}

const LOOKS: Record<string, Look> = {
  router: { label: "Switchboard", colour: "blue", strong: true },
  bare: { label: "bare nginx", colour: "grey" },
  empty: { label: "three empty Lua handlers", colour: "green" },
  haproxy: { label: "HAProxy with a map", colour: "orange" },
  naive: { label: "Lua that asks Redis", colour: "purple" },
};

function pointOf(x: number, { median, min, max }: Figure): Point {
  return { x, y: median, low: min, high: max };
}

/** What is a round number above. */
function above(value: number): number {
  return logTicks(1, 1e9, [1, 1.5, 2, 3, 4, 5, 6, 8]).find((tick) => tick >= value)!;
}

function below(value: number): number {
  return logTicks(1, 1e9, [1, 2, 5]).findLast((tick) => tick <= value) ?? 1;
}

function microseconds(us: number): string {
  return us < 1000 ? `${us} µs` : `${us / 1000} ms`;
}

function drawLatency({ latency, runs }: Results): string | undefined {
  if (latency === undefined || runs?.latency === undefined) {
    return undefined;
  }
  const lines = Object.entries(LOOKS).flatMap(([name, look]): Line[] => {
    const found = latency.proxies[name];
    if (found === undefined || isRefused(found)) {
      return [];
    }
    const points = Object.entries(found.us).map(([percentile, us]) => pointOf(Number(percentile), us));
    return [{ ...look, points: points.sort((a, b) => a.x - b.x) }];
  });
  if (lines.length === 0) {
    return undefined;
  }
  const all = lines.flatMap(({ points }) => points);
  const [least, most] = [below(Math.min(...all.map(({ y }) => y))), Math.max(...all.map(({ y }) => y))];
  const x: Axis = {
    title: "percentile of requests",
    scale: (percentile) => -Math.log10(1 - percentile / 100),
    from: 0,
    to: 99.99,
    ticks: [0, 50, 90, 99, 99.9, 99.99].map((at) => ({ at, label: at === 0 ? "min" : `${at}` })),
  };
  const y: Axis = {
    title: "from request to answer",
    scale: Math.log10,
    from: least,
    to: above(most),
    ticks: logTicks(least, above(most)).map((at) => ({ at, label: microseconds(at) })),
  };
  const words = {
    title: "Latency at the same load",
    subtitle: `${(Math.round(latency.rps / 100) * 100).toLocaleString("en")} requests/s of 64 clients for ${latency.hosts.toLocaleString("en")} hosts, proxy on one core. Line: median of the rounds, band: all of them`,
    source: sourceOf(runs.latency),
  };
  return lineChart(words, x, y, lines, "bands");
}

const HOSTS = [1, 100, 1000, 10_000, 100_000];

/** The CPU of a request by how many hosts are asked for; for a router by the process that had so many. */
function costsByHosts(results: Results, processes: string[]): Point[] {
  return HOSTS.flatMap((count) => {
    const scenario = results.costs?.[`hosts_${count}`] ?? {};
    const found = processes.map((name) => scenario[name]).find((each) => each !== undefined);
    return found === undefined || isRefused(found) ? [] : [pointOf(count, found.cpu_us)];
  });
}

function drawRoutes(results: Results): string | undefined {
  if (results.costs === undefined || results.runs?.costs === undefined) {
    return undefined;
  }
  const drawn: Line[] = [
    {
      ...LOOKS.router!,
      label: "Switchboard",
      points: costsByHosts(results, ["router", "router_knowing"]),
    },
    {
      label: "… larger worker_cache",
      colour: "blue",
      dashed: true,
      points: costsByHosts(results, ["router_large", "router"]).filter(({ x }) => x >= 1000),
    },
    ...["bare", "haproxy", "naive"].map((name) => ({
      ...LOOKS[name]!,
      points: costsByHosts(results, [name]),
    })),
  ];
  const lines = drawn.filter(({ points }) => points.length > 1);
  if (lines.length === 0) {
    return undefined;
  }
  const most = above(Math.max(...lines.flatMap(({ points }) => points.map(({ high }) => high))));
  const step = [5, 10, 20, 50, 100].find((each) => most / each <= 8)!;
  const to = Math.ceil(most / step) * step;
  const x: Axis = {
    title: "hosts, asked for in turn",
    scale: Math.log10,
    from: 1,
    to: 100_000,
    ticks: HOSTS.map((at) => ({ at, label: at.toLocaleString("en") })),
  };
  const y: Axis = {
    title: "µs of CPU per request",
    scale: (us) => us,
    from: 0,
    to,
    ticks: Array.from({ length: to / step + 1 }, (_, i) => ({ at: i * step, label: String(i * step) })),
  };
  const words = {
    title: "Cost against the number of routes",
    subtitle: "CPU per request, kernel included. Dot: median of the rounds, whisker: all of them",
    source: sourceOf(results.runs.costs),
  };
  return lineChart(words, x, y, lines, "whiskers");
}

const ROWS: [string, string][] = [
  ["hosts_1", "one host"],
  ["hosts_1000", "1,000 hosts in turn"],
  ["made_up", "… one in ten made up"],
  ["body_1k", "answers of 1 kB"],
  ["body_100k", "answers of 100 kB"],
  ["upload_100k", "uploads of 100 kB"],
  ["new_connections", "a new connection each"],
];

function drawLoads({ costs, runs }: Results): string | undefined {
  if (costs === undefined || runs?.costs === undefined) {
    return undefined;
  }
  const shown = ["bare", "haproxy", "naive", "router"];
  const rows = ROWS.flatMap(([name, label]): Row[] => {
    const dots = shown.flatMap((proxy) => {
      const found: Refusable<Cost> | undefined = costs[name]?.[proxy];
      if (found === undefined || isRefused(found)) {
        return [];
      }
      const { median, min, max } = found.cpu_us;
      const { colour, strong } = LOOKS[proxy]!;
      return [{ colour, strong, at: median, low: min, high: max }];
    });
    return dots.length > 0 ? [{ label, dots }] : [];
  });
  if (rows.length === 0) {
    return undefined;
  }
  const all = rows.flatMap(({ dots }) => dots);
  const [least, most] = [
    below(Math.min(...all.map(({ low }) => low))),
    above(Math.max(...all.map(({ high }) => high))),
  ];
  const x: Axis = {
    title: "µs of CPU per request",
    scale: Math.log10,
    from: least,
    to: most,
    ticks: logTicks(least, most).map((at) => ({ at, label: String(at) })),
  };
  const words = {
    title: "What a request costs by load",
    subtitle: "CPU per request, kernel included. Dot: median of the rounds, bar: all of them",
    source: sourceOf(runs.costs),
  };
  const legend = shown.map((name) => LOOKS[name]!);
  return dotChart(words, x, rows, legend);
}

const found = results();
mkdirSync(FOLDER, { recursive: true });
for (const [name, draw] of Object.entries({ latency: drawLatency, routes: drawRoutes, loads: drawLoads })) {
  const svg = draw(found);
  if (svg === undefined) {
    console.error(`bench/plots/${name}.svg: results.json has no figures for it`);
    process.exitCode = 1;
  } else {
    writeFileSync(new URL(`${name}.svg`, FOLDER), svg);
    console.log(`drew bench/plots/${name}.svg`);
  }
}
