/**
 * What a request carries from access over its tries to the log phase.
 *
 * Kept by the address of nginx's request structure, not in `ngx.ctx`: an internal redirect (`error_page`, an
 * app's X-Accel-Redirect) empties `ngx.ctx` but keeps the request, and in-flight counts would never come
 * down again. Tables are used again, so that a request allocates none.
 */

import { absent } from "../absent";
import { cast } from "ffi";
import { give_back } from "../balance/budget";
import { Peer } from "../balance/peer";
import { Entry } from "../route/entry";
import { FoundIn } from "../route/lookup";
import { Reason } from "./answer";
import { Notes } from "./debug";
import { Hold, let_go } from "./hold";
import { get_request, Request } from "./nginx";

/** Nothing yet: the budget is asked when a try has failed. */
const NO_GRANT = 0;
/** A retry is promised. */
const RESERVED = 1;
/** There is none. */
const WITHHELD = 2;

export interface RequestState {
  entry: Entry;
  /** Where the running try goes. */
  peer: Peer | undefined;
  /** Tries so far, the running one included; one more on a fresh connection does not count. */
  tries: number;
  /** What the budget says to a further try; see below. */
  grant: typeof NO_GRANT | typeof RESERVED | typeof WITHHELD;
  /** Peers whose tries failed. */
  tried: Peer[];
  /** The places that it has; undefined: its route has no limits. */
  hold: Hold | undefined;
  /** What explains the request, for who may see it; undefined: nobody asks. */
  notes: Notes | undefined;
  /** The running try may use a connection from the pool. */
  pooled: boolean;
  /** Why the last try before the running one failed, or `http_503`. Only meant with more than one try. */
  retry_reason: string | undefined;
  /** The cache in which the route was found; undefined: the worker's own, as almost always. */
  found_in: FoundIn | undefined;
  /** Why all tries failed, once that is known. */
  reason: Reason | undefined;
  /** The client wants to speak another protocol, such as WebSocket. */
  upgrade: boolean;
}

/**
 * By the address of the request. Each function below works it out itself: a function of its own is so small that LuaJIT
 * begins traces in it, which end in its callers and come to nothing, again and again.
 */
const live = new LuaTable<number, RequestState>();
const spare: RequestState[] = [];
let spare_count = 0;
let running = 0;

/** More spare tables than this are left to the garbage collector after a burst. */
const MOST_SPARE = 1024;

/** The running request's state; undefined when `begin` was not called for it. */
function current(): RequestState | undefined {
  return live.get(tonumber(cast("uintptr_t", get_request()))!);
}

/** Takes the running try off its instance. */
function release(state: RequestState): void {
  const peer = state.peer;
  if (peer !== undefined) {
    peer.state.in_flight -= 1;
    state.peer = undefined;
  }
}

function forget_grant(state: RequestState): void {
  if (state.grant === RESERVED) {
    give_back(state.entry.budget);
  }
  state.grant = NO_GRANT;
}

function forget_hold(state: RequestState): void {
  if (state.hold !== undefined) {
    let_go(state.hold, state.entry.name);
    state.hold = undefined;
  }
}

function forget_tried(state: RequestState): void {
  for (const i of $range(state.tried.length, 1, -1)) {
    state.tried[i - 1] = undefined!;
  }
}

/**
 * Starts a request on a route; one that was redirected into a route again starts anew.
 *
 * @returns its state, and whether it was redirected
 */
function begin(request: Request, entry: Entry): LuaMultiReturn<[RequestState, boolean]> {
  const key = tonumber(cast("uintptr_t", request))!;
  let state = live.get(key);
  if (state !== undefined) {
    release(state);
    forget_tried(state);
    forget_grant(state);
    forget_hold(state);
    state.entry = entry;
    state.tries = 0;
    state.reason = undefined;
    state.notes = undefined;
    state.upgrade = false;
    return $multi(state, true);
  }
  if (spare_count > 0) {
    spare_count -= 1;
    state = spare[spare_count]!;
    state.entry = entry;
  } else {
    state = {
      entry,
      peer: absent,
      tries: 0,
      grant: NO_GRANT,
      tried: [],
      hold: absent,
      notes: absent,
      pooled: false,
      retry_reason: absent,
      found_in: absent,
      reason: absent,
      upgrade: false,
    };
  }
  live.set(key, state);
  running += 1;
  return $multi(state, false);
}

/** Ends the running request's state. */
function end(state: RequestState): void {
  if (state.peer !== undefined && state.reason === undefined) {
    state.peer.state.answered_at = ngx.now();
    state.peer.state.ended += 1;
  }
  release(state);
  if (state.grant !== NO_GRANT) {
    forget_grant(state);
  }
  if (state.hold !== undefined) {
    forget_hold(state);
  }
  live.delete(tonumber(cast("uintptr_t", get_request()))!);
  running -= 1;
  if (spare_count < MOST_SPARE) {
    if (state.tried[0] !== undefined) {
      forget_tried(state);
    }
    state.tries = 0;
    state.reason = undefined;
    state.notes = undefined;
    state.upgrade = false;
    spare[spare_count] = state;
    spare_count += 1;
  }
}

/** Requests of this worker that run right now. */
function in_flight(): number {
  return running;
}

export { begin, current, end, in_flight, NO_GRANT, release, RESERVED, WITHHELD };
