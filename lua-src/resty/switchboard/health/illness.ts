/**
 * What is said of an instance by others than the requests to it: active checks, and the marks of other routers.
 */

import { throw_below } from "../balance/dice";
import { note_event } from "../observe/events";
import { tell } from "../observe/journal";
import { CHECK_FAILED, declare_ill, declare_well, eject, ejection_of, pardon } from "./verdict";
import { announce, is_about_answers, is_about_connections, records, takes_connections } from "./ward";

/** The reason of whom another router calls dead, and who takes no connection. */
const MARKED = "marked_dead";
const FINE = 1000000;
/** Instances that a worker looks at at a time because they were marked. */
const MOST_LOOKED_AT = 16;

let looked_at = 0;

/**
 * Hears that the check of an instance fails. Say it again at least every few seconds: without, it is tried again.
 *
 * @param detail the check, and what is wrong
 */
function fall_ill(identity: string, detail: string): void {
  const state = records();
  if (state !== undefined && declare_ill(state, identity, detail, ngx.now())) {
    tell(ngx.WARN, `unhealthy ${identity}`, `${identity} is out: ${CHECK_FAILED}: ${detail}`);
    announce(identity, `${CHECK_FAILED}: ${detail}`);
  }
}

/**
 * Hears that nothing is said against an instance by checks any more.
 *
 * @param why for people
 */
function get_well(identity: string, why: string): void {
  const state = records();
  if (state !== undefined && declare_well(state, identity)) {
    note_event("instance_recovered", identity, why);
    tell(ngx.NOTICE, `healthy ${identity}`, `${identity} is back: ${why}`);
  }
}

/** Why an instance is out by its check, as `fall_ill` said it; undefined: it is not. */
function illness_of(identity: string): string | undefined {
  const state = records();
  const ejection = state !== undefined ? ejection_of(state, identity) : undefined;
  return ejection?.reason === CHECK_FAILED ? ejection.detail : undefined;
}

/**
 * Whether an instance is out for something that a check which passes says the contrary of.
 *
 * @param by_request it asks the instance something, so that it says how that answers
 */
function awaits_check(identity: string, by_request: boolean): boolean {
  const state = records();
  const ejection = state !== undefined ? ejection_of(state, identity) : undefined;
  return (
    ejection !== undefined && (is_about_connections(ejection) || (by_request && is_about_answers(ejection)))
  );
}

/** Hears that such a check has passed: the instance may be tried. */
function hear_check(identity: string): void {
  const state = records();
  if (state !== undefined) {
    pardon(state, identity);
  }
}

function look_at_marked(premature: boolean, state: NgxSharedDict, identity: string): void {
  const chance = throw_below(FINE) / FINE;
  if (!premature && !takes_connections(identity) && eject(state, identity, MARKED, ngx.now(), chance)) {
    tell(ngx.WARN, `ejected ${identity}`, `${identity} is out: ${MARKED}`);
    announce(identity, MARKED);
  }
  looked_at -= 1;
}

/**
 * Hears that another router calls an instance dead. Whoever takes no connection then is out, of all routes; never on the
 * mark alone: it is an index, and indexes move.
 */
function hear_mark(identity: string): void {
  const state = records();
  if (state === undefined || looked_at >= MOST_LOOKED_AT || ejection_of(state, identity) !== undefined) {
    return;
  }
  const [started] = ngx.timer.at(0, look_at_marked, state, identity);
  looked_at += started !== undefined ? 1 : 0;
}

export { awaits_check, fall_ill, get_well, hear_check, hear_mark, illness_of };
