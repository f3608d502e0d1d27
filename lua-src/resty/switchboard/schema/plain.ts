/**
 * Instances of the plainest kind: an IPv4 address and a port, nothing else. Almost all are, and as six bytes they take
 * a third of their text.
 */

const SIZE = 6;
/** Bytes that are left free before those of instances, for who writes what stands before them: `encode_plain` of route/codec. */
const FREE = 2;
/** 255.255.255.255:65535 */
const LONGEST = 21;
const ZERO = 48;
const NINE = 57;
const DOT = 46;
const COLON = 58;
/** Before the first digit of a number. */
const NONE = -1;

/** Bytes from 0: C data, or a table. `switchboard check` has no C data. */
export type Bytes = Record<number, number>;

/** Instances that are packed together at most. */
const MOST_PACKED = 32;
const ONE: Bytes = {};

/**
 * Writes the bytes of `10.0.0.5:8080`; false, and none, for all that is written in any other way, be it right or wrong.
 *
 * Only the one canonical text has bytes, so `unpack` gives back what was packed.
 */
function pack_into(bytes: Bytes, at: number, text: string): boolean {
  if (text.length > LONGEST) {
    return false;
  }
  let address = 0;
  let numbers = 0;
  let value = NONE;
  for (const i of $range(1, text.length)) {
    const byte = string.byte(text, i);
    if (byte >= ZERO && byte <= NINE) {
      if (value === 0) {
        return false;
      }
      value = value === NONE ? byte - ZERO : value * 10 + byte - ZERO;
    } else if ((byte === DOT && numbers < 3) || (byte === COLON && numbers === 3)) {
      if (value === NONE || value > 255) {
        return false;
      }
      address = address * 256 + value;
      numbers += 1;
      value = NONE;
    } else {
      return false;
    }
  }
  if (numbers !== 4 || value < 1 || value > 65535) {
    return false;
  }
  bytes[at] = address >>> 24;
  bytes[at + 1] = (address >>> 16) & 255;
  bytes[at + 2] = (address >>> 8) & 255;
  bytes[at + 3] = address & 255;
  bytes[at + 4] = value >>> 8;
  bytes[at + 5] = value & 255;
  return true;
}

/** The same as a text. */
function pack(text: string): string | undefined {
  return pack_into(ONE, 0, text)
    ? string.char(ONE[0]!, ONE[1]!, ONE[2]!, ONE[3]!, ONE[4]!, ONE[5]!)
    : undefined;
}

/** The address and the port whose bytes begin at `at` (1-based). */
function unpack(bytes: string, at: number): LuaMultiReturn<[string, number]> {
  const [a, b, c, d, high, low] = string.byte(bytes, at, at + SIZE - 1);
  return $multi(`${a}.${b}.${c}.${d}`, high! * 256 + low!);
}

export { FREE, MOST_PACKED, pack, pack_into, SIZE, unpack };
