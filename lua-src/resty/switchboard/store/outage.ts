/**
 * Since when Redis has been silent, as the whole node sees it, and what else it answered that is of no use.
 *
 * One worker asks Redis once a second and notes it here. The others may have had nothing to ask for minutes,
 * and would go on believing in a Redis that is gone.
 */

import { Cause, cause_of } from "./refusal";

const DOWN_SINCE = "redis_down_since";
const DOWN_BECAUSE = "redis_down_because";
const TROUBLE = "redis_trouble";
/** Seconds for which the last useless answer is told of. */
const TROUBLE_LASTS = 30;
/** What says more about Redis than that it is away, for which the look at it every second suffices. */
const TELLING: Partial<Record<Cause, true>> = {
  misconf: true,
  noperm: true,
  not_redis: true,
  readonly: true,
  too_large: true,
};

/**
 * Notes whether Redis answered just now.
 *
 * @param err why it did not
 */
function note_answer(state: NgxSharedDict, answers: boolean, err: string | undefined): void {
  if (answers) {
    if (down_since(state) !== undefined) {
      // What routes met with during the outage is over too.
      state.delete(TROUBLE);
    }
    state.delete(DOWN_SINCE);
    state.delete(DOWN_BECAUSE);
  } else {
    state.add(DOWN_SINCE, ngx.now());
    state.set(DOWN_BECAUSE, err ?? "");
  }
}

/** Why it does not answer; empty: not known. */
function down_because(state: NgxSharedDict): string {
  const [because] = state.get(DOWN_BECAUSE);
  return (because as string | undefined) ?? "";
}

/** ngx.now() of the first unanswered question; undefined while Redis answers. */
function down_since(state: NgxSharedDict): number | undefined {
  const [since] = state.get(DOWN_SINCE);
  return since as number | undefined;
}

/** Notes why a route could not be read, if that is Redis's doing: it may answer a PING all the same. */
function note_trouble(state: NgxSharedDict, err: string): void {
  if (TELLING[cause_of(err)]) {
    state.set(TROUBLE, err, TROUBLE_LASTS);
  }
}

/** Why a route could not be read lately; undefined: none, or Redis was away. */
function trouble(state: NgxSharedDict): string | undefined {
  const [err] = state.get(TROUBLE);
  return err as string | undefined;
}

export { down_because, down_since, note_answer, note_trouble, trouble };
