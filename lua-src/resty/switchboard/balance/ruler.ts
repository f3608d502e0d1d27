/**
 * Marks on a ruler, and which of them is the first that is not before a place: in constant time, however many.
 *
 * The ruler is cut into at least as many equal parts as there are marks, and where the marks of each part begin is
 * written down. Most parts hold a mark or none.
 */

import { CData, new as allocate } from "ffi";

/** An array of C numbers, 0-based. */
export type Numbers = LuaTable<number, number>;

export interface Ruler {
  /** In order, uint32_t. */
  marks: Numbers;
  count: number;
  /** The first mark of each part, uint32_t. */
  begins: Numbers;
  /** A place shifted by so many bits to the right is its part. */
  shift: number;
}

function numbers(kind: string, count: number): Numbers {
  return allocate<CData>(`${kind}[?]`, count) as unknown as Numbers;
}

/**
 * @param marks whole numbers in order, at least one
 * @param length of the ruler, at most 2^32: every place and every mark is less
 */
function create(marks: Numbers, count: number, length: number): Ruler {
  let shift = 0;
  while (shift < 31 && length / 2 ** (shift + 1) >= count) {
    shift += 1;
  }
  const width = 2 ** shift;
  const parts = math.ceil(length / width);
  const begins = numbers("uint32_t", parts + 1);
  let at = 0;
  for (const part of $range(0, parts)) {
    while (at < count && marks.get(at) < part * width) {
      at += 1;
    }
    begins.set(part, at);
  }
  return { marks, count, begins, shift };
}

/** Binary search for the first mark from `from` on that is not before the place; `to` when there is none. */
function search(marks: Numbers, place: number, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (marks.get(middle) < place) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/**
 * The index of the first mark that is not before the place; `count` behind the last one.
 *
 * Written out, a binary search of up to 15 needs no loop, and LuaJIT cannot compile one within the way of a
 * request.
 */
function first_from(ruler: Ruler, place: number): number {
  const marks = ruler.marks;
  const part = place >>> ruler.shift;
  let at = ruler.begins.get(part);
  const end = ruler.begins.get(part + 1);
  if (end - at > 15) {
    return search(marks, place, at, end);
  }
  if (at + 8 <= end && marks.get(at + 7) < place) {
    at += 8;
  }
  if (at + 4 <= end && marks.get(at + 3) < place) {
    at += 4;
  }
  if (at + 2 <= end && marks.get(at + 1) < place) {
    at += 2;
  }
  if (at + 1 <= end && marks.get(at) < place) {
    at += 1;
  }
  return at;
}

export { create, first_from, numbers };
