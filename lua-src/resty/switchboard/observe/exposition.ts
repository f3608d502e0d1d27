/**
 * The text of a page of metrics: Prometheus' format 0.0.4, or OpenMetrics 1.0 for who asks for it.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
 */

export type Kind = "counter" | "gauge" | "histogram";

export interface Page {
  /** OpenMetrics: counters' families are named without `_total`, and the page has an end. */
  open: boolean;
  lines: string[];
  count: number;
  /** Takes the text whenever there is enough of it; may yield. */
  write: (this: void, text: string) => void;
}

/** Lines that are written at once: some tenths of a millisecond of work. */
const LINES_AT_ONCE = 250;
const WHOLE = 9007199254740992;

function create(open: boolean, write: (this: void, text: string) => void): Page {
  return { open, lines: [], count: 0, write };
}

function flush(page: Page): void {
  if (page.count > 0) {
    page.lines.push("");
    page.write(table.concat(page.lines, "\n"));
    page.lines = [];
    page.count = 0;
  }
}

function line(page: Page, text: string): void {
  page.lines[page.count] = text;
  page.count += 1;
  if (page.count >= LINES_AT_ONCE) {
    flush(page);
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

function text_of(value: number): string {
  return value % 1 === 0 && math.abs(value) < WHOLE
    ? string.format("%d", value)
    : string.format("%.6g", value);
}

/** Begins a family; all its samples follow before the next one. */
function family(page: Page, name: string, kind: Kind, help: string): void {
  const called = page.open && kind === "counter" ? string.gsub(name, "_total$", "")[0] : name;
  line(page, `# HELP ${called} ${help}`);
  line(page, `# TYPE ${called} ${kind}`);
}

/** @param series its name, and its labels in braces */
function sample(page: Page, series: string, value: number): void {
  line(page, `${series} ${text_of(value)}`);
}

/** Ends the page. */
function finish(page: Page): void {
  if (page.open) {
    line(page, "# EOF");
  }
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

export { content_type, create, escape, family, finish, sample, wants_open_metrics };
