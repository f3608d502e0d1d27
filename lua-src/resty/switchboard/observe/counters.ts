/**
 * What the node counts in all, whatever the route. Counting is a table write; the ledger brings it together.
 */

import { flush, Ledger, open, read, tick } from "./ledger";
import { Sheet } from "./sheet";
import { Pause } from "./slices";

/** Every series that is ever counted. A page lists them in this order, and a sheet has its totals in it. */
const SERIES = [
  'switchboard_requests_total{code="1xx"}',
  'switchboard_requests_total{code="2xx"}',
  'switchboard_requests_total{code="3xx"}',
  'switchboard_requests_total{code="4xx"}',
  'switchboard_requests_total{code="5xx"}',
  'switchboard_answers_total{reason="invalid_host"}',
  'switchboard_answers_total{reason="unknown_route"}',
  'switchboard_answers_total{reason="no_instances"}',
  'switchboard_answers_total{reason="name_unresolved"}',
  'switchboard_answers_total{reason="all_dead"}',
  'switchboard_answers_total{reason="store_unreachable"}',
  'switchboard_answers_total{reason="loop"}',
  'switchboard_answers_total{reason="forbidden"}',
  'switchboard_answers_total{reason="maintenance"}',
  'switchboard_answers_total{reason="overloaded"}',
  'switchboard_answers_total{reason="body_too_large"}',
  'switchboard_answers_total{reason="length_required"}',
  'switchboard_answers_total{reason="connect_failed"}',
  'switchboard_answers_total{reason="tls_failed"}',
  'switchboard_answers_total{reason="bad_response"}',
  'switchboard_answers_total{reason="connect_timeout"}',
  'switchboard_answers_total{reason="read_timeout"}',
  'switchboard_retries_total{reason="connect_failed"}',
  'switchboard_retries_total{reason="tls_failed"}',
  'switchboard_retries_total{reason="bad_response"}',
  'switchboard_retries_total{reason="connect_timeout"}',
  'switchboard_retries_total{reason="read_timeout"}',
  'switchboard_retries_total{reason="http_502"}',
  'switchboard_retries_total{reason="http_503"}',
  'switchboard_retries_total{reason="http_504"}',
  "switchboard_waits_total",
  "switchboard_split_passed_total",
  "switchboard_stale_connections_total",
  "switchboard_bad_values_total",
  "switchboard_load_failures_total",
  "switchboard_dead_marks_total",
  "switchboard_ejections_total",
  'switchboard_checks_total{result="passed"}',
  'switchboard_checks_total{result="failed"}',
  "switchboard_watch_changes_total",
  "switchboard_watch_connects_total",
  'switchboard_lookups_total{cache="worker"}',
  'switchboard_lookups_total{cache="shared"}',
  'switchboard_lookups_total{cache="redis"}',
  "switchboard_redis_errors_total",
  'switchboard_redis_duration_seconds_bucket{le="0.001"}',
  'switchboard_redis_duration_seconds_bucket{le="0.005"}',
  'switchboard_redis_duration_seconds_bucket{le="0.025"}',
  'switchboard_redis_duration_seconds_bucket{le="0.1"}',
  'switchboard_redis_duration_seconds_bucket{le="0.25"}',
  'switchboard_redis_duration_seconds_bucket{le="1"}',
  'switchboard_redis_duration_seconds_bucket{le="+Inf"}',
  "switchboard_redis_duration_seconds_sum",
  "switchboard_redis_duration_seconds_count",
] as const;

export type Series = (typeof SERIES)[number];

/** A worker's gauge is forgotten when it has not been renewed for this long (seconds). */
const GAUGE_LIFETIME = 5;

/** Counts before the ledger is open have nowhere to go yet; none matters. */
let ledger: Ledger | undefined = undefined;
const place_of = new LuaTable<string, number>();

/** Opens the ledger in its dict. */
function open_counters(dict: NgxSharedDict): void {
  for (const i of $range(1, SERIES.length)) {
    place_of.set(SERIES[i - 1]!, i - 1);
  }
  const signature = string.format(
    "counts:%08x",
    ngx.crc32_short(table.concat(SERIES as unknown as string[])),
  );
  ledger = open(dict, signature, SERIES.length);
}

function count(series: Series, by: number): void {
  const place = place_of.get(series) as number | undefined;
  if (place !== undefined && ledger !== undefined) {
    ledger.totals[place] = ledger.totals[place]! + by;
  }
}

/** The counter of requests that ended with a status. */
function series_of_status(status: number): Series {
  if (status < 200) {
    return 'switchboard_requests_total{code="1xx"}';
  }
  if (status < 300) {
    return 'switchboard_requests_total{code="2xx"}';
  }
  if (status < 400) {
    return 'switchboard_requests_total{code="3xx"}';
  }
  if (status < 500) {
    return 'switchboard_requests_total{code="4xx"}';
  }
  return 'switchboard_requests_total{code="5xx"}';
}

/** Old workers live on after a reload under the ids of the new ones; they keep a gauge of their own. */
function gauge_key(worker: number, exiting: boolean): string {
  return exiting ? `in_flight:exiting:${worker}` : `in_flight:${worker}`;
}

/**
 * Sends what this worker has counted, and renews its share of the gauge. Once a second.
 *
 * @param in_flight requests of this worker that run right now
 * @returns why something could not be sent; it is sent the next time
 */
function send_counts(state: NgxSharedDict, in_flight: number): string | undefined {
  state.set(gauge_key(ngx.worker.id() ?? 0, ngx.worker.exiting()), in_flight, GAUGE_LIFETIME);
  return tick(ledger!, !ngx.worker.exiting());
}

/** Sends what this worker has counted and nothing else: for a worker that has no timers any more. */
function send_last_counts(): void {
  flush(ledger!);
}

function total_in_flight(state: NgxSharedDict): number {
  let total = 0;
  for (const worker of $range(0, ngx.worker.count() - 1)) {
    const [running] = state.get(gauge_key(worker, false));
    const [ending] = state.get(gauge_key(worker, true));
    total += ((running as number | undefined) ?? 0) + ((ending as number | undefined) ?? 0);
  }
  return total;
}

/** What all workers have counted; see observe/ledger. Yields. @param pause between two pieces of the work */
function read_counts(pause: Pause): Sheet {
  return read(ledger!, pause);
}

/** The place of a series among the totals of a sheet. */
function total_of(sheet: Sheet, series: Series): number {
  return sheet.totals.get(place_of.get(series));
}

export {
  count,
  open_counters,
  read_counts,
  send_counts,
  send_last_counts,
  SERIES,
  series_of_status,
  total_in_flight,
  total_of,
};
