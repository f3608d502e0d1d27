/**
 * How a sheet stands in a shared dict: one value for its head, and one for each block of rows.
 *
 *     head     <totals> <rows of each section …> LF; the totals, then row 0 of each section
 *     block    <rows> <bytes of the names> LF; <name> LF <name> LF …; the rows
 *
 * The counts are doubles as the machine has them. In blocks, because the collector is paid for a large string at once: see
 * observe/slip.
 */

import { cast, copy } from "ffi";
import { at, create as create_buffer, DOUBLE, put, reserve as reserve_bytes, text_of } from "./buffer";
import { BLOCK, cut, rename, reserve, ROW, Section, Sheet } from "./sheet";

/** No block. */
const NOTHING = "";

/** Blocks of so many rows. */
function blocks_of(count: number): number {
  return math.ceil(count / BLOCK);
}

/** No value is put together with a pause: one is enough. */
const buffer = create_buffer();

function pack_head(sheet: Sheet): string {
  let line = `${sheet.totals_count}`;
  for (const section of sheet.sections) {
    line += ` ${section.count}`;
  }
  line += "\n";
  reserve_bytes(buffer, line.length + sheet.totals_count * DOUBLE + sheet.sections.length * ROW, 0);
  let end = put(buffer, 0, line, line.length);
  end = put(buffer, end, sheet.totals, sheet.totals_count * DOUBLE);
  for (const section of sheet.sections) {
    end = put(buffer, end, section.numbers, ROW);
  }
  return text_of(buffer, end);
}

/** @param block from 0 */
function pack_block(section: Section, block: number): string {
  const first = block * BLOCK + 1;
  const count = math.min(BLOCK, section.count - block * BLOCK);
  let names = section.packed[block];
  if (names === undefined) {
    names = `${table.concat(section.names, "\n", first, first + count - 1)}\n`;
    section.packed[block] = names;
  }
  const line = `${count} ${names.length}\n`;
  reserve_bytes(buffer, line.length + names.length + count * ROW, 0);
  let end = put(buffer, 0, line, line.length);
  end = put(buffer, end, names, names.length);
  end = put(buffer, end, at(section.numbers, first * ROW), count * ROW);
  return text_of(buffer, end);
}

/** Reads a line of whole numbers. @returns them, and where the line ends; undefined: there is none */
function read_line(text: string): LuaMultiReturn<[number[], number] | [undefined]> {
  const [stop] = string.find(text, "\n", 1, true);
  if (stop === undefined) {
    return $multi(undefined);
  }
  const found: number[] = [];
  let at_place = 1;
  while (at_place <= stop) {
    const [digits, after] = string.match(text, "^(%d+)[ \n]()", at_place);
    if (digits === undefined) {
      return $multi(undefined);
    }
    found.push(tonumber(digits)!);
    at_place = tonumber(after)!;
  }
  return $multi(found, stop);
}

/**
 * Sets what stands in a head.
 *
 * @returns the rows of each section; undefined: it is none of these numbers of totals and sections, nothing was set
 */
function unpack_head(sheet: Sheet, text: string): number[] | undefined {
  const [numbers, stop] = read_line(text);
  const { totals_count, sections } = sheet;
  if (
    numbers === undefined ||
    numbers.length !== 1 + sections.length ||
    numbers[0] !== totals_count ||
    text.length !== stop + totals_count * DOUBLE + sections.length * ROW
  ) {
    return undefined;
  }
  const start = cast("const char *", text);
  let offset = stop;
  copy(sheet.totals, at(start, offset), totals_count * DOUBLE);
  offset += totals_count * DOUBLE;
  for (const section of sections) {
    copy(section.numbers, at(start, offset), ROW);
    offset += ROW;
  }
  table.remove(numbers, 1);
  // Always; and so long the text, to which `start` points, is not garbage.
  return offset === text.length ? numbers : undefined;
}

/** Names each row of a block. @returns false: they are not so many, or one is a row's of an earlier block */
function set_names(section: Section, first: number, count: number, names: string): boolean {
  let begin = 1;
  for (const row of $range(first, first + count - 1)) {
    const [stop] = string.find(names, "\n", begin, true);
    if (stop === undefined) {
      return false;
    }
    const name = string.sub(names, begin, stop - 1);
    const other = section.rows.get(name) as number | undefined;
    if (other !== undefined && other < row && section.names[other - 1] === name) {
      return false;
    }
    rename(section, row, name);
    begin = stop + 1;
  }
  return begin === names.length + 1;
}

/** @returns where the names begin and end in a block of so many rows; undefined: it is none */
function names_of(text: string, count: number): LuaMultiReturn<[number, number] | [undefined]> {
  const [numbers, stop] = read_line(text);
  if (numbers === undefined || numbers.length !== 2 || numbers[0] !== count) {
    return $multi(undefined);
  }
  const end = stop + numbers[1]!;
  if (text.length !== end + count * ROW) {
    return $multi(undefined);
  }
  return $multi(stop + 1, end);
}

/**
 * Sets the rows of a block, behind those of the blocks before it.
 *
 * @param all rows of the section
 * @param text undefined: there is none
 * @returns false: it is lost or damaged, or a worker died while it wrote the blocks. The section ends before it
 */
function unpack_block(section: Section, block: number, all: number, text: string | undefined): boolean {
  const before = block * BLOCK;
  const count = math.min(BLOCK, all - before);
  const [begin, end] = names_of(text ?? NOTHING, count);
  const names = begin !== undefined ? string.sub(text!, begin, end) : undefined;
  reserve(section, before + count + 1);
  if (
    names === undefined ||
    (names !== section.packed[block] && !set_names(section, before + 1, count, names))
  ) {
    cut(section, before);
    return false;
  }
  section.packed[block] = names;
  copy(at(section.numbers, (before + 1) * ROW), at(cast("const char *", text!), end!), count * ROW);
  // Who reads a page meanwhile does not miss the rows behind.
  section.count = math.max(section.count, before + count);
  // Always; and so long the text is no garbage.
  return text!.length > 0;
}

export { blocks_of, pack_block, pack_head, unpack_block, unpack_head };
