/**
 * Instances of the plainest kind: an IPv4 address and a port, nothing else. Almost all are, and as six bytes they take
 * a third of their text.
 */

const SIZE = 6;
/** 255.255.255.255:65535 */
const LONGEST = 21;
const ZERO = 48;
const NINE = 57;
const DOT = 46;
const COLON = 58;
/** Before the first digit of a number. */
const NONE = -1;

/**
 * The bytes of `10.0.0.5:8080`; undefined for all that is written in any other way, be it right or wrong.
 *
 * Only the one canonical text has bytes, so `unpack` gives back what was packed.
 */
function pack(text: string): string | undefined {
  if (text.length > LONGEST) {
    return undefined;
  }
  let address = 0;
  let numbers = 0;
  let value = NONE;
  for (const i of $range(1, text.length)) {
    const byte = string.byte(text, i);
    if (byte >= ZERO && byte <= NINE) {
      if (value === 0) {
        return undefined;
      }
      value = value === NONE ? byte - ZERO : value * 10 + byte - ZERO;
    } else if ((byte === DOT && numbers < 3) || (byte === COLON && numbers === 3)) {
      if (value === NONE || value > 255) {
        return undefined;
      }
      address = address * 256 + value;
      numbers += 1;
      value = NONE;
    } else {
      return undefined;
    }
  }
  if (numbers !== 4 || value < 1 || value > 65535) {
    return undefined;
  }
  return string.char(
    address >>> 24,
    (address >>> 16) & 255,
    (address >>> 8) & 255,
    address & 255,
    value >>> 8,
    value & 255,
  );
}

/** The address and the port whose bytes begin at `at` (1-based). */
function unpack(bytes: string, at: number): LuaMultiReturn<[string, number]> {
  const [a, b, c, d, high, low] = string.byte(bytes, at, at + SIZE - 1);
  return $multi(`${a}.${b}.${c}.${d}`, high! * 256 + low!);
}

export { pack, SIZE, unpack };
