/**
 * What this worker has counted, brought into the shared dict once a second.
 *
 * Counting is a table write; a shared-dict write per request would take the lock that all workers share.
 */

/** Every series that is ever counted, so that a page can list them without walking the dict. */
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
  'switchboard_answers_total{reason="body_too_large"}',
  'switchboard_answers_total{reason="length_required"}',
  'switchboard_answers_total{reason="connect_failed"}',
  'switchboard_answers_total{reason="tls_failed"}',
  'switchboard_answers_total{reason="bad_response"}',
  'switchboard_answers_total{reason="connect_timeout"}',
  'switchboard_answers_total{reason="read_timeout"}',
  "switchboard_tries_total",
  "switchboard_retries_total",
  "switchboard_split_passed_total",
  "switchboard_stale_connections_total",
  "switchboard_bad_values_total",
  "switchboard_load_failures_total",
  "switchboard_dead_marks_total",
  "switchboard_watch_changes_total",
  "switchboard_watch_connects_total",
  'switchboard_lookups_total{cache="worker"}',
  'switchboard_lookups_total{cache="shared"}',
] as const;

export type Series = (typeof SERIES)[number];

/** Counts since the last flush. */
const counts = new LuaTable<string, number>();
const PREFIX = "count:";
/** A worker's gauge is forgotten when it has not been renewed for this long (seconds). */
const GAUGE_LIFETIME = 5;

function count(series: Series, by: number): void {
  counts.set(series, (counts.get(series) ?? 0) + by);
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
 * Adds what was counted to the shared dict, and renews this worker's share of the gauge.
 *
 * @param in_flight requests of this worker that run right now
 */
function flush(state: NgxSharedDict, in_flight: number): void {
  for (const series of SERIES) {
    const by = counts.get(series);
    if (by !== undefined && by > 0) {
      const [total] = state.incr(`${PREFIX}${series}`, by, 0);
      if (total !== undefined) {
        counts.set(series, 0);
      }
    }
  }
  state.set(gauge_key(ngx.worker.id() ?? 0, ngx.worker.exiting()), in_flight, GAUGE_LIFETIME);
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

/** Calls back with each series and its total over all workers. */
function each(state: NgxSharedDict, tell: (this: void, series: string, total: number) => void): void {
  for (const series of SERIES) {
    const [total] = state.get(`${PREFIX}${series}`);
    tell(series, (total as number | undefined) ?? 0);
  }
}

export { count, each, flush, series_of_status, total_in_flight };
