/**
 * What the node has counted in all, as one packed value.
 *
 *     <totals>                             whole numbers of this line and the next: how many
 *     <names> <bytes of the names>         one such line per section
 *     <name> LF <name> LF …                per section
 *     totals, then the rows of each section, row 0 first: doubles as the machine has them
 *
 * Row 0 of a section is the rest: what is counted under no name. The first number of a row says how busy it is, the
 * others are counts.
 */

import { copy, fill, new as allocate } from "ffi";
import { create as create_buffer, Numbers, put, reserve as reserve_bytes, text_of } from "./buffer";

const BYTES = 8;
/** The numbers of a row: one for how busy it is, and the counts of a tally. */
const NUMBERS_OF_ROW = 20;

/** Counts by name. */
export interface Rows {
  /** The names of rows 1, 2, … */
  names: string[];
  /** Rows that have a name. */
  count: number;
  numbers: Numbers;
}

export interface Section extends Rows {
  /** Which row a name has. */
  rows: LuaTable<string, number>;
  /** Rows for which there is room, row 0 included. */
  room: number;
  /** `names` as they were packed last; undefined: they have changed since. */
  packed_names: string | undefined;
}

export interface Sheet {
  totals: Numbers;
  totals_count: number;
  sections: Section[];
}

function doubles(count: number): Numbers {
  return allocate<Numbers>("double[?]", count);
}

function create_section(): Section {
  return {
    names: [],
    rows: new LuaTable(),
    count: 0,
    numbers: doubles(NUMBERS_OF_ROW),
    room: 1,
    packed_names: "",
  };
}

/** An empty sheet. */
function create(totals_count: number, sections_count: number): Sheet {
  const sections: Section[] = [];
  for (const i of $range(1, sections_count)) {
    sections[i - 1] = create_section();
  }
  return { totals: doubles(totals_count), totals_count, sections };
}

function reserve(section: Section, rows: number): void {
  if (rows > section.room) {
    const room = math.max(rows, 2 * section.room);
    const numbers = doubles(room * NUMBERS_OF_ROW);
    copy(numbers, section.numbers, (section.count + 1) * NUMBERS_OF_ROW * BYTES);
    section.numbers = numbers;
    section.room = room;
  }
}

/** Gives a name a new row of zeros, and returns its number. */
function append(section: Section, name: string): number {
  reserve(section, section.count + 2);
  const row = section.count + 1;
  section.count = row;
  section.names[row - 1] = name;
  section.rows.set(name, row);
  section.packed_names = undefined;
  for (const i of $range(row * NUMBERS_OF_ROW, (row + 1) * NUMBERS_OF_ROW - 1)) {
    section.numbers.set(i, 0);
  }
  return row;
}

function pack_names(section: Section): string {
  if (section.packed_names === undefined) {
    section.packed_names = section.count > 0 ? `${table.concat(section.names, "\n")}\n` : "";
  }
  return section.packed_names;
}

/** No pack yields: one is enough. */
const buffer = create_buffer();

/** The whole sheet as one value of a shared dict. */
function pack(sheet: Sheet): string {
  let head = `${sheet.totals_count}\n`;
  let size = sheet.totals_count * BYTES;
  for (const section of sheet.sections) {
    const names = pack_names(section);
    head += `${section.count} ${names.length}\n`;
    size += names.length + (section.count + 1) * NUMBERS_OF_ROW * BYTES;
  }
  reserve_bytes(buffer, head.length + size, 0);
  let end = put(buffer, 0, head, head.length);
  for (const section of sheet.sections) {
    const names = pack_names(section);
    end = put(buffer, end, names, names.length);
  }
  end = put(buffer, end, sheet.totals, sheet.totals_count * BYTES);
  for (const section of sheet.sections) {
    end = put(buffer, end, section.numbers, (section.count + 1) * NUMBERS_OF_ROW * BYTES);
  }
  return text_of(buffer, end);
}

function set_names(section: Section, text: string): void {
  section.names = [];
  section.rows = new LuaTable();
  let at = 1;
  let [stop] = string.find(text, "\n", at, true);
  while (stop !== undefined) {
    const name = string.sub(text, at, stop - 1);
    section.names.push(name);
    section.rows.set(name, section.names.length);
    at = stop + 1;
    [stop] = string.find(text, "\n", at, true);
  }
  section.packed_names = text;
}

/** Reads `<a> <b> LF`; undefined: it does not stand there. */
function read_line(text: string, at: number): LuaMultiReturn<[number, number, number] | [undefined]> {
  const [a, b, stop] = string.match(text, "^(%d+) ?(%d*)\n()", at);
  if (a === undefined) {
    return $multi(undefined);
  }
  return $multi(tonumber(a)!, tonumber(b) ?? 0, tonumber(stop)!);
}

/**
 * Fills a sheet with a packed one.
 *
 * @returns false: it is none of these numbers of totals and sections; the sheet is as it was
 */
function unpack_into(sheet: Sheet, text: string): boolean {
  let [totals, , at] = read_line(text, 1);
  if (totals !== sheet.totals_count) {
    return false;
  }
  const counts: number[] = [];
  const lengths: number[] = [];
  let size = totals * BYTES;
  for (const _ of sheet.sections) {
    const [count, length, after] = read_line(text, at!);
    if (count === undefined) {
      return false;
    }
    counts.push(count);
    lengths.push(length);
    size += length + (count + 1) * NUMBERS_OF_ROW * BYTES;
    at = after;
  }
  if (text.length !== at! - 1 + size) {
    return false;
  }
  for (const i of $range(0, counts.length - 1)) {
    const section = sheet.sections[i]!;
    const names = string.sub(text, at!, at! + lengths[i]! - 1);
    at = at! + lengths[i]!;
    if (names !== section.packed_names) {
      set_names(section, names);
    }
    section.count = 0;
    reserve(section, counts[i]! + 1);
    section.count = counts[i]!;
  }
  copy(sheet.totals, string.sub(text, at!, at! + totals * BYTES - 1), totals * BYTES);
  at = at! + totals * BYTES;
  for (const section of sheet.sections) {
    const bytes = (section.count + 1) * NUMBERS_OF_ROW * BYTES;
    copy(section.numbers, string.sub(text, at, at + bytes - 1), bytes);
    at += bytes;
  }
  return true;
}

/** Makes a sheet empty again. */
function clear(sheet: Sheet): void {
  fill(sheet.totals, sheet.totals_count * BYTES);
  for (const section of sheet.sections) {
    fill(section.numbers, NUMBERS_OF_ROW * BYTES);
    section.count = 0;
    if (section.packed_names !== "") {
      set_names(section, "");
    }
  }
}

export { append, clear, create, NUMBERS_OF_ROW, pack, unpack_into };
