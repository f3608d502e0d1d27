/** The families of counters: their totals, and the same by route and by instance. */

import { SERIES, total_of } from "./counters";
import { escape, family, Kind, Page, row as write_row, sample } from "./exposition";
import { REST } from "./ledger";
import { NUMBERS_OF_ROW, Section, Sheet } from "./sheet";
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
/** The same as the end of a series. */
const CODES: string[] = [];
for (const name of CLASS_NAMES) {
  CODES.push(`,code="${name}"} `);
}

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

/** What stands between the other labels of a histogram's bucket and its value. */
function bounds_after(comma: string): string[] {
  const found: string[] = [];
  for (const bound of BOUNDS) {
    found.push(`${comma}le="${string.format("%.14g", bound / 1000)}"} `);
  }
  found.push(`${comma}le="+Inf"} `);
  return found;
}

/** The words of a histogram beside its labels and values. */
interface Histogram {
  bucket: string;
  bounds: string[];
  sum: string;
  count: string;
  end: string;
}

function histogram(name: string, is_labelled: boolean): Histogram {
  const [brace, end] = is_labelled ? ["{", "} "] : ["", " "];
  return {
    bucket: `${name}_bucket{`,
    bounds: bounds_after(is_labelled ? "," : ""),
    sum: `${name}_sum${brace}`,
    count: `${name}_count${brace}`,
    end,
  };
}

/** @param row undefined: all of them together */
function write_histogram(
  page: Page,
  words: Histogram,
  labels: string,
  section: Section,
  row: number | undefined,
): void {
  const { bucket, bounds, end } = words;
  let below = 0;
  for (const i of $range(0, bounds.length - 1)) {
    below += row !== undefined ? number_at(section, row, BUCKETS + i) : sum_of(section, BUCKETS + i);
    write_row(page, bucket, labels, bounds[i]!, below);
  }
  const duration = row !== undefined ? number_at(section, row, DURATION) : sum_of(section, DURATION);
  write_row(page, words.sum, labels, end, duration / 1000);
  write_row(page, words.count, labels, end, below);
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

function labels_of(section: Section, what: string): string[] {
  const labels = [`${what}="${REST}"`];
  for (const name of section.names) {
    labels.push(`${what}="${escape(name)}"`);
  }
  return labels;
}

/**
 * The busiest names of a section, and the rest: 20 series each.
 *
 * @param what the label that names them, and part of the families' names: `route`, `instance`
 */
function write_section(page: Page, section: Section, what: string): void {
  const labels = labels_of(section, what);
  const prefix = `switchboard_${what}`;
  family(page, `${prefix}_requests_total`, "counter", `Requests by ${what} and status class.`);
  const requests = `${prefix}_requests_total{`;
  for (const row of $range(0, section.count)) {
    for (const i of $range(0, 4)) {
      write_row(page, requests, labels[row]!, CODES[i]!, number_at(section, row, CLASSES + i));
    }
  }
  family(page, `${prefix}_duration_seconds`, "histogram", `How long requests took, by ${what}.`);
  const durations = histogram(`${prefix}_duration_seconds`, true);
  for (const row of $range(0, section.count)) {
    write_histogram(page, durations, labels[row]!, section, row);
  }
  family(page, `${prefix}_tries_total`, "counter", `Tries by ${what}.`);
  const tries = `${prefix}_tries_total{`;
  for (const row of $range(0, section.count)) {
    write_row(page, tries, labels[row]!, "} ", number_at(section, row, TRIES));
  }
  family(page, `${prefix}_answers_total`, "counter", `Answers of the router itself, by ${what}.`);
  const answers = `${prefix}_answers_total{`;
  for (const row of $range(0, section.count)) {
    write_row(page, answers, labels[row]!, "} ", number_at(section, row, ANSWERS));
  }
}

export { CLASS_NAMES, number_at, sum_of, write_section, write_totals };
