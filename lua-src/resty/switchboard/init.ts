/**
 * Switchboard: routes each request to one of the instances that stand in Redis for its host.
 *
 * This is what conf files and users call. It only wires: every function hands on to the room that does the
 * work.
 */

import { Admin } from "./admin/context";
import { admit_insider } from "./admin/own_name";
import * as admin_server from "./admin/server";
import { seed_by_worker } from "./balance/dice";
import { open as open_places } from "./balance/places";
import { Config, read_config } from "./config";
import { set_up_compiler } from "./config/compiler";
import { hear, start as start_ward } from "./health/ward";
import { learn } from "./net/listeners";
import { count, open_counters } from "./observe/counters";
import { open_events } from "./observe/events";
import { events as show_events } from "./observe/events_page";
import * as health from "./observe/health";
import { Watched } from "./observe/health";
import { printable, say, tell } from "./observe/journal";
import { metrics as show_metrics } from "./observe/metrics";
import { set_mode } from "./observe/tally";
import { create_asks } from "./request/ask";
import { flush_counts, start as start_beside } from "./request/beside";
import * as phases from "./request/phases";
import { Router } from "./request/phases";
import * as tries from "./request/tries";
import { Dicts, open } from "./route/dict";
import { create as create_lookup } from "./route/lookup";
import { load as load_snapshot, state_of as snapshot_state } from "./route/snapshot_keeper";
import { create as create_overseer, start as oversee } from "./route/overseer";
import { create as create_watch } from "./route/watch";
import { watch_state } from "./route/watch_state";
import { create_layouts } from "./schema/layouts";
import { Problem } from "./schema/record";
import { load_certificate } from "./store/certificate";
import { open_servers } from "./store/server";

const VERSION = "0.1.0";
/** ngx_lua 0.10.28, OpenResty 1.27.1.2: the first whose balancer keeps connections as this module needs it. */
const OLDEST_NGX_LUA = 10028;
/** A bad value is logged again when it is still there after this many seconds. */
const REMIND = 3600;

let router: Router | undefined = undefined;
let watched: Watched | undefined = undefined;

function configured(): Router {
  if (router === undefined) {
    error(
      "switchboard is not configured: include switchboard/init.conf in http {}, or call configure{} in your init_by_lua_block",
      0,
    );
  }
  return router!;
}

/** One line per bad value and node, however many workers and loads come upon it. */
function report_problem(dicts: Dicts, name: string, problem: Problem): void {
  count("switchboard_bad_values_total", 1);
  const where = problem.key !== "" ? problem.key : name;
  const [first] = dicts.matches.add(
    `told:${ngx.md5(`${where}\n${problem.value}\n${problem.reason}`)}`,
    1,
    REMIND,
  );
  if (first) {
    say(
      ngx.WARN,
      "value_skipped",
      where,
      0,
      `skipped in ${printable(where)}: "${printable(problem.value)}": ${printable(problem.reason)}`,
    );
  }
}

function create_router(config: Config, dicts: Dicts): Router {
  const lookup = create_lookup(
    config,
    create_layouts(config),
    dicts,
    (name, problem) => report_problem(dicts, name, problem),
    (name, err) => {
      count("switchboard_load_failures_total", 1);
      tell(ngx.ERR, "refresh_failed", `could not refresh ${printable(name)}: ${printable(err)}`);
    },
    hear,
  );
  return {
    config,
    asks: create_asks(config.worker_cache),
    lookup,
    listens_to_proxies: config.trusted_proxies.length > 0,
    chooses_schema: config.server_schemas.length > 0,
    explains: config.debug_token !== "",
  };
}

/**
 * Reads the options and makes the module ready. Call it once, in init_by_lua.
 *
 * Options come from the table, then from SWITCHBOARD_* of the environment, then from the defaults; the
 * README lists them. A mistake raises an error whose first line names the option, its value and what is
 * allowed, so that nginx does not start with it.
 *
 * @param options snake_case names; undefined for the environment and the defaults alone
 */
function configure(options?: Record<string, unknown>): void {
  if (ngx.config.ngx_lua_version < OLDEST_NGX_LUA) {
    error(
      `configure: ngx_lua ${ngx.config.ngx_lua_version} is too old: OpenResty 1.27.1.2 (ngx_lua 0.10.28) or later is needed`,
      2,
    );
  }
  const config = read_config(options, 3);
  set_up_compiler();
  const dicts = open();
  open_places(dicts.state);
  open_counters(dicts.metrics);
  open_events(dicts.metrics);
  open_servers(dicts.state);
  load_certificate(config);
  set_mode(config.observe);
  load_snapshot(config, dicts);
  router = create_router(config, dicts);
  watched = {
    state: dicts.state,
    dicts: {
      switchboard_routes: dicts.routes,
      switchboard_matches: dicts.matches,
      switchboard_state: dicts.state,
      switchboard_names: dicts.names,
      switchboard_metrics: dicts.metrics,
    },
    drain_file: config.drain_file,
    watch: () => watch_state(dicts),
    snapshot: config.snapshot !== undefined ? () => snapshot_state(dicts.state) : undefined,
  };
}

/** Starts what runs beside the requests. Call it in init_worker_by_lua. */
function start(): void {
  const active = configured();
  seed_by_worker();
  start_ward(active.lookup.dicts.state);
  learn();
  const { lookup } = active;
  start_beside(active.config, lookup);
  const watch = create_watch(active.config, lookup.dicts, lookup.loader);
  oversee(create_overseer(watch, () => lookup.hits + lookup.misses));
}

/** For access_by_lua of a location that proxies to `switchboard`. */
function access(): void {
  phases.access(router ?? configured(), false);
}

/** For access_by_lua of the locations of prepared.conf, to which requests come from `access`. */
function access_prepared(): void {
  phases.access(router ?? configured(), true);
}

/** For balancer_by_lua of the upstream `switchboard`. */
function balance(): void {
  tries.balance((router ?? configured()).config);
}

/** For header_filter_by_lua at http level: names the reason of a 502 or 504 after failed tries. */
function header_filter(): void {
  if (router !== undefined) {
    phases.header_filter(router.config);
  }
}

/** For log_by_lua at http level; it leaves requests of others alone. */
function log(): void {
  if (router !== undefined) {
    phases.log(router.config);
  }
}

/** For the location of errors.conf: answers a request whose tries have failed. */
function failed(): void {
  phases.failed(configured());
}

/** For content_by_lua of `/healthz`. */
function healthz(): void {
  health.healthz();
}

/** For content_by_lua of `/readyz`. */
function readyz(): void {
  configured();
  health.readyz(watched!);
}

/** For content_by_lua of `/metrics` where anybody may ask: totals, without the name of any route. */
function metrics(): void {
  flush_counts(configured().lookup);
  show_metrics(watched!, false);
}

function show_metrics_by_name(): void {
  flush_counts(configured().lookup);
  show_metrics(watched!, true);
}

/** For content_by_lua of a `/metrics` for insiders: the busiest routes have series of their own. */
function metrics_by_name(): void {
  if (admit_insider()) {
    show_metrics_by_name();
  }
}

/** For content_by_lua of `/events` for insiders: what has changed lately, as JSON. */
function events(): void {
  configured();
  if (admit_insider()) {
    show_events();
  }
}

function administered(): Admin {
  return { router: configured(), watched: watched!, version: VERSION };
}

/** For content_by_lua of the locations of admin.conf. */
function admin(): void {
  admin_server.serve(administered(), { "/metrics": show_metrics_by_name, "/events": show_events });
}

/** For access_by_lua of further locations of the admin server: answers 401 or 403 to who may not see them. */
function admin_access(): void {
  if (!admin_server.admit(administered())) {
    ngx.exit(ngx.status);
  }
}

/** For access_by_lua of the dashboard's files: answers 403 where no token is set and other machines reach them. */
function admin_page_access(): void {
  if (!admin_server.admit_page(administered())) {
    ngx.exit(ngx.status);
  }
}

/** For the location of admin.conf that says in JSON what nginx has refused. */
function admin_error(): void {
  admin_server.serve_error();
}

export {
  access,
  access_prepared,
  admin,
  admin_access,
  admin_error,
  admin_page_access,
  balance,
  configure,
  events,
  failed,
  header_filter,
  healthz,
  log,
  metrics,
  metrics_by_name,
  readyz,
  start,
  VERSION as _VERSION,
};
