/**
 * The text of a page of metrics: Prometheus' format 0.0.4, or OpenMetrics 1.0 for who asks for it.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
 */

import { Pause } from "./slices";

export type Kind = "counter" | "gauge" | "histogram";

/**
 * A page that is being written. Its text is never put together here: nginx takes its words one by one. A page of a
 * thousand routes would else be tens of thousands of strings, which the collector sweeps up while requests wait.
 */
export interface Page {
  /** OpenMetrics: counters' families are named without `_total`, and the page has an end. */
  open: boolean;
  words: (string | number)[];
  count: number;
  /** Something was written: all that follows begins with the end of a line. */
  begun: boolean;
  /** Takes the words whenever there are enough of them, and keeps none. */
  write: (this: void, words: (string | number)[]) => void;
  /** After each piece of the work; may yield. */
  pause: Pause;
}

/** Words that are written at once, of 200 lines: two tenths of a millisecond of work. */
const WORDS_AT_ONCE = 600;
/** nginx writes whole numbers below as they are. */
const WHOLE = 1e14;

function create(open: boolean, write: Page["write"], pause: Pause): Page {
  return { open, words: [], count: 0, begun: false, write, pause };
}

/** Writes what there is. */
function flush(page: Page): void {
  const { words, count } = page;
  if (count > 0) {
    // The table is used again: what is left of a longer turn before is no part of this one.
    for (const i of $range(words.length, count + 1, -1)) {
      words[i - 1] = undefined!;
    }
    page.write(words);
    page.count = 0;
    page.pause();
  }
}

/** A value between the quotes of a label. */
function escape(value: string): string {
  if (string.find(value, '[\\\\"\n]')[0] === undefined) {
    return value;
  }
  const [slashes] = string.gsub(value, "\\", "\\\\");
  const [quotes] = string.gsub(slashes, '"', '\\"');
  const [clean] = string.gsub(quotes, "\n", "\\n");
  return clean;
}

/** As nginx writes it; other numbers shorter than nginx would. */
function word_of(value: number): string | number {
  if (value % 1 === 0) {
    return math.abs(value) < WHOLE ? value : string.format("%.0f", value);
  }
  return string.format("%.6g", value);
}

function text(page: Page, words: string): void {
  page.words[page.count] = words;
  page.count += 1;
}

/** Begins a family; all its samples follow before the next one. */
function family(page: Page, name: string, kind: Kind, help: string): void {
  const called = page.open && kind === "counter" ? string.gsub(name, "_total$", "")[0] : name;
  text(page, `${page.begun ? "\n" : ""}# HELP ${called} ${help}\n# TYPE ${called} ${kind}`);
  page.begun = true;
}

/**
 * A sample, from parts that there are anyway: no string is made of them.
 *
 * @param series the end of the line before and what this one begins with, such as `\na_total{code="2xx",`
 * @param labels what comes before the value, such as `route="a.example"} `
 */
function row(page: Page, series: string, labels: string, value: number): void {
  const { words: all, count } = page;
  all[count] = series;
  all[count + 1] = labels;
  all[count + 2] = word_of(value);
  page.count = count + 3;
  if (page.count >= WORDS_AT_ONCE) {
    flush(page);
  }
}

/** @param series its name, and its labels in braces */
function sample(page: Page, series: string, value: number): void {
  row(page, `\n${series}`, " ", value);
}

/** Ends the page. */
function finish(page: Page): void {
  text(page, page.open ? "\n# EOF\n" : "\n");
  flush(page);
}

/** Whether a client takes OpenMetrics, by its Accept header. */
function wants_open_metrics(accept: string | undefined): boolean {
  return (
    accept !== undefined && string.find(accept, "application/openmetrics-text", 1, true)[0] !== undefined
  );
}

/** The Content-Type of a page. */
function content_type(open: boolean): string {
  return open
    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
    : "text/plain; version=0.0.4; charset=utf-8";
}

export { content_type, create, escape, family, finish, flush, row, sample, wants_open_metrics };
