/**
 * The worker that holds the lease listens to what Redis says has changed, and brings it into the shared
 * dicts; the other workers hear of it by the ring of changed names.
 */

import { Config } from "../config";
import { count } from "../observe/counters";
import { tell } from "../observe/journal";
import { names_of_keys, prefixes_of } from "../schema/layout";
import { run_id, WIPED_KEY } from "../store/identity";
import { create as create_lease, holds, Lease, look, release } from "../store/lease";
import { close, has_more, hear, Heard, keep_asking, listen, Listener, Mode } from "../store/listener";
import { has_moved, is_same, Server, settle_on, settled } from "../store/server";
import { settle } from "../store/settle";
import { begin_epoch, confirm, lose } from "../store/trust";
import { create as create_breath, note as note_changes, pause_of } from "./breath";
import { publish } from "./changes";
import { Dicts } from "./dict";
import { Loader } from "./loader";
import { create as create_renewal, note, Renewal, start_over, take_lag, try_again } from "./renewal";
import { note_lag, note_mode } from "./watch_state";
import { EVERYTHING } from "./worker_cache";

/** Seconds until a lost connection is made again. */
const RETRY = 0.1;
/** Seconds until a watch that was refused is asked for again: rights and settings change. */
const ASK_AGAIN = 60;
/** Seconds between two looks at who answers, where Redis tells nothing by itself, and at who is the master. */
const LOOK_EVERY = 1;
/** Seconds between two words to the node that the watch is well. */
const TELL_EVERY = 0.5;

export interface Watch {
  config: Config;
  dicts: Dicts;
  loader: Loader;
  lease: Lease;
  renewal: Renewal;
  /** Hears that an epoch has begun. */
  begun: (this: void) => void;
  prefixes: string[];
  /** A session runs in this worker. */
  running: boolean;
  /** The server that it watches; undefined: none answers. */
  server: Server | undefined;
  /** The epoch that this worker's watch hears all of; 0: it does not. */
  hears: number;
  /** The epoch that it began last, for who checks all names; 0: none. */
  epoch: number;
  /** ngx.now() at which the node was told last how the watch is. */
  told: number;
  /** `switchboard:wiped` was written. */
  wiped: boolean;
}

/** What was read before needs a second look by everybody. */
function new_epoch(watch: Watch): void {
  watch.epoch = begin_epoch(watch.dicts.state);
  if (watch.hears > 0) {
    watch.hears = watch.epoch;
    confirm(watch.dicts.state, watch.epoch);
  }
  publish(watch.dicts.state, EVERYTHING);
  start_over(watch.renewal);
  watch.begun();
}

function stop_hearing(watch: Watch): void {
  if (watch.hears > 0) {
    watch.hears = 0;
    lose(watch.dicts.state);
    publish(watch.dicts.state, EVERYTHING);
  }
}

function take_in(watch: Watch, heard: Heard): void {
  for (const key of heard.keys) {
    watch.wiped = watch.wiped || key === WIPED_KEY;
  }
  for (const name of names_of_keys(watch.loader.layouts, heard.keys)) {
    note(watch.renewal, name);
  }
  if (heard.keys.length > 0) {
    count("switchboard_watch_changes_total", heard.keys.length);
  }
  if (heard.flushed) {
    tell(ngx.ERR, "flushed", "Redis was flushed: what is known is served on until all of it was checked");
    new_epoch(watch);
  }
}

/** Asks the sentinels now and then whether the master is still the one that is watched. */
function look_for_master(watch: Watch, listener: Listener): void {
  const { config } = watch;
  while (config.redis_url.master !== undefined && !listener.closed && !listener.outdated) {
    ngx.sleep(LOOK_EVERY);
    listener.outdated = has_moved(config, ngx.now() + config.redis_timeout);
  }
}

/** Hears until the connection breaks, the master has moved, or the lease is another's. */
function hear_on(watch: Watch, listener: Listener): string | undefined {
  const goes_on = (): boolean => !ngx.worker.exiting() && !listener.outdated && holds(watch.lease);
  ngx.thread.spawn(keep_asking, listener, goes_on);
  ngx.thread.spawn(look_for_master, watch, listener);
  const breath = create_breath();
  while (!ngx.worker.exiting()) {
    const [heard, err] = hear(listener);
    if (listener.outdated) {
      return "the master is another server now";
    }
    if (heard === undefined) {
      return err;
    }
    if (!holds(watch.lease)) {
      return undefined;
    }
    take_in(watch, heard);
    note_changes(breath, heard.keys.length);
    const pause = has_more(listener) ? 0 : pause_of(breath);
    if (pause > 0) {
      ngx.sleep(pause);
    }
  }
  return undefined;
}

function listen_with(watch: Watch, server: Server, listener: Listener, instead_of: string): void {
  const { mode } = listener;
  note_mode(watch.dicts.state, mode, instead_of);
  tell(ngx.NOTICE, `watch_begins ${mode}`, `watching ${server.label} by ${mode}`);
  count("switchboard_watch_connects_total", 1);
  // Notifications do not tell of a flush: routes age as without them.
  watch.hears = mode === "tracking" ? 1 : 0;
  new_epoch(watch);
  const err = hear_on(watch, listener);
  close(listener);
  if (holds(watch.lease)) {
    stop_hearing(watch);
  } else {
    watch.hears = 0;
  }
  if (err !== undefined) {
    note_mode(watch.dicts.state, "none", err);
    tell(ngx.ERR, `watch_lost ${err}`, `lost the watch of ${server.label}: ${err}`);
  }
}

/** A server that answers, or why there is none. */
function reach(watch: Watch): LuaMultiReturn<[Server, undefined] | [undefined, string]> {
  const [server, moved] = settle(watch.config);
  watch.server = server;
  if (server === undefined) {
    return $multi(undefined, moved);
  }
  if (moved) {
    tell(ngx.NOTICE, `store_moved ${server.label}`, `asking ${server.label} from now on`);
  }
  return $multi(server, undefined);
}

/** Where Redis tells nothing by itself, at least another server is noticed. */
function poll(watch: Watch, reason: string): void {
  const { config } = watch;
  note_mode(watch.dicts.state, "ttl", reason);
  new_epoch(watch);
  const [until, was] = [ngx.now() + ASK_AGAIN, run_id(config)];
  let last = was;
  let missed = false;
  while (holds(watch.lease) && !ngx.worker.exiting() && (config.watch === "off" || ngx.now() < until)) {
    ngx.sleep(LOOK_EVERY);
    const before = watch.server;
    if (missed || has_moved(config, ngx.now() + config.redis_timeout)) {
      reach(watch);
    }
    const switched = watch.server !== undefined && !is_same(before, watch.server);
    const id = run_id(config);
    const other = id !== undefined && last !== undefined && (id !== last || missed);
    if (switched || other) {
      new_epoch(watch);
    }
    last = id ?? last;
    missed = id === undefined;
  }
}

function wanted_modes(watch: Watch): Mode[] {
  const { watch: wanted } = watch.config;
  return wanted === "auto" ? ["tracking", "notifications"] : wanted === "off" ? [] : [wanted];
}

/** One connection, or one reason why there is none. */
function try_modes(watch: Watch): void {
  const reasons: string[] = [];
  const [server, unreachable] = reach(watch);
  if (server === undefined) {
    note_mode(watch.dicts.state, "none", unreachable);
    return;
  }
  if (watch.prefixes.length === 0) {
    poll(watch, "keys may begin with anything: key_format has nothing before {name}");
    return;
  }
  for (const mode of wanted_modes(watch)) {
    const [listener, err, refused] = listen(watch.config, watch.prefixes, mode);
    if (listener !== undefined) {
      listen_with(watch, server, listener, table.concat(reasons, "; "));
      return;
    }
    if (!refused) {
      note_mode(watch.dicts.state, "none", err);
      return;
    }
    reasons.push(`${mode}: ${err}`);
  }
  const reason = table.concat(reasons, "; ");
  if (reason !== "") {
    tell(ngx.WARN, "watch_refused", `Redis tells of no changes, routes are read again every ttl: ${reason}`);
  }
  poll(watch, reason !== "" ? reason : "watch=off");
}

function start_session(watch: Watch, after: number): boolean {
  const [started] = ngx.timer.at(after, session, watch);
  return started !== undefined;
}

function session(premature: boolean, watch: Watch): void {
  if (!premature && holds(watch.lease) && !ngx.worker.exiting()) {
    const [ok, err] = pcall(try_modes, watch);
    if (!ok) {
      tell(ngx.ERR, "bug watch", `the watch failed: ${tostring(err)}`);
    }
  }
  watch.hears = 0;
  watch.server = undefined;
  // nginx gives a timer's memory back when it ends: each connection has one of its own.
  const again = !premature && holds(watch.lease) && !ngx.worker.exiting();
  watch.running = again && start_session(watch, RETRY);
}

/**
 * Call it in every worker when `rest` of store/lease says that a look is due.
 *
 * @param exiting gives the lease back
 * @returns whether this worker is the one that watches
 */
function tick(watch: Watch, exiting: boolean): boolean {
  if (exiting) {
    release(watch.lease);
    return false;
  }
  if (!look(watch.lease)) {
    return false;
  }
  if (!watch.running) {
    watch.running = start_session(watch, 0);
  }
  const now = ngx.now();
  if (now - watch.told >= TELL_EVERY) {
    watch.told = now;
    if (watch.server !== undefined && !is_same(settled(watch.config), watch.server)) {
      // The dict had no room for it, or a worker that held the lease before came back late.
      settle_on(watch.config, watch.server);
      new_epoch(watch);
    }
    if (watch.hears > 0) {
      confirm(watch.dicts.state, watch.hears);
      try_again(watch.renewal);
    }
    note_lag(watch.dicts.state, take_lag(watch.renewal));
  }
  return true;
}

function create(config: Config, dicts: Dicts, loader: Loader): Watch {
  return {
    config,
    dicts,
    loader,
    lease: create_lease(dicts.state),
    renewal: create_renewal(loader),
    begun: () => {},
    prefixes: prefixes_of(loader.layouts, [WIPED_KEY]),
    running: false,
    server: undefined,
    hears: 0,
    epoch: 0,
    told: 0,
    wiped: false,
  };
}

export { create, tick };
