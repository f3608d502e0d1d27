/** The families of counters: their totals, and the same by route and by instance. */

import { SERIES, total_of } from "./counters";
import { escape, family, Kind, Page, row as write_row, sample } from "./exposition";
import { REST } from "./ledger";
import { NUMBERS_OF_ROW, Section, Sheet } from "./sheet";
import { in_slices, step } from "./slices";
import { ANSWERS, BOUNDS, BUCKETS, CLASSES, DURATION, TRIES } from "./tally";

const HELP: Record<string, [Kind, string] | undefined> = {
  switchboard_requests_total: ["counter", "Requests by status class."],
  switchboard_answers_total: ["counter", "Answers of the router itself, by reason."],
  switchboard_retries_total: ["counter", "Tries after a failed one, by what failed."],
  switchboard_waits_total: ["counter", "Requests that waited for a place at an instance."],
  switchboard_split_passed_total: [
    "counter",
    "Requests that a pool without instances left to the others of its split.",
  ],
  switchboard_stale_connections_total: [
    "counter",
    "Kept connections that the instance had closed; they count as no try.",
  ],
  switchboard_bad_values_total: ["counter", "Values in Redis that were skipped."],
  switchboard_load_failures_total: ["counter", "Routes that could not be read again in the background."],
  switchboard_dead_marks_total: ["counter", "Marks of a dead instance that were written to Redis."],
  switchboard_ejections_total: ["counter", "Instances that were taken out because they failed."],
  switchboard_checks_total: ["counter", "Active checks of instances, by how they ended."],
  switchboard_watch_changes_total: ["counter", "Changed keys that Redis told of."],
  switchboard_watch_connects_total: ["counter", "Connections of the watch."],
  switchboard_lookups_total: ["counter", "Lookups of names, by the layer that answered."],
  switchboard_redis_errors_total: ["counter", "Questions to Redis that were not answered."],
  switchboard_redis_duration_seconds: ["histogram", "How long questions to Redis took."],
};

const CLASS_NAMES = ["1xx", "2xx", "3xx", "4xx", "5xx"];

function family_of(series: string): string {
  const [name] = string.match(series, "^[^{]+");
  if (HELP[name!] !== undefined) {
    return name!;
  }
  const [histogram] = string.match(name!, "^(.-)_%l+$");
  return histogram!;
}

function number_at(section: Section, row: number, place: number): number {
  return section.numbers.get(row * NUMBERS_OF_ROW + 1 + place);
}

/** A place of all rows together. */
function sum_of(section: Section, place: number): number {
  let sum = 0;
  for (const row of $range(0, section.count)) {
    sum += number_at(section, row, place);
  }
  return sum;
}

/** What the lines of a histogram begin with: those of its buckets, of its sum and of its count. */
interface Histogram {
  buckets: string[];
  sum: string;
  count: string;
}

/** @param is_labelled other labels follow */
function histogram(name: string, is_labelled: boolean): Histogram {
  const end = is_labelled ? "," : "} ";
  const buckets: string[] = [];
  for (const bound of BOUNDS) {
    buckets.push(`\n${name}_bucket{le="${string.format("%.14g", bound / 1000)}"${end}`);
  }
  buckets.push(`\n${name}_bucket{le="+Inf"${end}`);
  const brace = is_labelled ? "{" : " ";
  return { buckets, sum: `\n${name}_sum${brace}`, count: `\n${name}_count${brace}` };
}

/**
 * @param labels all others, and what comes after them
 * @param row undefined: all of them together
 */
function write_histogram(
  page: Page,
  { buckets, sum, count }: Histogram,
  labels: string,
  section: Section,
  row: number | undefined,
): void {
  let below = 0;
  for (const i of $range(0, buckets.length - 1)) {
    below += row !== undefined ? number_at(section, row, BUCKETS + i) : sum_of(section, BUCKETS + i);
    write_row(page, buckets[i]!, labels, below);
  }
  const duration = row !== undefined ? number_at(section, row, DURATION) : sum_of(section, DURATION);
  write_row(page, sum, labels, duration / 1000);
  write_row(page, count, labels, below);
}

/** Totals over all routes. They name none. */
function write_totals(page: Page, sheet: Sheet, counting: boolean): void {
  const routes = sheet.sections[0]!;
  let last = "";
  for (const series of SERIES) {
    const name = family_of(series);
    const [digit] = string.match(series, '^switchboard_requests_total{code="(%d)');
    if (digit === undefined || counting) {
      if (name !== last) {
        last = name;
        const [kind, help] = HELP[name]!;
        family(page, name, kind, help);
      }
      const routed = digit !== undefined ? sum_of(routes, CLASSES + tonumber(digit)! - 1) : 0;
      sample(page, series, total_of(sheet, series) + routed);
    }
  }
  if (counting) {
    family(page, "switchboard_tries_total", "counter", "Tries of requests at instances.");
    sample(page, "switchboard_tries_total", sum_of(routes, TRIES));
    const name = "switchboard_request_duration_seconds";
    family(page, name, "histogram", "How long requests took that were sent to instances.");
    write_histogram(page, histogram(name, false), "", routes, undefined);
  }
}

/** The rows of a section, as they are named when a page begins with it. */
interface Named {
  section: Section;
  /** Of rows 1, 2, … */
  names: string[];
  /** From row 0: the label of each, and the end of all. */
  labels: string[];
}

function named(page: Page, section: Section, what: string): Named {
  const names: string[] = [];
  const labels = [`${what}="${REST}"} `];
  const slices = in_slices(page.pause);
  for (const row of $range(1, section.count)) {
    names[row - 1] = section.names[row - 1]!;
  }
  for (const name of names) {
    labels.push(`${what}="${escape(name)}"} `);
    step(slices, 1);
  }
  return { section, names, labels };
}

/** Whether a row is still that of the name that it had: else no line has that name any more, and none the new one yet. */
function is_still({ section, names }: Named, row: number): boolean {
  return row === 0 || section.names[row - 1] === names[row - 1];
}

/** A family of counters, one line a row. */
function write_counters(page: Page, name: string, help: string, rows: Named, place: number): void {
  family(page, name, "counter", help);
  const series = `\n${name}{`;
  for (const row of $range(0, rows.names.length)) {
    if (is_still(rows, row)) {
      write_row(page, series, rows.labels[row]!, number_at(rows.section, row, place));
    }
  }
}

/**
 * The busiest names of a section, and the rest: 20 series each.
 *
 * @param what the label that names them, and part of the families' names: `route`, `instance`
 */
function write_section(page: Page, section: Section, what: string): void {
  const rows = named(page, section, what);
  const { labels } = rows;
  const prefix = `switchboard_${what}`;
  family(page, `${prefix}_requests_total`, "counter", `Requests by ${what} and status class.`);
  const requests: string[] = [];
  for (const code of CLASS_NAMES) {
    requests.push(`\n${prefix}_requests_total{code="${code}",`);
  }
  for (const row of $range(0, rows.names.length)) {
    for (const i of $range(0, 4)) {
      if (is_still(rows, row)) {
        write_row(page, requests[i]!, labels[row]!, number_at(section, row, CLASSES + i));
      }
    }
  }
  family(page, `${prefix}_duration_seconds`, "histogram", `How long requests took, by ${what}.`);
  const durations = histogram(`${prefix}_duration_seconds`, true);
  for (const row of $range(0, rows.names.length)) {
    if (is_still(rows, row)) {
      write_histogram(page, durations, labels[row]!, section, row);
    }
  }
  write_counters(page, `${prefix}_tries_total`, `Tries by ${what}.`, rows, TRIES);
  write_counters(page, `${prefix}_answers_total`, `Answers of the router itself, by ${what}.`, rows, ANSWERS);
}

export { CLASS_NAMES, number_at, sum_of, write_section, write_totals };
