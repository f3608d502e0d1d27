/** The known name that somebody meant who mistyped one. */

/** Edits apart from which two names are two names. */
const MOST_EDITS = 3;

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let previous: number[] = [];
  for (const j of $range(0, b.length)) {
    previous[j] = j;
  }
  for (const i of $range(1, a.length)) {
    const row: number[] = [i];
    for (const j of $range(1, b.length)) {
      const change = string.byte(a, i) === string.byte(b, j) ? 0 : 1;
      row[j] = math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + change);
    }
    previous = row;
  }
  return previous[b.length]!;
}

/**
 * The name nearest to a mistyped one.
 *
 * @param names what is known, in an order that decides between equally near ones
 * @returns undefined when none is near
 */
function nearest(mistyped: string, names: string[]): string | undefined {
  let best: string | undefined = undefined;
  let least = math.min(MOST_EDITS, math.floor(mistyped.length / 2)) + 1;
  for (const name of names) {
    const edits = distance(mistyped, name);
    if (edits < least) {
      least = edits;
      best = name;
    }
  }
  return best;
}

export { nearest };
