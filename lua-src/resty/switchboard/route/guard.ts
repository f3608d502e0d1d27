/**
 * When many routes are gone from Redis at once, they were more likely lost than taken away: by a flush, an
 * empty replica, a restart without data. They are held and served until somebody says otherwise.
 */

import { Config } from "../config";
import { believe_losses } from "../store/trust";

const HELD = "guard:held";
const KNOWN = "guard:known";
const SINCE = "guard:since";
const LET_GO = "guard:let_go";
const CHECKED = "guard:checked";

/** Seconds for which a word to let go counts: Redis may have to be reached first. */
const WORD = 600;

export interface Held {
  /** Routes that are gone from Redis and served on. */
  count: number;
  /** Routes known in all when that was found. */
  known: number;
  /** Unix second from which on they may have been gone. */
  since: number;
}

/** What is held; undefined: nothing. */
function held(state: NgxSharedDict): Held | undefined {
  const [count] = state.get(HELD);
  if (count === undefined) {
    return undefined;
  }
  const [known] = state.get(KNOWN);
  const [since] = state.get(SINCE);
  return {
    count: count as number,
    known: (known as number | undefined) ?? 0,
    since: (since as number | undefined) ?? 0,
  };
}

/** Whether so many losses are held. A single route that goes is no mass. */
function is_mass(config: Config, gone: number, known: number): boolean {
  return known >= 2 && (gone === known || gone > known * config.guard_share);
}

/** @param since Unix second from which on they may have been gone */
function hold(state: NgxSharedDict, gone: number, known: number, since: number): void {
  state.set(HELD, gone);
  state.set(KNOWN, known);
  // A later look at the same loss does not make it a younger one.
  state.add(SINCE, since);
}

/** What is gone is gone. */
function release(state: NgxSharedDict, epoch: number): void {
  state.delete(HELD);
  state.delete(KNOWN);
  state.delete(SINCE);
  state.delete(LET_GO);
  believe_losses(state, epoch);
}

/** An operator says that what is held may go: the worker that watches does so within a moment. */
function let_go(state: NgxSharedDict): void {
  state.set(LET_GO, true, WORD);
}

/** Whether an operator has said so. */
function is_let_go(state: NgxSharedDict): boolean {
  const [said] = state.get(LET_GO);
  return said !== undefined;
}

/** The number of routes at the last full look; 0 before it. */
function note_checked(state: NgxSharedDict, epoch: number): void {
  state.set(CHECKED, epoch);
}

/** The epoch of the last full look at all routes; 0: there was none. */
function checked_epoch(state: NgxSharedDict): number {
  const [epoch] = state.get(CHECKED);
  return (epoch as number | undefined) ?? 0;
}

export { checked_epoch, held, hold, is_let_go, is_mass, let_go, note_checked, release };
