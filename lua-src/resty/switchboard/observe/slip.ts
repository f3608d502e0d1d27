/**
 * What a worker has counted since the last time, as one value of a shared dict.
 *
 *     totals: doubles
 *     for each section, for how many rows there is room beside row 0, and how many have a name: floats, as all that follows
 *     rows, section by section, row 0 first: how busy it is, and the counts of a tally
 *     bytes of the name of each row beside row 0, section by section
 *     the names, one behind the other
 *
 * All numbers as the machine has them. Row 0 is the rest: what is counted under no name. A float counts exactly to 16 millions,
 * which is more than a worker answers in a second, and has half the bytes of a double.
 *
 * It is made in slices: what a thousand tallies have in the caches of the machine is cold a second later.
 */

import { cast, CData, fill, new as allocate, string as to_text } from "ffi";
import { at, Buffer, create, Numbers, put, reserve, text_of } from "./buffer";
import { NUMBERS_OF_ROW, Rows } from "./sheet";
import { PLACES, requests_of, Tally, Touched } from "./tally";

/** Tallies that are told by name; the others of a busy second come together. */
const MOST_NAMED = 1500;
/** Tallies that are drained without a pause: about 0.3 ms. */
const SLICE = 256;
/** Requests of one tally in a flush that are told apart, to find the busiest. */
const MOST_COUNTED = 1023;

const DOUBLE = 8;
const FLOAT = 4;

export interface Slip {
  totals: Numbers;
  sections: Rows[];
  /** Its numbers stand in it. */
  text: string;
}

/** Lets others have their turn; does nothing where that cannot be. */
type Pause = (this: void) => void;

/** More requests than `least` make a tally one of the busiest; with as many, `equals` more are told by name. */
function least_named(tallies: Tally[], count: number, pause: Pause): LuaMultiReturn<[number, number]> {
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
    if (i % SLICE === SLICE - 1) {
      pause();
    }
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

function floats(bytes: CData, offset: number): Numbers {
  return cast("float *", at(bytes, offset)) as unknown as Numbers;
}

/** Bytes of the rows of a section. */
function size_of_rows(room: number): number {
  return (room + 1) * NUMBERS_OF_ROW * FLOAT;
}

/**
 * Drains tallies. What is counted while it pauses is told with the next ones, or with these.
 *
 * @param numbers of the rows, all 0
 * @param lengths of the names, all 0
 * @returns the names
 */
function drain_all({ tallies, count }: Touched, numbers: Numbers, lengths: Numbers, pause: Pause): string[] {
  const [least, equals] = least_named(tallies, count, pause);
  const rest = allocate<Numbers>("double[?]", NUMBERS_OF_ROW);
  const names: string[] = [];
  let ties = 0;
  for (const i of $range(0, count - 1)) {
    const tally = tallies[i]!;
    const requests = requests_of(tally);
    const rank = math.min(requests, MOST_COUNTED);
    const is_tie = rank === least && ties < equals;
    const row = names.length;
    if ((rank > least || is_tie) && row < MOST_NAMED) {
      ties += is_tie ? 1 : 0;
      names[row] = tally.name;
      lengths.set(row, tally.name.length);
      drain(tally, requests, numbers, row + 1);
    } else {
      drain(tally, requests, rest, 0);
    }
    if (i % SLICE === SLICE - 1) {
      pause();
    }
  }
  for (const i of $range(0, NUMBERS_OF_ROW - 1)) {
    numbers.set(i, rest.get(i));
  }
  return names;
}

/** Puts the totals into the buffer, and makes them 0. @returns whether there were any */
function put_totals(bytes: CData, totals: number[]): boolean {
  const numbers = cast("double *", bytes) as unknown as Numbers;
  let any = false;
  for (const i of $range(0, totals.length - 1)) {
    const value = totals[i]!;
    any = any || value !== 0;
    numbers.set(i, value);
    totals[i] = 0;
  }
  return any;
}

/** The buffer of the last slip; undefined while one is made. */
let spare: Buffer | undefined = undefined;

/**
 * Takes what was counted.
 *
 * @param totals are 0 afterwards
 * @param lists one for each section
 * @returns undefined: nothing was counted
 */
function write(totals: number[], lists: Touched[], pause: Pause): string | undefined {
  const buffer = spare ?? create();
  spare = undefined;
  const heads_at = totals.length * DOUBLE;
  const rows_at = heads_at + lists.length * 2 * FLOAT;
  let lengths_at = rows_at;
  let rooms = 0;
  for (const { count } of lists) {
    const room = math.min(count, MOST_NAMED);
    lengths_at += size_of_rows(room);
    rooms += room;
  }
  let end = lengths_at + rooms * FLOAT;
  reserve(buffer, end, 0);
  fill(buffer.bytes, end);
  const any = put_totals(buffer.bytes, totals);
  const heads = floats(buffer.bytes, heads_at);
  let [row_at, length_at] = [rows_at, lengths_at];
  const names: string[] = [];
  for (const i of $range(0, lists.length - 1)) {
    const touched = lists[i]!;
    const room = math.min(touched.count, MOST_NAMED);
    const [numbers, lengths] = [floats(buffer.bytes, row_at), floats(buffer.bytes, length_at)];
    const named = drain_all(touched, numbers, lengths, pause);
    heads.set(2 * i, room);
    heads.set(2 * i + 1, named.length);
    names.push(table.concat(named));
    row_at += size_of_rows(room);
    length_at += room * FLOAT;
  }
  for (const text of names) {
    reserve(buffer, end + text.length, end);
    end = put(buffer, end, text, text.length);
  }
  spare = buffer;
  return any || rooms > 0 ? text_of(buffer, end) : undefined;
}

/** The sum of some sizes; undefined: they are none. */
function sum_of(sizes: Numbers, count: number): number | undefined {
  let sum = 0;
  for (const i of $range(0, count - 1)) {
    const size = sizes.get(i);
    // Not so where it is not a number.
    if (!(size >= 0 && size % 1 === 0)) {
      return undefined;
    }
    sum += size;
  }
  return sum;
}

/** @returns undefined: it is none of so many totals and sections */
function read(text: string, totals_count: number, sections_count: number): Slip | undefined {
  const heads_at = totals_count * DOUBLE;
  const rows_at = heads_at + sections_count * 2 * FLOAT;
  if (text.length < rows_at) {
    return undefined;
  }
  const start = cast("const char *", text);
  const heads = floats(start, heads_at);
  if (sum_of(heads, sections_count * 2) === undefined) {
    return undefined;
  }
  let [lengths_at, rooms] = [rows_at, 0];
  for (const i of $range(0, sections_count - 1)) {
    const room = heads.get(2 * i);
    if (heads.get(2 * i + 1) > room) {
      return undefined;
    }
    lengths_at += size_of_rows(room);
    rooms += room;
  }
  const names_at = lengths_at + rooms * FLOAT;
  if (names_at > text.length || sum_of(floats(start, lengths_at), rooms) !== text.length - names_at) {
    return undefined;
  }
  const totals = cast("const double *", start) as unknown as Numbers;
  const sections: Rows[] = [];
  let [row_at, length_at, name_at] = [rows_at, lengths_at, names_at];
  for (const i of $range(0, sections_count - 1)) {
    const [room, count] = [heads.get(2 * i), heads.get(2 * i + 1)];
    const lengths = floats(start, length_at);
    const names: string[] = [];
    for (const row of $range(0, room - 1)) {
      const length = lengths.get(row);
      if (row < count) {
        names[row] = to_text(at(start, name_at), length);
      }
      name_at += length;
    }
    sections.push({ names, count, numbers: floats(start, row_at) });
    row_at += size_of_rows(room);
    length_at += room * FLOAT;
  }
  return { totals, sections, text };
}

export { read, write };
