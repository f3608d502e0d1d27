/**
 * Keeps a snapshot of the known routes in a file, and brings it back when a node starts.
 *
 * What comes from a snapshot is older than anything: a request asks Redis first, and is served by it only when Redis does
 * not answer.
 */

import { Config } from "../config";
import { tell } from "../observe/journal";
import { down_since } from "../store/outage";
import { begin_epoch } from "../store/trust";
import { revision } from "./changes";
import * as dict from "./dict";
import { Dicts } from "./dict";
import { LONG_AGO, Stored } from "./stored";
import { gather_as_usual, gather_little } from "./garbage";
import { checked_epoch } from "./guard";
import { add_all, count, last_page, removals } from "./names";
import { identity_of, RecordKind, ROUTE } from "./snapshot";
import { abandon, add, begin, end, end_frame, read, Writer, Written } from "./snapshot_file";
import { let_go } from "./snapshot_before";
import { walk } from "./walk";

/** Seconds between two snapshots. */
const APART = 10;
/** Seconds between two slices: stock nginx logs a warning at each sleep of none. */
const BREATH = 0.001;

/** Routes that come back together: their names then take their places by few writes. */
const TOGETHER = 64;

const WRITTEN = "snapshot:written";
const COVERS = "snapshot:covers";
const FAILED = "snapshot:failed";
const SERVED = "snapshot:served";

/** What the node has and knows of its snapshot. */
export interface SnapshotState {
  /** The file in its place; undefined: none that is known of. */
  written: Written | undefined;
  /** Routes that came from it, while Redis has not answered for them; 0: none. */
  served: number;
  /** Why it cannot be written; undefined: it can. */
  failed: string | undefined;
}

export interface Keeper {
  config: Config;
  dicts: Dicts;
  path: string | undefined;
  /** Whether this worker may write. */
  may: (this: void) => boolean;
  busy: boolean;
  /** ngx.now() before which none is begun. */
  next: number;
}

function create(config: Config, dicts: Dicts, may: (this: void) => boolean): Keeper {
  return { config, dicts, path: config.snapshot, may, busy: false, next: 0 };
}

function text_at(state: NgxSharedDict, key: string): string {
  const [value] = state.get(key);
  return (value as string | undefined) ?? "";
}

function note_written(state: NgxSharedDict, written: Written, covers: number): void {
  state.set(WRITTEN, string.format("%.3f %d %d", written.time, written.bytes, written.count));
  state.set(COVERS, covers);
}

function last_written(state: NgxSharedDict): Written | undefined {
  const [time, bytes, count] = string.match(text_at(state, WRITTEN), "^(%S+) (%d+) (%d+)$");
  if (time === undefined) {
    return undefined;
  }
  return { time: tonumber(time)!, bytes: tonumber(bytes)!, count: tonumber(count)! };
}

/** For pages. */
function state_of(state: NgxSharedDict): SnapshotState {
  const [epoch, count] = string.match(text_at(state, SERVED), "^(%d+) (%d+)$");
  const waits = epoch !== undefined && checked_epoch(state) <= tonumber(epoch)!;
  const failed = text_at(state, FAILED);
  return {
    written: last_written(state),
    served: waits ? tonumber(count)! : 0,
    failed: failed !== "" ? failed : undefined,
  };
}

/** Whether this node has never known a route, or has lost all that it knew. */
function is_empty(dicts: Dicts): boolean {
  const none_left = last_page(dicts.names) > 0 && count(dicts.names) === 0;
  return dicts.routes.get_keys(1).length === 0 && !none_left;
}

/** Routes that come back together; the lists have one order. */
interface Returning {
  names: string[];
  routes: Stored[];
}

/** @returns for how many there was no room */
function write_back(dicts: Dicts, some: Returning): number {
  const before = removals(dicts.names);
  const pages = add_all(dicts.names, some.names);
  let lost = 0;
  for (const i of $range(0, some.names.length - 1)) {
    const name = some.names[i]!;
    const stored = some.routes[i]!;
    stored.page = pages.get(name);
    const [, err] = dict.write_route(dicts, name, stored, before);
    lost += err === undefined ? 0 : 1;
  }
  some.names = [];
  some.routes = [];
  return lost;
}

/** @returns for how many there was no room */
function bring_back(
  dicts: Dicts,
  some: Returning,
  kind: RecordKind,
  name: string,
  loaded: number,
  text: string,
): number {
  if (kind !== ROUTE) {
    dict.write_match(dicts, name, { loaded: 0, epoch: 0, stamp: 0, pattern: text }, 0);
    return 0;
  }
  some.names.push(name);
  some.routes.push({ loaded, fresh: LONG_AGO, held: false, epoch: 0, stamp: 0, text });
  return some.names.length < TOGETHER ? 0 : write_back(dicts, some);
}

function bring_all_back(config: Config, dicts: Dicts, path: string): void {
  const { state } = dicts;
  let routes = 0;
  let lost = 0;
  const some: Returning = { names: [], routes: [] };
  const oldest = config.snapshot_max_age > 0 ? ngx.time() - config.snapshot_max_age : 0;
  const [written, wrong] = read(path, identity_of(config), oldest, (kind, name, loaded, text) => {
    routes += kind === ROUTE ? 1 : 0;
    lost += bring_back(dicts, some, kind, name, loaded, text);
  });
  lost += write_back(dicts, some);
  if (written === undefined) {
    if (wrong !== undefined) {
      tell(ngx.WARN, "snapshot_refused", `nothing of the snapshot ${path} is used: ${wrong}`);
    }
    return;
  }
  // What is gone from Redis is not believed gone before all of it was checked.
  const epoch = begin_epoch(state);
  note_written(state, written, revision(state));
  if (routes > 0) {
    state.set(SERVED, string.format("%d %d", epoch, routes));
  }
  const what = `${routes} routes from the snapshot ${path}, ${math.floor(ngx.time() - written.time)} s old`;
  if (lost > 0) {
    tell(
      ngx.ERR,
      "snapshot_loaded",
      `${what}: no room for ${lost}, make lua_shared_dict switchboard_routes larger`,
    );
  } else {
    tell(ngx.NOTICE, "snapshot_loaded", what);
  }
}

/**
 * Brings the routes of the snapshot into the dicts, unless they hold some. Call it in the init phase: it blocks, and no
 * request must come before it.
 */
function load(config: Config, dicts: Dicts): void {
  if (config.snapshot === undefined || !is_empty(dicts)) {
    return;
  }
  const [ok, err] = pcall(bring_all_back, config, dicts, config.snapshot);
  if (!ok) {
    tell(ngx.ERR, "bug snapshot", `the snapshot could not be loaded: ${tostring(err)}`);
  }
}

/** @returns nil, or why it could not be written; empty: it is another's to write by now */
function write_routes(keeper: Keeper, writer: Writer): string | undefined {
  let failed: string | undefined = undefined;
  walk(
    keeper.dicts,
    () => {
      failed = end_frame(writer);
      if (failed === undefined) {
        ngx.sleep(BREATH);
        failed = keeper.may() ? undefined : "";
      }
      return failed === undefined;
    },
    (name, stored) => {
      add(writer, ROUTE, name, stored.loaded, stored.text);
      return true;
    },
  );
  return failed;
}

/** @returns why it could not be written; nil when it was, or is another's to write */
function write(keeper: Keeper, path: string): string | undefined {
  const { state } = keeper.dicts;
  const covers = revision(state);
  const [writer, err] = begin(path, identity_of(keeper.config));
  if (writer === undefined) {
    return err;
  }
  if (count(keeper.dicts.names) === 0 && last_written(state) === undefined) {
    // It can be written; a file that was of no use to this node may be of use to its operator.
    abandon(writer);
    state.set(COVERS, covers);
    keeper.next = 0;
    return undefined;
  }
  const failed = write_routes(keeper, writer);
  if (failed !== undefined) {
    abandon(writer);
    return failed !== "" ? failed : undefined;
  }
  const [written, problem] = end(writer, ngx.time());
  let_go(path);
  if (written === undefined) {
    return problem;
  }
  note_written(state, written, covers);
  return undefined;
}

function note_failure(state: NgxSharedDict, path: string, err: string): void {
  if (text_at(state, FAILED) !== err) {
    state.set(FAILED, err);
    tell(ngx.WARN, "snapshot_failed", `could not write the snapshot ${path}, it is tried again: ${err}`);
  }
}

function run(premature: boolean, keeper: Keeper): void {
  const { state } = keeper.dicts;
  const path = keeper.path!;
  if (!premature) {
    gather_little();
    const [ok, err] = pcall(write, keeper, path);
    gather_as_usual();
    if (!ok) {
      tell(ngx.ERR, "bug snapshot", `the snapshot could not be written: ${tostring(err)}`);
    } else if (err !== undefined) {
      note_failure(state, path, err as unknown as string);
    } else {
      state.delete(FAILED);
    }
  }
  keeper.busy = false;
}

/** Whether the file says something else than the node knows, or is about to be too old for what it says. */
function is_due(keeper: Keeper): boolean {
  const { state } = keeper.dicts;
  const [covers] = state.get(COVERS);
  const written = last_written(state);
  if (covers !== revision(state)) {
    return true;
  }
  const { snapshot_max_age } = keeper.config;
  const old =
    written !== undefined && snapshot_max_age > 0 && ngx.time() - written.time > snapshot_max_age / 4;
  return old && down_since(state) === undefined;
}

/** Once a second in the worker that holds the lease. */
function tick(keeper: Keeper): void {
  if (keeper.path === undefined || keeper.busy || ngx.now() < keeper.next) {
    return;
  }
  if (is_due(keeper)) {
    keeper.next = ngx.now() + APART;
    const [started] = ngx.timer.at(0, run, keeper);
    keeper.busy = started !== undefined;
  }
}

export { create, load, state_of, tick };
