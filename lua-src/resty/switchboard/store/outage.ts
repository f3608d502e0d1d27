/**
 * Since when Redis has been silent, as the whole node sees it.
 *
 * One worker asks Redis once a second and notes it here. The others may have had nothing to ask for minutes,
 * and would go on believing in a Redis that is gone.
 */

const DOWN_SINCE = "redis_down_since";

/** Notes whether Redis answered just now. */
function note_answer(state: NgxSharedDict, answers: boolean): void {
  if (answers) {
    state.delete(DOWN_SINCE);
  } else {
    state.add(DOWN_SINCE, ngx.now());
  }
}

/** ngx.now() of the first unanswered question; undefined while Redis answers. */
function down_since(state: NgxSharedDict): number | undefined {
  const [since] = state.get(DOWN_SINCE);
  return since as number | undefined;
}

export { down_since, note_answer };
