/** What each process and each shared dict takes, all the time, and whether that grew. */

import type { Tried, World } from "./world.ts";

/** What one process takes, in kilobytes. */
export interface Process {
  pid: number;
  /** `master`, `worker`, or `ending`: a worker of before a reload that has requests left. */
  role: string;
  /** Its own: what no other process has. */
  own: number;
  /** All that it has touched, shared dicts included. */
  rss: number;
}

/** One look at a router. */
export interface Sample {
  at: number;
  processes: Process[];
  /** Bytes in use by dict. */
  dicts: Record<string, number>;
  in_flight: number;
  /** Seconds that a change waited lately before it was read, at most. */
  lag: number;
}

/** Something whose size is followed over the soak. */
export interface Series {
  what: string;
  /** Medians of the first and the last part of the time that counts. */
  first: number;
  last: number;
}

/** The part of the time that counts of which a median is taken, at its beginning and at its end. */
const PART = 0.3;
/** Growth that is none; kilobytes, where less is a matter of pages and fragments. */
const FLAT = 1.05;
const LITTLE = 256;

/** Columns: pid, anonymous and all resident kilobytes, and the title that nginx gave itself. */
const LOOK = `for d in /proc/[0-9]*; do
  t=$(tr '\\0' ' ' 2>/dev/null <$d/cmdline)
  case "$t" in "nginx: "*) ;; *) continue;; esac
  set -- $(awk '/^VmRSS|^RssAnon/ { print $2 }' $d/status 2>/dev/null)
  echo "\${d#/proc/} $2 $1 $t"
done`;

function roleOf(title: string): string {
  return title.includes("master") ? "master" : title.includes("shutting down") ? "ending" : "worker";
}

export async function look(world: World, tried: Tried): Promise<Sample> {
  const { output } = await tried.router.exec(["sh", "-c", LOOK]);
  const processes: Process[] = [];
  for (const line of output.trim().split("\n")) {
    const [, pid, own, rss, title] = /^(\d+) (\d+) (\d+) (.*)$/.exec(line) ?? [];
    if (title !== undefined) {
      processes.push({ pid: Number(pid), role: roleOf(title), own: Number(own), rss: Number(rss) });
    }
  }
  const metrics = await tried.router.metrics();
  const dicts: Record<string, number> = {};
  for (const [series, size] of metrics) {
    const dict = /^switchboard_dict_size_bytes\{dict="switchboard_(\w+)"\}/.exec(series)?.[1];
    if (dict !== undefined) {
      dicts[dict] = size - metrics.get(`switchboard_dict_free_bytes{dict="switchboard_${dict}"}`)!;
    }
  }
  return {
    at: world.journal.seconds(),
    processes,
    dicts,
    in_flight: metrics.get("switchboard_in_flight") ?? NaN,
    lag: metrics.get("switchboard_watch_lag_seconds") ?? NaN,
  };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** A figure of each sample, first and last part; undefined where it was not there all the time. */
function seriesOf(what: string, samples: Sample[], figure: (sample: Sample) => number | undefined): Series[] {
  const size = Math.max(1, Math.floor(samples.length * PART));
  const of = (some: Sample[]): number[] => some.map(figure).filter((value) => value !== undefined);
  const [first, last] = [of(samples.slice(0, size)), of(samples.slice(-size))];
  return first.length < size || last.length < size
    ? []
    : [{ what, first: median(first), last: median(last) }];
}

/** Everything that was there from the end of the warm-up to the end. */
export function allSeries(tried: Tried, samples: Sample[]): Series[] {
  const found: Series[] = [];
  const processes = samples.at(-1)?.processes.filter(({ role }) => role !== "ending") ?? [];
  for (const { pid, role } of processes) {
    found.push(
      ...seriesOf(
        `${tried.name} ${role} ${pid}`,
        samples,
        (sample) => sample.processes.find((each) => each.pid === pid)?.own,
      ),
    );
  }
  for (const dict of Object.keys(samples.at(-1)?.dicts ?? {})) {
    found.push(...seriesOf(`${tried.name} dict ${dict}`, samples, (sample) => sample.dicts[dict]! / 1024));
  }
  return found;
}

/** What is to be said of something that has grown by more than 5 %; undefined: nothing. */
export function growthOf({ what, first, last }: Series): string | undefined {
  // Hosts that nobody knows fill their dict, and forget each other then.
  if (last <= Math.max(first * FLAT, first + LITTLE) || what.endsWith("dict matches")) {
    return undefined;
  }
  const [from, to] = [first, last].map((kilobytes) => (kilobytes / 1024).toFixed(2));
  return `memory of ${what} grew from ${from} to ${to} MB (${((last / first - 1) * 100).toFixed(1)} %)`;
}
