/**
 * What the workers of a node know together of instances that fail: counters in the shared dict, written when a try fails,
 * and cleared by a success only while there is something to clear. An instance that is well costs nothing.
 *
 * Three failures in a row, or half of at least ten requests in five seconds: then the instance is out for a second, and
 * for twice as long each time it fails again soon after, up to half a minute. Long fixed times leave instances idle that
 * are well again; short ones send too many requests into those that are not.
 */

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
/** Seconds in which one worker tries an instance whose time is over, before all do. */
const TRIAL = 1;

/** Why and until when (ngx.now()) an instance is out. */
export interface Ejection {
  until: number;
  reason: string;
}

const ROW = "h:row:";
const FAILED = "h:failed:";
const ASKED = "h:asked:";
const TIMES = "h:times:";
const OUT = "h:out:";
const TRIED = "h:trial:";
const PROBED = "h:probe:";
/** The reason of who was taken out by an operator. */
const BY_HAND = "by_hand";
/** What became of a trial. */
const RUNNING = 1;
const PASSED = 2;

function number_of(state: NgxSharedDict, key: string): number {
  const [value] = state.get(key);
  return (value as number | undefined) ?? 0;
}

/** Takes an instance out. One of the workers that come upon the same failures does. */
function eject(state: NgxSharedDict, identity: string, reason: string, now: number, chance: number): boolean {
  const times = number_of(state, TIMES + identity);
  const whole = math.min(LONGEST_OUT, FIRST_OUT * math.pow(2, math.min(times, 10)));
  const seconds = whole * (1 + JITTER * (2 * chance - 1));
  const [added] = state.add(OUT + identity, string.format("%.3f %s", now + seconds, reason), seconds);
  if (!added) {
    return false;
  }
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
 * Notes that an instance that had failed has answered.
 *
 * @returns whether that was its trial after an ejection
 */
function note_success(state: NgxSharedDict, identity: string): boolean {
  const [trial] = state.get(TRIED + identity);
  state.delete(ROW + identity);
  state.set(TRIED + identity, PASSED, FORGET);
  return trial === RUNNING;
}

/** undefined: it is not out. */
function ejection_of(state: NgxSharedDict, identity: string): Ejection | undefined {
  const [text] = state.get(OUT + identity);
  const [until, reason] = string.match(tostring(text ?? ""), "^(%S+) (.*)$");
  return until !== undefined ? { until: tonumber(until)!, reason: reason! } : undefined;
}

/** Ends an ejection before its time. */
function pardon(state: NgxSharedDict, identity: string): void {
  state.delete(OUT + identity);
}

/** Takes an instance out because somebody wants it so, for that long, whatever it answers. */
function eject_by_hand(state: NgxSharedDict, identity: string, seconds: number, now: number): void {
  state.set(OUT + identity, string.format("%.3f %s", now + seconds, BY_HAND), seconds);
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
 * Whether this worker may send requests to an instance whose time is over: one does first, and the others wait for how
 * that goes, but no longer than TRIAL.
 */
function may_try(state: NgxSharedDict, identity: string): boolean {
  const [first] = state.add(TRIED + identity, RUNNING, TRIAL);
  if (first) {
    return true;
  }
  const [trial] = state.get(TRIED + identity);
  return trial === PASSED;
}

/** Whether this worker is to see now if an instance takes connections: one does, once a second. */
function may_probe(state: NgxSharedDict, identity: string): boolean {
  const [first] = state.add(PROBED + identity, 1, 1);
  return first === true;
}

export {
  acquit,
  BY_HAND,
  eject_by_hand,
  ejection_of,
  may_probe,
  may_try,
  note_failure,
  note_success,
  pardon,
  WINDOW,
};
