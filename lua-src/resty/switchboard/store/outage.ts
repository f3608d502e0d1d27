/**
 * Since when Redis has been silent, as the whole node sees it.
 *
 * One worker asks Redis once a second and notes it here. The others may have had nothing to ask for minutes,
 * and would go on believing in a Redis that is gone.
 */

const DOWN_SINCE = "redis_down_since";
const DOWN_BECAUSE = "redis_down_because";

/**
 * Notes whether Redis answered just now.
 *
 * @param err why it did not
 */
function note_answer(state: NgxSharedDict, answers: boolean, err: string | undefined): void {
  if (answers) {
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

export { down_because, down_since, note_answer };
