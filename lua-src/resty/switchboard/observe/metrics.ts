/** `/metrics`: for health.conf without the name of any route, for insiders with the busiest routes by name. */

import { list_out } from "../health/verdict";
import { down_since } from "../store/outage";
import { read_counts, total_in_flight } from "./counters";
import { begin as begin_breath } from "./breath";
import {
  content_type,
  create,
  escape,
  family,
  finish,
  flush,
  Page,
  sample,
  wants_open_metrics,
} from "./exposition";
import { SnapshotState } from "../route/snapshot_keeper";
import { write_section, write_totals } from "./families";
import { Watched } from "./health";
import { is_counting } from "./tally";

const MODES = ["tracking", "notifications", "ttl", "none"];

function gauge(page: Page, name: string, help: string, value: number): void {
  family(page, name, "gauge", help);
  sample(page, name, value);
}

function write_store(page: Page, watched: Watched): void {
  const since = down_since(watched.state);
  gauge(
    page,
    "switchboard_redis_up",
    "Whether Redis answered the last time that it was asked.",
    since === undefined ? 1 : 0,
  );
  gauge(
    page,
    "switchboard_staleness_seconds",
    "How old what is served may be because Redis does not answer.",
    since === undefined ? 0 : math.max(0, ngx.now() - since),
  );
  const watch = watched.watch();
  family(page, "switchboard_watch", "gauge", "How the node hears of changes: 1 for the way that is in use.");
  for (const mode of MODES) {
    sample(page, `switchboard_watch{mode="${mode}"}`, mode === watch.mode ? 1 : 0);
  }
  gauge(
    page,
    "switchboard_watch_lag_seconds",
    "How long a change waited lately before it was read.",
    watch.lag,
  );
  gauge(page, "switchboard_routes", "Routes that the node knows.", watch.routes);
  gauge(page, "switchboard_routes_held", "Routes that are gone from Redis and held.", watch.held);
  gauge(
    page,
    "switchboard_routes_complete",
    "Whether all routes of Redis are known.",
    watch.complete ? 1 : 0,
  );
}

function write_snapshot(page: Page, state: SnapshotState): void {
  const { written } = state;
  if (written !== undefined) {
    gauge(
      page,
      "switchboard_snapshot_age_seconds",
      "Since when the snapshot is the same; it is written when a route has changed.",
      math.max(0, ngx.now() - written.time),
    );
    gauge(page, "switchboard_snapshot_size_bytes", "Size of the snapshot.", written.bytes);
  }
  gauge(
    page,
    "switchboard_snapshot_failed",
    "Whether the snapshot could not be written the last time.",
    state.failed !== undefined ? 1 : 0,
  );
  gauge(
    page,
    "switchboard_snapshot_served",
    "Routes of the snapshot, until Redis has answered for all of them.",
    state.served,
  );
}

function write_dicts(page: Page, watched: Watched): void {
  family(page, "switchboard_dict_free_bytes", "gauge", "Free pages of the shared dicts.");
  for (const [name, dict] of pairs(watched.dicts)) {
    sample(page, `switchboard_dict_free_bytes{dict="${name}"}`, dict.free_space());
  }
  family(page, "switchboard_dict_size_bytes", "gauge", "Sizes of the shared dicts.");
  for (const [name, dict] of pairs(watched.dicts)) {
    sample(page, `switchboard_dict_size_bytes{dict="${name}"}`, dict.capacity());
  }
}

/** @param by_name whether instances are named */
function write_ejections(page: Page, state: NgxSharedDict, by_name: boolean): void {
  const out = list_out(state);
  gauge(page, "switchboard_instances_ejected", "Instances that are out now.", out.length);
  if (by_name) {
    family(page, "switchboard_instance_ejected", "gauge", "1 for each instance that is out now.");
    for (const { identity } of out) {
      sample(page, `switchboard_instance_ejected{instance="${escape(identity)}"}`, 1);
    }
  }
}

function print(words: (string | number)[]): void {
  ngx.print(words);
}

/**
 * Answers with the metrics of the node.
 *
 * @param by_name whether the busiest routes, and instances where they are counted, have series of their own
 */
function metrics(watched: Watched, by_name: boolean): void {
  const open = wants_open_metrics(ngx.var.http_accept);
  const header = ngx.header as Record<string, string | number>;
  header["Content-Type"] = content_type(open);
  header["Cache-Control"] = "no-store";
  const [counting, counting_instances] = is_counting();
  const pause = begin_breath();
  const sheet = read_counts(pause);
  const page = create(open, print, pause);
  write_totals(page, sheet, counting);
  flush(page);
  gauge(page, "switchboard_in_flight", "Requests that run right now.", total_in_flight(watched.state));
  write_ejections(page, watched.state, by_name && counting_instances);
  write_store(page, watched);
  if (watched.snapshot !== undefined) {
    write_snapshot(page, watched.snapshot());
  }
  write_dicts(page, watched);
  if (by_name && counting) {
    write_section(page, sheet.sections[0]!, "route");
  }
  if (by_name && counting_instances) {
    write_section(page, sheet.sections[1]!, "instance");
  }
  finish(page);
}

export { metrics };
