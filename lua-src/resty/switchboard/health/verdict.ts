/**
 * What the workers of a node know together of instances that fail: counters in the shared dict, written when a try fails,
 * and cleared by a success only while there is something to clear. An instance that is well costs nothing.
 *
 * Three failures in a row, or half of at least ten requests in five seconds: then the instance is out for a second, and
 * for twice as long each time it fails again soon after, up to half a minute. Long fixed times leave instances idle that
 * are well again; short ones send too many requests into those that are not.
 */

import { keep, kept } from "../observe/places";

const IN_A_ROW = 3;
const WINDOW = 5;
const WINDOW_REQUESTS = 10;
const WINDOW_SHARE = 0.5;
/** Seconds of the first ejection, and of the longest. */
const FIRST_OUT = 1;
const LONGEST_OUT = 30;
/** A part of its time by which an ejection is shorter or longer: a pool must not come back in one moment. */
const JITTER = 0.1;
/** Seconds without a failure after which what was is forgotten. */
const FORGET = 60;
/** Seconds that a trial may take before another request may be one, and that the node waits for a request to be one. */
const TRIAL = 1;

/** Instances that can be listed while they are out. */
const MOST_LISTED = 1000;

/** Why and until when (ngx.now()) an instance is out. */
export interface Ejection {
  until: number;
  /** A word. */
  reason: string;
  /** What else there is to say, for people; empty: nothing. */
  detail: string;
}

/** One who is out. */
export interface Out {
  identity: string;
  ejection: Ejection;
}

const ROW = "h:row:";
const FAILED = "h:failed:";
const ASKED = "h:asked:";
const TIMES = "h:times:";
const OUT = "h:out:";
const LIST = "h:list";
const TRIED = "h:trial:";
const PROBED = "h:probe:";
/** The reason of who was taken out by an operator. */
const BY_HAND = "by_hand";
/** The reason of whom an active check has found ill. */
const CHECK_FAILED = "check_failed";
/** Seconds for which that keeps an instance out when it is not said again: whoever checks may have died. */
const ILL_FOR = 10;
/** What became of a trial. */
const RUNNING = 1;
const PASSED = 2;

function number_of(state: NgxSharedDict, key: string): number {
  const [value] = state.get(key);
  return (value as number | undefined) ?? 0;
}

/** Takes an instance out. One of the workers that come upon the same failures does: true is for that one. */
function eject(state: NgxSharedDict, identity: string, reason: string, now: number, chance: number): boolean {
  const times = number_of(state, TIMES + identity);
  const whole = math.min(LONGEST_OUT, FIRST_OUT * math.pow(2, math.min(times, 10)));
  const seconds = whole * (1 + JITTER * (2 * chance - 1));
  const [added] = state.add(OUT + identity, string.format("%.3f %s", now + seconds, reason), seconds);
  if (!added) {
    return false;
  }
  keep(state, LIST, MOST_LISTED, identity, seconds);
  state.set(TIMES + identity, times + 1, seconds + FORGET);
  // One failure more, of the first request that it gets again, is enough then.
  state.set(ROW + identity, IN_A_ROW - 1, seconds + FORGET);
  state.delete(FAILED + identity);
  state.delete(ASKED + identity);
  state.delete(TRIED + identity);
  return true;
}

/**
 * Notes a failed try.
 *
 * @param asked requests to the instance by this worker in the last WINDOW that it has not noted yet, this one included
 * @param chance 0 to 1, drawn: for the jitter
 * @returns whether the instance is out by it, since this moment
 */
function note_failure(
  state: NgxSharedDict,
  identity: string,
  reason: string,
  asked: number,
  now: number,
  chance: number,
): boolean {
  const [in_a_row] = state.incr(ROW + identity, 1, 0, FORGET);
  const [failed] = state.incr(FAILED + identity, 1, 0, WINDOW);
  const [requests] = state.incr(ASKED + identity, asked, 0, WINDOW);
  const too_many =
    (requests ?? 0) >= WINDOW_REQUESTS && (failed ?? 0) >= WINDOW_SHARE * math.max(requests ?? 0, 1);
  if ((in_a_row ?? 0) < IN_A_ROW && !too_many) {
    return false;
  }
  return eject(state, identity, reason, now, chance);
}

/**
 * Notes that an instance that had failed has answered. While it is out that means nothing: such a request was sent before,
 * or because too many are out.
 *
 * @returns whether that was its trial after an ejection
 */
function note_success(state: NgxSharedDict, identity: string): boolean {
  const [out] = state.get(OUT + identity);
  if (out !== undefined) {
    return false;
  }
  state.delete(ROW + identity);
  const [trial] = state.get(TRIED + identity);
  if (trial !== RUNNING) {
    return false;
  }
  state.set(TRIED + identity, PASSED, FORGET);
  return true;
}

/** undefined: it is not out. */
function ejection_of(state: NgxSharedDict, identity: string): Ejection | undefined {
  const [text] = state.get(OUT + identity);
  const [until, reason, detail] = string.match(tostring(text ?? ""), "^(%S+) (%S+) ?(.*)$");
  return until !== undefined ? { until: tonumber(until)!, reason: reason!, detail: detail! } : undefined;
}

/** Who is out of all workers' pools now, in no order; at most MOST_LISTED. */
function list_out(state: NgxSharedDict): Out[] {
  const found: Out[] = [];
  for (const identity of kept(state, LIST, MOST_LISTED)) {
    const ejection = ejection_of(state, identity);
    if (ejection !== undefined) {
      found.push({ identity, ejection });
    }
  }
  return found;
}

/** Ends an ejection before its time. */
function pardon(state: NgxSharedDict, identity: string): void {
  state.delete(OUT + identity);
}

/** Takes an instance out because somebody wants it so, for that long, whatever it answers. */
function eject_by_hand(state: NgxSharedDict, identity: string, seconds: number, now: number): void {
  state.set(OUT + identity, string.format("%.3f %s", now + seconds, BY_HAND), seconds);
  keep(state, LIST, MOST_LISTED, identity, seconds);
  state.delete(TRIED + identity);
}

/** Ends an ejection because somebody wants it so: what was is forgotten, and nobody waits for a trial. */
function acquit(state: NgxSharedDict, identity: string): void {
  for (const key of [OUT, ROW, FAILED, ASKED, TIMES]) {
    state.delete(key + identity);
  }
  state.set(TRIED + identity, PASSED, FORGET);
}

/**
 * Takes an instance out, or keeps it out, because its check fails; not one that an operator has taken out.
 *
 * @returns whether it is out by that since this moment
 */
function declare_ill(state: NgxSharedDict, identity: string, detail: string, now: number): boolean {
  const before = ejection_of(state, identity);
  if (before?.reason === BY_HAND) {
    return false;
  }
  state.set(OUT + identity, string.format("%.3f %s %s", now + ILL_FOR, CHECK_FAILED, detail), ILL_FOR);
  keep(state, LIST, MOST_LISTED, identity, ILL_FOR);
  state.delete(TRIED + identity);
  return before?.reason !== CHECK_FAILED;
}

/** The opposite: its checks pass. False: it was not out by them. */
function declare_well(state: NgxSharedDict, identity: string): boolean {
  if (ejection_of(state, identity)?.reason !== CHECK_FAILED) {
    return false;
  }
  acquit(state, identity);
  return true;
}

/** How the trial of an instance stands whose time is over; undefined: there is none. */
function trial_of(state: NgxSharedDict, identity: string): typeof RUNNING | typeof PASSED | undefined {
  const [trial] = state.get(TRIED + identity);
  return trial as typeof RUNNING | typeof PASSED | undefined;
}

/** Whether a request may be the trial: one of the node is, and after TRIAL without an answer another. */
function begin_trial(state: NgxSharedDict, identity: string): boolean {
  const [first] = state.add(TRIED + identity, RUNNING, TRIAL);
  return first;
}

/** Takes an instance back without a trial, as no request has come that could have been one. True: nobody else has. */
function waive_trial(state: NgxSharedDict, identity: string): boolean {
  const [first] = state.add(TRIED + identity, PASSED, FORGET);
  return first;
}

/** Whether this worker is to see now if an instance takes connections: one does, once a second. */
function may_probe(state: NgxSharedDict, identity: string): boolean {
  const [first] = state.add(PROBED + identity, 1, 1);
  return first === true;
}

export {
  acquit,
  begin_trial,
  BY_HAND,
  CHECK_FAILED,
  declare_ill,
  declare_well,
  eject,
  eject_by_hand,
  ejection_of,
  list_out,
  may_probe,
  note_failure,
  note_success,
  pardon,
  PASSED,
  RUNNING,
  TRIAL,
  trial_of,
  waive_trial,
  WINDOW,
};
