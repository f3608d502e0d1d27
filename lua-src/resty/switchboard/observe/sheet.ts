/**
 * What the node has counted in all: totals, and counts by name in rows.
 *
 * Row 0 of a section is the rest: what is counted under no name. The first number of a row says how busy it is, the others
 * are counts. How it stands in a shared dict: observe/blocks.
 */

import { copy, fill, new as allocate } from "ffi";
import { DOUBLE, Numbers } from "./buffer";

/** The numbers of a row: one for how busy it is, and the counts of a tally. */
const NUMBERS_OF_ROW = 20;
const ROW = NUMBERS_OF_ROW * DOUBLE;
/** Rows of a block: 10 kB. */
const BLOCK = 64;

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
  /** The names of each block as they were packed last; undefined: they have changed since. */
  packed: (string | undefined)[];
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
    packed: [],
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
    copy(numbers, section.numbers, (section.count + 1) * ROW);
    section.numbers = numbers;
    section.room = room;
  }
}

function block_of(row: number): number {
  return math.floor((row - 1) / BLOCK);
}

/** Gives a row to a name, in place of the one that has it. */
function rename(section: Section, row: number, name: string): void {
  const before = section.names[row - 1];
  // What is unpacked may have it in another row already.
  if (before !== undefined && section.rows.get(before) === row) {
    section.rows.delete(before);
  }
  section.rows.set(name, row);
  section.names[row - 1] = name;
  section.packed[block_of(row)] = undefined;
}

/** Gives a name a new row of zeros, and returns its number. */
function append(section: Section, name: string): number {
  reserve(section, section.count + 2);
  const row = section.count + 1;
  section.count = row;
  rename(section, row, name);
  for (const i of $range(row * NUMBERS_OF_ROW, (row + 1) * NUMBERS_OF_ROW - 1)) {
    section.numbers.set(i, 0);
  }
  return row;
}

/** Forgets all rows behind so many. */
function cut(section: Section, count: number): void {
  for (const row of $range(section.names.length, count + 1, -1)) {
    const name = section.names[row - 1]!;
    if (section.rows.get(name) === row) {
      section.rows.delete(name);
    }
    section.names[row - 1] = undefined!;
    section.packed[block_of(row)] = undefined;
  }
  section.count = math.min(section.count, count);
}

/** Makes a sheet empty again. */
function clear(sheet: Sheet): void {
  fill(sheet.totals, sheet.totals_count * DOUBLE);
  for (const section of sheet.sections) {
    fill(section.numbers, ROW);
    cut(section, 0);
  }
}

export { append, BLOCK, clear, create, cut, NUMBERS_OF_ROW, rename, reserve, ROW };
