/**
 * Whether this node serves, for load balancers and Prometheus. Read-only, and without the name of any route:
 * these pages may be reached from outside.
 */

import { down_since, note_answer } from "../store/outage";
import { note_event } from "./events";

const STARTED = "started";
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

/** Notes whether Redis answered just now. The first note ends the starting phase. */
function note_redis(state: NgxSharedDict, answers: boolean): void {
  const since = down_since(state);
  note_answer(state, answers);
  if (since === undefined && !answers) {
    note_event("store_lost", "", "redis does not answer; known routes are served");
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

function reason_not_ready(watched: Watched): string | undefined {
  if (watched.drain_file !== undefined && exists(watched.drain_file)) {
    return `draining: ${watched.drain_file} exists`;
  }
  if (ngx.worker.exiting()) {
    return "draining: this worker stops when its requests have ended";
  }
  const [started] = watched.state.get(STARTED);
  if (started === undefined) {
    return "starting: start() has not asked Redis yet";
  }
  return undefined;
}

function state_lines(watched: Watched): string[] {
  const lines = ["ready"];
  const since = down_since(watched.state);
  if (since !== undefined) {
    const seconds = math.floor(ngx.now() - since);
    lines.push(`degraded: redis has been unreachable for ${seconds} s; known routes are served`);
  }
  const watch = watched.watch();
  if (watch.held > 0) {
    lines.push(
      `degraded: ${watch.held} of ${watch.held_of} routes are gone from Redis at once and are held; SET switchboard:wiped <unix time> if they were meant to go`,
    );
  }
  if (since === undefined && watch.mode === "none" && watch.reason !== "") {
    lines.push(`degraded: nobody watches Redis, changes are seen after ttl: ${watch.reason}`);
  }
  for (const [name, dict] of pairs(watched.dicts)) {
    if (dict.free_space() < dict.capacity() * SCARCE) {
      lines.push(`degraded: ${name} is nearly full; make its lua_shared_dict larger`);
    }
  }
  return lines;
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
  const not_ready = reason_not_ready(watched);
  if (not_ready !== undefined) {
    plain(503, `${not_ready}\n`);
    return;
  }
  plain(200, `${table.concat(state_lines(watched), "\n")}\n`);
}

export { healthz, note_redis, readyz };
