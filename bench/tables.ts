/**
 * Writes the tables of README.md and bench/README.md from what results.json has, between lines `<!-- bench:<name> -->` and
 * `<!-- /bench -->`. What results.json does not have is left as it is.
 *
 *   tsx bench/tables.ts            writes them
 *   tsx bench/tables.ts --check    fails where they are not what results.json says
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { show } from "./figure.ts";
import { isRefused, type Refusable, type Results, results, sourceOf } from "./read.ts";

const FILES = ["README.md", "bench/README.md"];
const ROOT = new URL("../", import.meta.url);

const PROXIES: Record<string, string> = {
  bare: "bare nginx, static upstream, same headers",
  router: "Switchboard",
  empty: "three empty Lua handlers",
  haproxy: "HAProxy with a map",
  naive: "Lua that asks Redis at every request",
};

const LOADS: Record<string, string> = {
  hosts_1: "one host",
  hosts_100: "100 hosts in turn",
  hosts_1000: "1,000 hosts in turn",
  hosts_10000: "10,000 hosts in turn",
  hosts_100000: "100,000 hosts in turn",
  zipf: "100,000 hosts by Zipf's law (the n-th as often as 1/n)",
  made_up: "1,000 hosts, one request in ten for a host that nobody has",
  body_1k: "answers of 1 kB",
  body_100k: "answers of 100 kB",
  upload_100k: "uploads of 100 kB",
  new_connections: "each request on a new connection",
};

interface Route {
  /** Among the costs. */
  name: string;
  title: string;
  /** Among the instructions, where it has another name there. */
  counted?: string;
  /** What it is held against. */
  plain?: string;
}

const ROUTES: Route[] = [
  { name: "plain_path", title: "a plain host" },
  {
    name: "path",
    title: "one of a thousand paths of a host",
    counted: "path_of_a_thousand",
    plain: "plain_path",
  },
  { name: "options", title: "four options", plain: "plain_path" },
  { name: "options_path", title: "both", counted: "options_and_path", plain: "plain_path" },
  { name: "split", title: "split over two pools", plain: "plain_path" },
  { name: "round_robin", title: "`round_robin`" },
  { name: "least_conn", title: "`least_conn`", plain: "round_robin" },
  { name: "ewma", title: "`ewma`", plain: "round_robin" },
  { name: "hash", title: "`hash:uri`", plain: "round_robin" },
  { name: "random", title: "`random`", plain: "round_robin" },
  { name: "sticky", title: "`sticky=cookie`, a client that has it", plain: "round_robin" },
  { name: "sticky_first", title: "`sticky=cookie`, a client that gets it", plain: "round_robin" },
];

type Found = Results & { costs: NonNullable<Results["costs"]> };

/** A figure, or that there is none. */
function cell<T extends object>(found: Refusable<T> | undefined, text: (found: T) => string): string {
  return found === undefined ? "" : isRefused(found) ? "refused" : text(found);
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function proxiesTable({ costs }: Found): string {
  const rows = Object.entries(PROXIES).map(([name, title]) => [
    title,
    ...["hosts_1", "hosts_1000"].map((load) => cell(costs[load]?.[name], (cost) => show(cost.cpu_us, 1))),
    cell(costs.hosts_1000?.[name], (cost) => thousands(cost.rps.median)),
    cell(costs.hosts_1000?.[name], ({ over_bare }) => (over_bare === undefined ? "" : show(over_bare, 2))),
  ]);
  return table(
    ["proxy", "one host", "1,000 hosts", "requests/s, 1,000 hosts", "over bare, 1,000 hosts"],
    rows,
  );
}

function plot(name: string, folder: string, says: string): string {
  return existsSync(new URL(`bench/plots/${name}.svg`, ROOT))
    ? `\n\n![${says}](${folder}plots/${name}.svg)`
    : "";
}

/** What README.md says it costs. */
function costs(found: Found, folder: string): string {
  const over = found.cpu_ratio_spread;
  const one = found.cpu_ratio_one_host;
  const summary =
    over === undefined || one === undefined
      ? "No ratio to bare nginx: measurements were refused."
      : `Switchboard over bare nginx: ${show(over, 2)} with 1,000 hosts, ${show(one, 2)} with one.`;
  const { instructions, instructions_over_bare, instructions_over_bare_two_lines } = found;
  const counted =
    instructions?.router === undefined || instructions_over_bare === undefined
      ? ""
      : ` ${thousands(instructions_over_bare)} user-space instructions a request (${thousands(instructions.router)} to ${thousands(instructions.bare!)}; callgrind)${
          instructions.empty === undefined
            ? ""
            : `, of which ${thousands(instructions.empty - instructions.bare!)} are what three empty Lua handlers cost`
        }${
          instructions_over_bare_two_lines === undefined
            ? ""
            : `; ${thousands(instructions_over_bare_two_lines)} with \`reasons.conf\`, as by the two lines`
        }.`;
  return `Microseconds of CPU per request on one core, kernel included; medians of ${found.rounds} interleaved rounds with their spread
(${sourceOf(found.runs!.costs!)}, ${found.runs!.costs!.image}):

${proxiesTable(found)}

${summary}${counted}${plot("latency", folder, "Latency at the same load, by percentile")}${plot("routes", folder, "CPU of a request against the number of hosts")}`;
}

function loads({ costs: all }: Found, folder: string): string {
  const rows = Object.entries(LOADS).flatMap(([name, title]) => {
    const found = all[name];
    if (found === undefined) {
      return [];
    }
    const router = found.router ?? found.router_knowing;
    return [
      [
        title,
        cell(found.bare, (cost) => show(cost.cpu_us, 1)),
        cell(router, (cost) => show(cost.cpu_us, 1)),
        cell(found.router_large, (cost) => show(cost.cpu_us, 1)),
        cell(found.haproxy, (cost) => show(cost.cpu_us, 1)),
        cell(found.naive, (cost) => show(cost.cpu_us, 1)),
        cell(router, ({ over_bare }) => (over_bare === undefined ? "" : show(over_bare, 2))),
      ],
    ];
  });
  return `${table(["load", "bare", "router", "with a large `worker_cache`", "haproxy", "naive", "router over bare"], rows)}${plot("loads", folder, "CPU of a request by load")}`;
}

function routes({ costs: all, instructions = {} }: Found): string {
  const rows = ROUTES.map(({ name, title, counted, plain }) => {
    const found = all[name]?.router;
    const [own, base] = [instructions[counted ?? name], instructions[plain ?? ""]];
    return [
      title,
      own === undefined ? "" : thousands(own),
      own === undefined || base === undefined ? "" : thousands(own - base),
      cell(found, (cost) => show(cost.cpu_us, 1)),
      cell(found, ({ over_plain }) => (over_plain === undefined ? "" : show(over_plain, 2))),
    ];
  });
  return table(["route", "instructions", "more than plain", "us CPU", "times plain"], rows);
}

function websockets({ websockets: found }: Results): string | undefined {
  if (found === undefined) {
    return undefined;
  }
  const rows = ["bare", "router", "haproxy"].map((name) => {
    const of = found.proxies[name];
    return [
      PROXIES[name]!,
      cell(of, ({ bytes }) =>
        show({ median: bytes.median / 1024, min: bytes.min / 1024, max: bytes.max / 1024 }, 1),
      ),
      cell(of, ({ opening_us }) => show(opening_us, 0)),
      cell(of, ({ message_us }) => show(message_us, 1)),
      cell(of, ({ p99_ms }) => show(p99_ms, 1)),
      cell(of, ({ idle_percent_of_core }) => show(idle_percent_of_core, 2)),
    ];
  });
  return `${thousands(found.held)} at a time:

${table(["proxy", "kB held a socket", "us CPU to open one", "us CPU a message and its echo", "p99 of that, ms", "% of a core while all are idle"], rows)}`;
}

function misses({ cache_misses: found }: Results): string | undefined {
  if (found === undefined) {
    return undefined;
  }
  const rows = Object.entries(found).map(([name, of]) => [
    `${name.replace(" ", ", ")} host${name.endsWith(" 1") ? "" : "s"}`,
    thousands(of.instructions),
    of.l1.toFixed(0),
    of.l2.toFixed(1),
  ]);
  return table(["", "instructions", "lines not in L1 (48 kB)", "lines not in L2 (1 MB)"], rows);
}

const READERS: Record<string, string> = {
  scrape_each_second: "a scrape of `/metrics` each second",
  scrape_without_pause: "scrapes one after the other",
  dashboard: "an open dashboard",
};

function scrape({ scrape: found }: Results): string | undefined {
  if (found === undefined) {
    return undefined;
  }
  const beside = ({ readers }: typeof found.half): string =>
    table(
      [
        "beside the requests",
        "their p99, us",
        "over that without",
        "the same of a rival",
        "a page, ms",
        "longest",
        "pages",
      ],
      Object.entries(readers).map(([name, of]) => [
        READERS[name] ?? name,
        show(of.p99_us, 0),
        show(of.p99_ratio, 2),
        show(of.rival_p99_ratio, 2),
        show(of.page_ms, 0),
        of.longest_page_ms.toFixed(0),
        thousands(of.pages),
      ]),
    );
  const { hosts, worker_kb, routes_lost, series } = found.made_up;
  const [before, early, late] = worker_kb.map((kb) => (kb / 1024).toFixed(1));
  const { half } = found;
  return `${thousands(found.routes)} routes, each with requests, ${thousands(found.rps)} requests/s: all that the worker can do. Alone their p99 is ${show(found.alone_p99_us, 0)} us.

${beside(found)}

At ${thousands(half.rps)} requests/s alone their p99 is ${show(half.alone_p99_us, 0)} us.

${beside(half)}

${thousands(hosts)} made-up hosts: the worker's own memory is ${before} MB before, ${early} MB after a fifth of them, ${late} MB after all; routes
that are lost: ${routes_lost}; series of \`/metrics\` that name one: ${series}.`;
}

/** The blocks by their names; undefined: results.json has nothing for it. */
function blocksOf(found: Results, folder: string): Record<string, string | undefined> {
  const whole = found.costs !== undefined && found.runs?.costs !== undefined ? (found as Found) : undefined;
  return {
    costs: whole && costs(whole, folder),
    loads: whole && loads(whole, folder),
    routes: whole && routes(whole),
    websockets: websockets(found),
    misses: misses(found),
    scrape: scrape(found),
  };
}

function rewrite(text: string, blocks: Record<string, string | undefined>): string {
  return text.replace(
    /(<!-- bench:(\w+) -->\n)([^]*?)(<!-- \/bench -->)/g,
    (_, head: string, name: string, old: string, foot: string) => {
      if (!(name in blocks)) {
        throw new Error(`there is no block bench:${name}`);
      }
      return `${head}${blocks[name] === undefined ? old : `${blocks[name]}\n`}${foot}`;
    },
  );
}

const check = process.argv.includes("--check");
const found = results();
for (const name of FILES) {
  const file = new URL(name, ROOT);
  const before = readFileSync(file, "utf8");
  const after = rewrite(before, blocksOf(found, name === "README.md" ? "bench/" : ""));
  if (after !== before && check) {
    console.error(
      `${name}: its figures are not those of bench/results.json; npx tsx bench/tables.ts writes them`,
    );
    process.exitCode = 1;
  } else if (after !== before) {
    writeFileSync(file, after);
    console.log(`wrote the figures into ${name}`);
  }
}
