/**
 * What this worker knows of each instance, by its identity.
 *
 * It lives outside the routes: a route that changes is compiled anew, and in-flight counts kept inside would
 * start again at zero while the requests they count are still running.
 */

import { absent } from "../absent";
import { Tally } from "../observe/tally";

export interface InstanceState {
  /** `http://10.0.0.5:8080` */
  identity: string;
  /** Requests of this worker that run on it, to the end of their bodies. */
  in_flight: number;
  /** ngx.now() at which a request of this worker last ended on it with a response; 0: none has. */
  answered_at: number;
  /** False while it is ejected or its checks fail. Written by `set_usable` alone. */
  usable: boolean;
  /** A try on it has failed and none has succeeded since, as far as this worker knows: `health/ward`. */
  suspect: boolean;
  /** Requests of this worker that have ended on it. */
  ended: number;
  /** How many of them are noted with the node, and when that was. */
  noted: number;
  noted_at: number;
  /** ngx.now() at which it became usable again; 0: it always was. */
  recovered_at: number;
  /** ngx.now() since which it waits, not usable, for one request that tries it; 0: it does not. See `set_on_trial`. */
  on_trial_since: number;
  /** Peak-weighted latency in seconds as of `measured_at`; 0: nothing is known. Kept for `ewma` alone. */
  latency: number;
  measured_at: number;
  /** What was counted of it lately, where instances are counted; see observe/tally. */
  tally: Tally | undefined;
}

/** Weak: an instance that no route and no request holds any more is forgotten. */
const states = setmetatable(new LuaTable<string, InstanceState>(), { __mode: "v" });

/** `version` moves whenever an instance becomes usable, stops being so or is to be tried: pools then look again. */
const usability = { version: 1 };

let hook: ((this: void, state: InstanceState) => void) | undefined = undefined;

/** Has every instance looked at that this worker did not know. */
function on_fresh(look: (this: void, state: InstanceState) => void): void {
  hook = look;
}

/** The state of an instance; the same table for as long as anybody holds it. */
function state_of(identity: string): InstanceState {
  const known = states.get(identity);
  if (known !== undefined) {
    return known;
  }
  const fresh: InstanceState = {
    identity,
    in_flight: 0,
    answered_at: 0,
    usable: true,
    suspect: false,
    ended: 0,
    noted: 0,
    noted_at: 0,
    recovered_at: 0,
    on_trial_since: 0,
    latency: 0,
    measured_at: 0,
    tally: absent,
  };
  states.set(identity, fresh);
  if (hook !== undefined) {
    hook(fresh);
  }
  return fresh;
}

/** What this worker knows of an instance; undefined: nothing. Makes nothing known. */
function known_state(identity: string): InstanceState | undefined {
  return states.get(identity) as InstanceState | undefined;
}

/** Of all that this worker knows. */
function each_state(look: (this: void, state: InstanceState) => void): void {
  for (const [, state] of pairs(states)) {
    look(state);
  }
}

/**
 * Lets one request of this worker have an instance that is not usable, or takes that back.
 *
 * @param since ngx.now(); 0: none may
 */
function set_on_trial(state: InstanceState, since: number): void {
  if (state.on_trial_since !== since) {
    state.on_trial_since = since;
    usability.version += 1;
  }
}

/**
 * Takes an instance out of every pool of this worker, or puts it back. The pools notice with their next pick.
 *
 * @param now ngx.now(); from then on it warms up where its route has `slow_start`
 */
function set_usable(state: InstanceState, usable: boolean, now: number): void {
  set_on_trial(state, 0);
  if (state.usable === usable) {
    return;
  }
  state.usable = usable;
  if (usable) {
    state.recovered_at = now;
  }
  usability.version += 1;
}

export { each_state, known_state, on_fresh, set_on_trial, set_usable, state_of, usability };
