/** What a soak that went well has shown: soak.md for people, soak.json for machines. */

import { writeFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import type { Heap } from "./check.ts";
import type { Series } from "./memory.ts";

export interface Findings {
  minutes: number;
  names: number;
  requests: number;
  requests_per_second: number;
  milliseconds_p50: number;
  milliseconds_p99: number;
  milliseconds_p999: number;
  updates: number;
  updates_per_second: number;
  /** Answers of an earlier write than the last, more than two seconds after it. */
  late: number;
  passed_names: number;
  websocket_words: number;
  websockets_opened: number;
  /** Answers of each worker for each name, held against Redis at the end. */
  compared: number;
  troubles: Record<string, number>;
  /** What the router said in its log, how often. */
  events: Record<string, number>;
  /** Seconds of the warm-up, which tells nothing of memory. */
  warm_up: number;
  /** In kilobytes. */
  memory: Series[];
  /** What lives in the Lua of workers that were never reloaded, after a full collection. */
  heaps: { worker: string; first: Heap; last: Heap }[];
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const mb = (kilobytes: number): string => (kilobytes / 1024).toFixed(2);
const grown = (first: number, last: number): string => `${((last / first - 1) * 100).toFixed(1)} %`;

function text(findings: Findings, machine: string, date: string): string {
  const f = findings;
  const count = (value: number): string => value.toLocaleString("en");
  const { troubles } = f;
  return `# Soak

\`make soak\`, ${date}, ${f.minutes.toFixed(1)} minutes on ${machine}. No failure.

Two routers on one Redis: \`old\` with four workers, never reloaded, and \`renewed\` with two. What a soak does and when it
fails stands in [README.md](README.md#the-soak).

${table(
  ["what happened", "how often"],
  [
    ["requests", `${count(f.requests)} (${f.requests_per_second.toFixed(0)} a second)`],
    [
      "answered within, p50, p99, p99.9",
      `${f.milliseconds_p50}, ${f.milliseconds_p99}, ${f.milliseconds_p999} ms`,
    ],
    [
      "updates in Redis",
      `${count(f.updates)} (${f.updates_per_second.toFixed(0)} a second) of ${count(f.names)} names`,
    ],
    ["names that were made and taken away again", count(f.passed_names)],
    ["instances deployed anew; died without notice", `${troubles.deployments}; ${troubles.deaths}`],
    ["reloads", `${troubles.reloads}`],
    ["Redis restarted; standing still for 1.5 s", `${troubles.store_restarts}; ${troubles.store_freezes}`],
    ["made-up hosts, in floods", `${count(troubles.made_up_hosts!)} in ${troubles.floods}`],
    ["words over WebSockets; sockets", `${count(f.websocket_words)}; ${count(f.websockets_opened)}`],
    ["requests for known hosts that failed", "0"],
    ["answers that were out of date two seconds after a write, and right a moment later", `${f.late}`],
    ["answers held against Redis at the end, name by name and worker by worker", count(f.compared)],
    ["of these out of date", "0"],
    ["requests in flight at the end, workers of before a reload", "0"],
    ["Lua errors in the logs", "0"],
  ],
)}

Memory: medians of the first and the last 30 % of the time after a warm-up of ${f.warm_up.toFixed(0)} s; of a process its own (anonymous),
of a dict what is in use. More than 5 % of growth is a failure, but for 0.25 MB.

${table(
  ["of", "first, MB", "last, MB", "grown by"],
  f.memory.map(({ what, first, last }) => [what, mb(first), mb(last), grown(first, last)]),
)}

What lives in the Lua of the workers that were never reloaded, after a full collection:

${table(
  ["worker", "after the warm-up, MB", "at the end, MB", "grown by", "traces of LuaJIT then, and at the end"],
  f.heaps.map(({ worker, first, last }) => [
    worker,
    mb(first.kilobytes),
    mb(last.kilobytes),
    grown(first.kilobytes, last.kilobytes),
    `${first.traces}, ${last.traces}`,
  ]),
)}

What the routers said in their logs:

${table(
  ["event", "lines"],
  Object.entries(f.events)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([event, lines]) => [`\`${event}\``, `${lines}`]),
)}
`;
}

/** Writes both files, beside this bench. */
export function report(findings: Findings): void {
  const date = new Date().toISOString().slice(0, 10);
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const machine = `${cpus()[0]!.model}, ${cpus().length} cores, ${gigabytes} GB, Linux ${release()}, ${arch()}`;
  const rounded = JSON.parse(JSON.stringify({ date, machine, ...findings }), (_, value: unknown) =>
    typeof value === "number" ? Number(value.toFixed(2)) : value,
  ) as object;
  writeFileSync(new URL("../soak.json", import.meta.url), `${JSON.stringify(rounded, undefined, 2)}\n`);
  writeFileSync(new URL("../soak.md", import.meta.url), text(findings, machine, date));
}
