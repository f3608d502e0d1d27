/**
 * What the limits of a route make of a request before it is sent: it takes a place on the route and one at an instance,
 * waits for that for a moment, or is refused.
 *
 * In the access phase, as the balancer cannot wait. A retry takes its place there, or is none.
 */

import { is_first, is_waited_for, join, line_of } from "../balance/line";
import { in_queue, on_route } from "../balance/places";
import { count } from "../observe/counters";
import { Entry } from "../route/entry";
import { Limits } from "../route/limits";
import { find, Lookup } from "../route/lookup";
import { look_at_generation } from "../route/worker_cache";
import { choose_place, kept_instance } from "./choose";
import { Vars } from "./find";
import { create as create_hold, Hold, leave_queue, QUEUE, ROUTE, take_place } from "./hold";
import { RequestState } from "./state";

/** Seconds after which the first of a line looks again: places that other workers give back are not told of. */
const LOOK_AGAIN = 0.005;
/** Less is no time for nginx: it would not wait at all. */
const A_MILLISECOND = 0.001;

/** Goes by what the route has become: a new instance has places. Yields where it must be looked up. */
function renew(lookup: Lookup, state: RequestState): void {
  const now = ngx.now();
  if (now !== lookup.cache.tick) {
    look_at_generation(lookup.cache, now);
  }
  if (!state.entry.valid) {
    const [entry] = find(lookup, state.entry.name);
    lookup.found_in = undefined;
    state.entry = entry ?? state.entry;
  }
}

/** Until when (ngx.now()) a request waits that begins to. */
function end_of_wait(limits: Limits, entry: Entry): number {
  const end = ngx.now() + limits.queue_timeout;
  const { timeouts } = entry;
  return timeouts !== undefined ? math.min(end, ngx.req.start_time() + timeouts.deadline) : end;
}

/** Waits for a place; false: none came in time, or too many wait already. */
function wait(lookup: Lookup, state: RequestState, hold: Hold, limits: Limits, line: string): boolean {
  if (limits.queue === 0 || !take_place(hold, QUEUE, in_queue(state.entry.name), limits.queue)) {
    return false;
  }
  const waiter = join(line);
  hold.waiter = waiter;
  count("switchboard_waits_total", 1);
  const end = end_of_wait(limits, state.entry);
  let found = false;
  let left = end - ngx.now();
  while (waiter !== undefined && !found && left > 0) {
    const patience = is_first(waiter) ? math.min(left, LOOK_AGAIN) : left;
    waiter.awake.wait(math.max(patience, A_MILLISECOND));
    if (is_first(waiter)) {
      renew(lookup, state);
      found = choose_place(state, false);
    }
    left = end - ngx.now();
  }
  leave_queue(hold);
  return found;
}

/** Takes a place at an instance. A client that has one of its own waits for that, and takes another when it has waited. */
function find_place(lookup: Lookup, state: RequestState, hold: Hold, limits: Limits): boolean {
  const { entry } = state;
  const { choice, pool } = entry;
  const kept = choice !== undefined ? kept_instance(pool, choice, ngx.var as Vars) : undefined;
  const line = line_of(entry.name, kept?.state.identity);
  return (
    (!is_waited_for(line) && choose_place(state, false)) ||
    wait(lookup, state, hold, limits, line) ||
    (kept !== undefined && choose_place(state, true))
  );
}

/**
 * Lets a request in on a route with limits. Yields while it waits. What it has then is given back with its state.
 *
 * @param whole the route; where it is split, the request goes on to a pool of it
 * @returns which limit it is refused by; undefined: none
 */
function take_places(
  lookup: Lookup,
  whole: Entry,
  state: RequestState,
  limits: Limits,
): "max_inflight" | "max_conns" | undefined {
  // No log phase runs for a subrequest: its places would never be given back.
  if (ngx.is_subrequest) {
    return undefined;
  }
  const hold = create_hold();
  state.hold = hold;
  if (limits.max_inflight > 0 && !take_place(hold, ROUTE, on_route(whole.name), limits.max_inflight)) {
    return "max_inflight";
  }
  if (limits.max_conns > 0 && !find_place(lookup, state, hold, limits)) {
    return "max_conns";
  }
  return undefined;
}

export { take_places };
