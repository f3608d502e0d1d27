/**
 * Memory of C in which a long text is put together, kept from one text to the next.
 *
 * Once a second a text of a hundred kilobytes or more is made. Each string of its way is as much garbage, and the collector pays
 * that back at once, at the cost of the requests that come then.
 */

import { cast, CData, copy, new as allocate, string as to_text } from "ffi";

/** A C array of numbers: counted from 0. */
export type Numbers = LuaTable<number, number>;

/** Bytes of a number as most of them are. */
const DOUBLE = 8;

export interface Buffer {
  bytes: CData;
  size: number;
}

function create(): Buffer {
  return { bytes: allocate("char[?]", 1), size: 1 };
}

/**
 * Makes it so large.
 *
 * @param kept bytes at its beginning that are there afterwards
 */
function reserve(buffer: Buffer, size: number, kept: number): void {
  if (size > buffer.size) {
    const larger = math.max(size, buffer.size * 2);
    const bytes = allocate("char[?]", larger);
    copy(bytes, buffer.bytes, kept);
    buffer.bytes = bytes;
    buffer.size = larger;
  }
}

/** A place in it, or in any other bytes. */
function at(bytes: CData | Numbers, offset: number): CData {
  return ((cast("char *", bytes) as unknown as number) + offset) as unknown as CData;
}

/** Puts bytes there. @returns the offset behind them */
function put(buffer: Buffer, offset: number, from: unknown, length: number): number {
  copy(at(buffer.bytes, offset), from, length);
  return offset + length;
}

/** The first bytes. */
function text_of(buffer: Buffer, length: number): string {
  return to_text(buffer.bytes, length);
}

export { at, create, DOUBLE, put, reserve, text_of };
