/**
 * Whether this node serves, for load balancers and Prometheus. Read-only, and without the name of any route:
 * these pages may be reached from outside.
 */

import { down_because, down_since, note_answer, trouble } from "../store/outage";
import { cause_of } from "../store/refusal";
import { SnapshotState } from "../route/snapshot_keeper";
import { note_event } from "./events";

const STARTED = "started";
const MATCHES = "switchboard_matches";
/** Below this share of free room a dict is said to be nearly full. */
const SCARCE = 0.05;

/** The state dict and those whose room is watched, by name. */
export interface Watched {
  state: NgxSharedDict;
  dicts: Record<string, NgxSharedDict>;
  /** Its existence means that this node is about to stop. */
  drain_file: string | undefined;
  /** What the watch of Redis has to say. */
  watch: (this: void) => WatchState;
  /** What it knows of its snapshot; undefined: none is kept. */
  snapshot: ((this: void) => SnapshotState) | undefined;
}

/** How this node hears of changes, and what it holds against them. */
export interface WatchState {
  /** `tracking`, `notifications`, `ttl` or `none`. */
  mode: string;
  /** Why it is not the best. */
  reason: string;
  /** Seconds that a change waited lately before it was read. */
  lag: number;
  /** Routes that this node knows. */
  routes: number;
  /** Routes that are gone from Redis and held. */
  held: number;
  /** Of so many. */
  held_of: number;
  /** All routes stand in the dict. */
  complete: boolean;
}

/**
 * Notes whether Redis answered just now. The first note ends the starting phase.
 *
 * @param err why it did not
 */
function note_redis(state: NgxSharedDict, answers: boolean, err: string | undefined): void {
  const since = down_since(state);
  note_answer(state, answers, err);
  if (since === undefined && !answers) {
    note_event("store_lost", "", `redis does not answer: ${cause_of(err ?? "")}; known routes are served`);
  } else if (since !== undefined && answers) {
    note_event("store_back", "", string.format("after %.0f s", ngx.now() - since));
  }
  state.set(STARTED, true);
}

function exists(path: string): boolean {
  const [file] = io.open(path, "r");
  if (file === undefined) {
    return false;
  }
  file.close();
  return true;
}

/** Why a node is not ready, or not well: a word that stays, and what an operator should know. */
export interface Trouble {
  reason: string;
  detail: string;
}

/** Why requests should not come here; undefined: they may. */
function not_ready(watched: Watched): Trouble | undefined {
  if (watched.drain_file !== undefined && exists(watched.drain_file)) {
    return { reason: "draining", detail: `${watched.drain_file} exists` };
  }
  if (ngx.worker.exiting()) {
    return { reason: "draining", detail: "this worker stops when its requests have ended" };
  }
  const [started] = watched.state.get(STARTED);
  if (started === undefined) {
    return { reason: "starting", detail: "start() has not asked Redis yet" };
  }
  return undefined;
}

/** What is not well while the node serves. */
function troubles(watched: Watched): Trouble[] {
  const found: Trouble[] = [];
  const since = down_since(watched.state);
  if (since !== undefined) {
    const seconds = math.floor(ngx.now() - since);
    found.push({
      reason: "store_down",
      detail: `redis has been unreachable for ${seconds} s: ${cause_of(down_because(watched.state))}; known routes are served`,
    });
  }
  const useless = trouble(watched.state);
  if (since === undefined && useless !== undefined) {
    found.push({
      reason: "store_trouble",
      detail: `redis answers, but a route could not be read: ${cause_of(useless)}; known routes are served`,
    });
  }
  const watch = watched.watch();
  if (watch.held > 0) {
    found.push({
      reason: "guard_holding",
      detail: `${watch.held} of ${watch.held_of} routes are gone from Redis at once and are held; SET switchboard:wiped <unix time> if they were meant to go`,
    });
  }
  if (since === undefined && watch.mode === "none" && watch.reason !== "") {
    found.push({
      reason: "unwatched",
      detail: `nobody watches Redis, changes are seen after ttl: ${watch.reason}`,
    });
  }
  const snapshot = watched.snapshot !== undefined ? watched.snapshot() : undefined;
  if (snapshot !== undefined && snapshot.served > 0) {
    found.push({
      reason: "snapshot",
      detail: `snapshot: ${snapshot.served} routes are those of the snapshot, Redis has not answered for all of them yet`,
    });
  }
  if (snapshot?.failed !== undefined) {
    found.push({
      reason: "snapshot_failed",
      detail: `the snapshot cannot be written: ${snapshot.failed}`,
    });
  }
  for (const [name, dict] of pairs(watched.dicts)) {
    // Of what fills and empties with whatever hosts clients make up, being full says nothing.
    if (name !== MATCHES && dict.free_space() < dict.capacity() * SCARCE) {
      found.push({
        reason: "dict_nearly_full",
        detail: `${name} is nearly full; make its lua_shared_dict larger`,
      });
    }
  }
  return found;
}

function plain(status: number, body: string): void {
  ngx.status = status;
  const header = ngx.header as Record<string, string | number>;
  header["Content-Type"] = "text/plain; charset=utf-8";
  header["Cache-Control"] = "no-store";
  ngx.print(body);
}

/** `/healthz`: the process serves. */
function healthz(): void {
  plain(200, "ok\n");
}

/** `/readyz`: 200 when requests should come here; 503 with the reasons when not. */
function readyz(watched: Watched): void {
  const trouble = not_ready(watched);
  if (trouble !== undefined) {
    plain(503, `${trouble.reason}: ${trouble.detail}\n`);
    return;
  }
  const lines = ["ready"];
  for (const { detail } of troubles(watched)) {
    lines.push(`degraded: ${detail}`);
  }
  plain(200, `${table.concat(lines, "\n")}\n`);
}

export { healthz, not_ready, note_redis, readyz, troubles };
