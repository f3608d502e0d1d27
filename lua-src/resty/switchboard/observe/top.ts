/**
 * The busiest names of a node, each with its own counts; all others are counted together, in the rest.
 *
 * A row's weight is the requests of about the last minute (it halves every 30 s). While there are free rows a new name
 * takes one. After that it may take the row of the weakest name, by chance: with d requests against the weakest weight
 * s it does with probability d / (d + s) a second, and takes over its weight. So a name that is busy gets in within
 * seconds and stays, and a flood of names with a request each pushes nobody out who is busy (space saving: Metwally et
 * al., 2005; replacement by chance: Basat et al., "RAP", 2017). What the loser had counted goes to the rest, so that
 * the rest, and the sum of all, never become less.
 */

import { throw_below } from "../balance/dice";
import { append, NUMBERS_OF_ROW, rename, Rows, Section } from "./sheet";

/** Seconds in which a weight halves. */
const HALF_LIFE = 30;
/** Rows that change hands in one merge: each costs a look at all of them. */
const MOST_CHANGES = 16;
const FINE = 1048576;

/** What all rows weigh after some seconds without a request. */
function fade(section: Section, seconds: number): void {
  const factor = 0.5 ** (math.max(0, seconds) / HALF_LIFE);
  for (const row of $range(0, section.count)) {
    const at = row * NUMBERS_OF_ROW;
    section.numbers.set(at, section.numbers.get(at) * factor);
  }
}

function weakest_row(section: Section): number {
  let weakest = 1;
  let least = math.huge;
  for (const row of $range(1, section.count)) {
    const weight = section.numbers.get(row * NUMBERS_OF_ROW);
    if (weight < least) {
      least = weight;
      weakest = row;
    }
  }
  return weakest;
}

/** Moves the counts of a row to the rest and gives the row, with its weight, to another name. */
function hand_over(section: Section, row: number, name: string): void {
  const numbers = section.numbers;
  const first = row * NUMBERS_OF_ROW;
  for (const i of $range(1, NUMBERS_OF_ROW - 1)) {
    numbers.set(i, numbers.get(i) + numbers.get(first + i));
    numbers.set(first + i, 0);
  }
  rename(section, row, name);
}

function add(into: Section, row: number, from: Rows, from_row: number): void {
  for (const i of $range(0, NUMBERS_OF_ROW - 1)) {
    const at = row * NUMBERS_OF_ROW + i;
    into.numbers.set(at, into.numbers.get(at) + from.numbers.get(from_row * NUMBERS_OF_ROW + i));
  }
}

/**
 * Adds the counts of a worker to those of the node.
 *
 * @param most rows with a name
 * @param rest a name that stands for the rest itself
 */
function merge(into: Section, from: Rows, most: number, rest: string): void {
  add(into, 0, from, 0);
  let changes = 0;
  let weakest = 0;
  // Not always the same names first: those after the last change would never have one.
  const start = throw_below(math.max(1, from.count));
  for (const i of $range(1, from.count)) {
    const from_row = ((start + i) % from.count) + 1;
    const name = from.names[from_row - 1]!;
    let row = name === rest ? 0 : into.rows.get(name);
    if (row === undefined && into.count < most) {
      row = append(into, name);
    } else if (row === undefined && changes < MOST_CHANGES) {
      const busy = from.numbers.get(from_row * NUMBERS_OF_ROW);
      weakest = weakest > 0 ? weakest : weakest_row(into);
      const weight = into.numbers.get(weakest * NUMBERS_OF_ROW);
      if (throw_below(FINE) < (busy / math.max(busy + weight, 1e-9)) * FINE) {
        hand_over(into, weakest, name);
        row = weakest;
        weakest = 0;
        changes += 1;
      }
    }
    add(into, row ?? 0, from, from_row);
  }
}

function rate_of_row(section: Section, row: number): number {
  return (section.numbers.get(row * NUMBERS_OF_ROW) * math.log(2)) / HALF_LIFE;
}

/**
 * Requests a second of a name, as of about the last minute; undefined: it has no row of its own.
 *
 * A weight that gains r a second and halves every HALF_LIFE comes to r * HALF_LIFE / ln 2.
 */
function rate_of(section: Section, name: string): number | undefined {
  const row = section.rows.get(name) as number | undefined;
  return row !== undefined ? rate_of_row(section, row) : undefined;
}

/** Requests a second of all names together. */
function rate_of_all(section: Section): number {
  let sum = 0;
  for (const row of $range(0, section.count)) {
    sum += rate_of_row(section, row);
  }
  return sum;
}

/** The names that have rows of their own, the busiest first. */
function busiest(section: Section): string[] {
  const rows: number[] = [];
  for (const row of $range(1, section.count)) {
    rows.push(row);
  }
  const weight = (row: number): number => section.numbers.get(row * NUMBERS_OF_ROW);
  table.sort(rows, (a, b) => (weight(a) === weight(b) ? a < b : weight(a) > weight(b)));
  const names: string[] = [];
  for (const row of rows) {
    names.push(section.names[row - 1]!);
  }
  return names;
}

export { busiest, fade, merge, rate_of, rate_of_all };
