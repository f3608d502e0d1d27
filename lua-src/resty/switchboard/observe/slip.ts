/**
 * What a worker has counted since the last time, as values of a shared dict: slips.
 *
 *     which section, and how many rows it has beside row 0: doubles
 *     totals: doubles
 *     rows, row 0 first: how busy it is, and the counts of a tally: floats, as all that follows
 *     bytes of the name of each row beside row 0
 *     the names, one behind the other
 *
 * All numbers as the machine has them. Row 0 is the rest: what is counted under no name. A float counts exactly to 16 millions,
 * which is more than a worker answers in a second, and has half the bytes of a double.
 *
 * A busy second has many slips: a string of a hundred kilobytes is a debt to the garbage collector, which LuaJIT makes the
 * next lines of Lua pay at once, in six milliseconds in which no request has its turn. And they are made in slices: what a
 * thousand tallies have in the caches of the machine is cold a second later.
 */

import { cast, CData, fill, new as allocate, string as to_text } from "ffi";
import { at, create, DOUBLE, Numbers, put, reserve, text_of } from "./buffer";
import { NUMBERS_OF_ROW, Rows } from "./sheet";
import { Slices, step } from "./slices";
import { PLACES, requests_of, Tally, Touched } from "./tally";

/** Tallies that are told by name; the others of a busy second come together. */
const MOST_NAMED = 1500;
/** Names of a slip. */
const MOST_ROWS = 128;
/** Requests of one tally in a flush that are told apart, to find the busiest. */
const MOST_COUNTED = 1023;

const FLOAT = 4;
const ROW = NUMBERS_OF_ROW * FLOAT;

export interface Slip {
  totals: Numbers;
  section: number;
  rows: Rows;
  /** Its numbers stand in it. */
  text: string;
}

/** Takes a slip away. */
export type Send = (this: void, slip: string) => void;

/** A slip that is made. */
interface Draft {
  section: number;
  rows: Numbers;
  lengths: Numbers;
  names: string[];
}

/** More requests than `least` make a tally one of the busiest; with as many, `equals` more are told by name. */
function least_named({ tallies, count }: Touched, slices: Slices): LuaMultiReturn<[number, number]> {
  if (count <= MOST_NAMED) {
    return $multi(-1, 0);
  }
  const with_so_many: number[] = [];
  for (const i of $range(0, MOST_COUNTED)) {
    with_so_many[i] = 0;
  }
  for (const i of $range(0, count - 1)) {
    const requests = math.min(requests_of(tallies[i]!), MOST_COUNTED);
    with_so_many[requests] = with_so_many[requests]! + 1;
    step(slices, 1);
  }
  let busier = 0;
  let least = MOST_COUNTED;
  while (busier + with_so_many[least]! < MOST_NAMED) {
    busier += with_so_many[least]!;
    least -= 1;
  }
  return $multi(least, MOST_NAMED - busier);
}

/**
 * Moves what a tally has counted into a row.
 *
 * @param into row 0 is gathered in doubles, as it may become large
 */
function drain(tally: Tally, requests: number, into: Numbers, row: number): void {
  const first = row * NUMBERS_OF_ROW;
  const { counts } = tally;
  into.set(first, into.get(first) + requests);
  for (const i of $range(1, PLACES)) {
    into.set(first + i, into.get(first + i) + counts[i - 1]!);
    counts[i - 1] = 0;
  }
  tally.idle = true;
}

function draft_of(section: number): Draft {
  return {
    section,
    rows: allocate<Numbers>("float[?]", (MOST_ROWS + 1) * NUMBERS_OF_ROW),
    lengths: allocate<Numbers>("float[?]", MOST_ROWS),
    names: [],
  };
}

/** No slip is put together with a pause: one is enough. */
const buffer = create();

/** The slip that a draft has become, with all totals until now; both are empty afterwards. */
function finish(draft: Draft, totals: number[]): string {
  const { rows, lengths } = draft;
  const count = draft.names.length;
  const names = table.concat(draft.names);
  const rows_at = (2 + totals.length) * DOUBLE;
  const size = rows_at + (count + 1) * ROW + count * FLOAT + names.length;
  reserve(buffer, size, 0);
  const head = cast("double *", buffer.bytes) as unknown as Numbers;
  head.set(0, draft.section);
  head.set(1, count);
  for (const i of $range(0, totals.length - 1)) {
    head.set(2 + i, totals[i]!);
    totals[i] = 0;
  }
  let end = put(buffer, rows_at, rows, (count + 1) * ROW);
  end = put(buffer, end, lengths, count * FLOAT);
  put(buffer, end, names, names.length);
  fill(rows as unknown as CData, (count + 1) * ROW);
  draft.names = [];
  return text_of(buffer, size);
}

/** Drains tallies. What is counted while it pauses is told with the next ones, or with these. */
function drain_all(touched: Touched, draft: Draft, totals: number[], slices: Slices, send: Send): void {
  const [least, equals] = least_named(touched, slices);
  const rest = allocate<Numbers>("double[?]", NUMBERS_OF_ROW);
  let ties = 0;
  let named = 0;
  for (const i of $range(0, touched.count - 1)) {
    const tally = touched.tallies[i]!;
    const requests = requests_of(tally);
    const rank = math.min(requests, MOST_COUNTED);
    const is_tie = rank === least && ties < equals;
    if ((rank > least || is_tie) && named < MOST_NAMED) {
      ties += is_tie ? 1 : 0;
      named += 1;
      const row = draft.names.length;
      draft.names[row] = tally.name;
      draft.lengths.set(row, tally.name.length);
      drain(tally, requests, draft.rows, row + 1);
      if (row + 1 === MOST_ROWS) {
        send(finish(draft, totals));
      }
    } else {
      drain(tally, requests, rest, 0);
    }
    step(slices, 1);
  }
  for (const i of $range(0, NUMBERS_OF_ROW - 1)) {
    draft.rows.set(i, rest.get(i));
  }
  send(finish(draft, totals));
}

function has_any(totals: number[]): boolean {
  for (const value of totals) {
    if (value !== 0) {
      return true;
    }
  }
  return false;
}

/**
 * Takes what was counted: none, one or many slips.
 *
 * @param totals are 0 afterwards
 * @param lists one for each section
 */
function write(totals: number[], lists: Touched[], slices: Slices, send: Send): void {
  for (const section of $range(0, lists.length - 1)) {
    const touched = lists[section]!;
    if (touched.count > 0) {
      drain_all(touched, draft_of(section), totals, slices, send);
    }
  }
  if (has_any(totals)) {
    send(finish(draft_of(0), totals));
  }
}

function is_whole(value: number): boolean {
  // Not so where it is not a number.
  return value >= 0 && value % 1 === 0;
}

function floats(bytes: CData, offset: number): Numbers {
  return cast("float *", at(bytes, offset)) as unknown as Numbers;
}

/** The sum of some sizes; undefined: they are none. */
function sum_of(sizes: Numbers, count: number): number | undefined {
  let sum = 0;
  for (const i of $range(0, count - 1)) {
    const size = sizes.get(i);
    if (!is_whole(size)) {
      return undefined;
    }
    sum += size;
  }
  return sum;
}

/** @returns undefined: it is none of so many totals and sections */
function read(text: string, totals_count: number, sections_count: number): Slip | undefined {
  const rows_at = (2 + totals_count) * DOUBLE;
  if (text.length < rows_at) {
    return undefined;
  }
  const start = cast("const char *", text);
  const head = cast("const double *", text) as unknown as Numbers;
  const [section, count] = [head.get(0), head.get(1)];
  if (!is_whole(section) || section >= sections_count || !is_whole(count)) {
    return undefined;
  }
  const lengths_at = rows_at + (count + 1) * ROW;
  const names_at = lengths_at + count * FLOAT;
  if (names_at > text.length || sum_of(floats(start, lengths_at), count) !== text.length - names_at) {
    return undefined;
  }
  const lengths = floats(start, lengths_at);
  const names: string[] = [];
  let name_at = names_at;
  for (const row of $range(0, count - 1)) {
    names[row] = to_text(at(start, name_at), lengths.get(row));
    name_at += lengths.get(row);
  }
  const totals = cast("const double *", at(start, 2 * DOUBLE)) as unknown as Numbers;
  return { totals, section, rows: { names, count, numbers: floats(start, rows_at) }, text };
}

export { read, write };
