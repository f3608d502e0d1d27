/** The first choice of an instance, where the route asks more of it than an algorithm without a key. */

import { throw_below } from "../balance/dice";
import { note_answer, note_failure } from "../balance/latency";
import { Fits, pick_fitting, pick_untried } from "../balance/free";
import { Peer } from "../balance/peer";
import { pick, Pool } from "../balance/pool";
import { Sticky } from "../balance/sticky";
import { Choice } from "../route/balancing";
import { Vars } from "./find";
import { came_by_tls } from "./forwarded";
import { bounds_instances, take_place_at } from "./hold";
import { of_last_try } from "./last_try";
import { RequestState } from "./state";

const NONE: Peer[] = [];
const SERVER_ERROR = 500;
const ANY_KEY = 4294967296;

/**
 * The request's key by its text; without one (no such header) it may go anywhere. A caller reads the variable
 * itself: LuaJIT gives up on small functions that do and return.
 */
function key_of(text: string | undefined): number {
  return text !== undefined && text !== "" ? ngx.crc32_short(text) : throw_below(ANY_KEY);
}

/**
 * The instance that the request's cookie means.
 *
 * @param vars of the request
 */
function of_cookie(choice: Choice, vars: Vars): Peer | undefined {
  const sticky = choice.sticky;
  const value = sticky !== undefined ? vars[sticky.variable] : undefined;
  return value !== undefined ? sticky!.peers.get(value) : undefined;
}

type Cookies = string | string[] | undefined;

/** Takes our cookie out of what stands in the response already. */
function others(sticky: Sticky): string[] {
  const standing = (ngx.header as Record<string, Cookies>)["Set-Cookie"];
  const kept: string[] = [];
  const start = `${sticky.name}=`;
  const all =
    type(standing) === "table" ? (standing as string[]) : standing !== undefined ? [standing as string] : [];
  for (const cookie of all) {
    if (string.sub(cookie, 1, start.length) !== start) {
      kept.push(cookie);
    }
  }
  return kept;
}

function set_cookie(sticky: Sticky, peer: Peer): void {
  const cookies = others(sticky);
  const end = `${sticky.attributes}${came_by_tls() ? "; Secure" : ""}`;
  cookies.push(`${sticky.name}=${sticky.values.get(peer)}${end}`);
  (ngx.header as Record<string, Cookies>)["Set-Cookie"] = cookies;
}

/** Takes the cookie back: no instance has answered. */
function withdraw_cookie(choice: Choice): void {
  if (choice.sticky !== undefined) {
    (ngx.header as Record<string, Cookies>)["Set-Cookie"] = others(choice.sticky);
  }
}

/** The instance of its own that a request has by its cookie; undefined: none, or one that is out. */
function kept_instance(pool: Pool | undefined, choice: Choice, vars: Vars): Peer | undefined {
  const kept = choice.sticky !== undefined ? of_cookie(choice, vars) : undefined;
  return kept !== undefined && (kept.state.usable || pool === undefined) ? kept : undefined;
}

/**
 * The instance that a request has: that of its cookie, or that of the algorithm.
 *
 * @param vars of the request
 * @returns undefined: all instances rest, and it has the cookie of none; and whether the cookie decided
 */
function prefer(
  pool: Pool | undefined,
  choice: Choice,
  vars: Vars,
): LuaMultiReturn<[Peer | undefined, boolean]> {
  const kept = kept_instance(pool, choice, vars);
  if (kept !== undefined) {
    return $multi(kept, true);
  }
  if (pool === undefined) {
    return $multi(undefined, false);
  }
  const variable = choice.variable;
  return $multi(pick(pool, variable !== undefined ? key_of(vars[variable]) : 0, NONE), false);
}

/**
 * The same where not every instance has a place for the request.
 *
 * @param elsewhere it may go to another than that of its cookie
 * @param fits whether an instance has
 */
function prefer_fitting<Wish>(
  pool: Pool | undefined,
  choice: Choice,
  vars: Vars,
  elsewhere: boolean,
  fits: Fits<Wish>,
  wish: Wish,
): LuaMultiReturn<[Peer | undefined, boolean]> {
  const kept = kept_instance(pool, choice, vars);
  if (kept !== undefined && fits(wish, kept)) {
    return $multi(kept, true);
  }
  if (pool === undefined || (kept !== undefined && !elsewhere)) {
    return $multi(undefined, false);
  }
  const variable = choice.variable;
  const key = variable !== undefined ? key_of(vars[variable]) : 0;
  return $multi(pick_fitting(pool, key, fits, wish), false);
}

/**
 * Takes a place for the request where it will go first.
 *
 * @param elsewhere it may go to another instance than that of its cookie
 * @returns false: there is none
 */
function choose_place(state: RequestState, elsewhere: boolean): boolean {
  const { choice, pool } = state.entry;
  if (choice === undefined || !bounds_instances(state)) {
    // The route has become another while the request waited.
    return pool !== undefined;
  }
  const [peer, by_cookie] = prefer_fitting(pool, choice, ngx.var as Vars, elsewhere, take_place_at, state);
  if (peer !== undefined && !by_cookie && choice.sticky !== undefined) {
    set_cookie(choice.sticky, peer);
  }
  state.hold!.peer = peer;
  return peer !== undefined;
}

/**
 * Where the request goes first; undefined: all instances rest, and it has the cookie of none.
 *
 * Called only for entries with a `choice`; the others' pool is asked straight.
 */
function choose(state: RequestState, choice: Choice): Peer | undefined {
  const hold = state.hold;
  if (hold !== undefined && hold.peer !== undefined) {
    const peer = hold.peer;
    hold.peer = undefined;
    return peer;
  }
  const [peer, by_cookie] = prefer(state.entry.pool, choice, ngx.var as Vars);
  if (peer !== undefined && !by_cookie && choice.sticky !== undefined) {
    set_cookie(choice.sticky, peer);
  }
  return peer;
}

/** Where it goes after tries that failed; undefined: there is no other. */
function choose_again(state: RequestState): Peer | undefined {
  const choice = state.entry.choice;
  const pool = state.entry.pool;
  if (pool === undefined) {
    return undefined;
  }
  const variable = choice?.variable;
  const key = variable !== undefined ? key_of(ngx.var[variable]) : 0;
  const fits = bounds_instances(state) ? take_place_at : undefined;
  const peer = pick_untried(pool, key, state.tried, fits, state);
  if (peer !== undefined && choice !== undefined && choice.sticky !== undefined) {
    set_cookie(choice.sticky, peer);
  }
  return peer;
}

/** Whether a route that refuses others takes this request: its cookie means an instance that rests. */
function is_kept(choice: Choice | undefined, vars: Vars): boolean {
  return choice !== undefined && of_cookie(choice, vars) !== undefined;
}

/** Hears that a try failed and another may follow. */
function hear_failure(choice: Choice, peer: Peer): void {
  if (choice.listens) {
    note_failure(peer.state, ngx.now());
  }
}

/** Hears how the last try of a request ended. Call it before the request is taken off its instance. */
function hear_end(state: RequestState, choice: Choice): void {
  const peer = state.peer;
  if (!choice.listens || peer === undefined) {
    return;
  }
  if (state.reason !== undefined) {
    note_failure(peer.state, ngx.now());
    return;
  }
  const times = ngx.var.upstream_header_time;
  const seconds = tonumber(times) ?? tonumber(of_last_try(times));
  // Without a header and without a reason the client has left: that says nothing of the instance.
  if (seconds !== undefined) {
    if (ngx.status >= SERVER_ERROR) {
      note_failure(peer.state, ngx.now());
    } else {
      note_answer(peer.state, seconds, ngx.now());
    }
  }
}

export {
  choose,
  choose_again,
  choose_place,
  hear_end,
  hear_failure,
  is_kept,
  kept_instance,
  prefer,
  prefer_fitting,
  withdraw_cookie,
};
