/**
 * The grammar of option values, the same in Lua, in the environment and in Redis.
 *
 * Each parser returns the value, or nil and what the value must be, to stand after the option's name.
 */

export type Parsed<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

/** Seconds in a unit. */
const TIME_UNITS: Record<string, number | undefined> = { "": 1, ms: 0.001, s: 1, m: 60 };
/** Bytes in a unit. */
const SIZE_UNITS: Record<string, number | undefined> = { "": 1, k: 1024, m: 1048576, g: 1073741824 };
const BOOLEANS: Record<string, boolean | undefined> = {
  on: true,
  off: false,
  "1": true,
  "0": false,
  true: true,
  false: false,
};
/** Beyond this a double counts no longer in steps of one. */
const LARGEST_WHOLE = 9007199254740992;

const A_TIME = "must be a time such as 10, 250ms, 2s or 1m";
const A_SIZE = "must be a size such as 512, 64k, 10m or 1g";
const A_COUNT = "must be a whole number";
const A_BOOLEAN = "must be on or off";
const A_LIST = "must be a comma-separated list";
const A_TEXT = "must be a text";

function is_number(value: unknown): value is number {
  return type(value) === "number";
}

function is_text(value: unknown): value is string {
  return type(value) === "string";
}

function is_finite(value: number): boolean {
  return value === value && value < math.huge && value > -math.huge;
}

/** A decimal with a unit; undefined for whatever is not one. Lua's tonumber would also take 0x10, 1e3 and nan. */
function parse_with_unit(value: unknown, units: Record<string, number | undefined>): number | undefined {
  if (is_number(value)) {
    return is_finite(value) && value >= 0 ? value : undefined;
  }
  if (!is_text(value)) {
    return undefined;
  }
  const [digits, unit] = string.match(value, "^(%d+%.?%d*)(%a*)$");
  if (digits === undefined || unit === undefined) {
    return undefined;
  }
  const factor = units[unit];
  return factor !== undefined ? tonumber(digits)! * factor : undefined;
}

/** Seconds: a number, or a decimal that may carry ms, s or m. */
function parse_time(value: unknown): Parsed<number> {
  const seconds = parse_with_unit(value, TIME_UNITS);
  if (seconds !== undefined && is_finite(seconds)) {
    return $multi(seconds, undefined);
  }
  return $multi(undefined, A_TIME);
}

/** Whole bytes: a number, or a decimal that may carry k, m or g (powers of 1024). */
function parse_size(value: unknown): Parsed<number> {
  const bytes = parse_with_unit(value, SIZE_UNITS);
  const good = bytes !== undefined && bytes <= LARGEST_WHOLE && bytes % 1 === 0;
  if (good) {
    return $multi(bytes, undefined);
  }
  return $multi(undefined, A_SIZE);
}

/** A whole number from 0. */
function parse_count(value: unknown): Parsed<number> {
  const text = is_number(value) ? string.format("%.17g", value) : value;
  if (!is_text(text) || string.find(text, "^%d+$")[0] === undefined || tonumber(text)! > LARGEST_WHOLE) {
    return $multi(undefined, A_COUNT);
  }
  return $multi(tonumber(text)!, undefined);
}

/** A boolean, or on, off, 1, 0, true, false. */
function parse_boolean(value: unknown): Parsed<boolean> {
  const on = BOOLEANS[tostring(value)];
  if (on !== undefined) {
    return $multi(on, undefined);
  }
  return $multi(undefined, A_BOOLEAN);
}

/** A text that is not empty and holds nothing but printable ASCII without blanks. */
function parse_text(value: unknown): Parsed<string> {
  if (!is_text(value) || string.find(value, "^[!-~]+$")[0] === undefined) {
    return $multi(undefined, `${A_TEXT} without blanks`);
  }
  return $multi(value, undefined);
}

function trim(text: string): string {
  const [inner] = string.match(text, "^%s*(.-)%s*$");
  return inner!;
}

function split(text: string): Parsed<string[]> {
  const words: string[] = [];
  if (trim(text) === "") {
    return $multi(words, undefined);
  }
  let from = 1;
  while (true) {
    const [comma] = string.find(text, ",", from, true);
    const word = trim(string.sub(text, from, (comma ?? text.length + 1) - 1));
    if (word === "") {
      return $multi(undefined, `${A_LIST} without empty places`);
    }
    words.push(word);
    if (comma === undefined) {
      return $multi(words, undefined);
    }
    from = comma + 1;
  }
}

/** Texts: comma-separated with blanks around them left out, or a Lua array. An empty text is an empty list. */
function parse_list(value: unknown): Parsed<string[]> {
  if (is_text(value)) {
    return split(value);
  }
  if (type(value) !== "table") {
    return $multi(undefined, A_LIST);
  }
  const given = value as unknown[];
  let count = 0;
  for (const [place] of pairs(given as object)) {
    count += 1;
    if (type(place) !== "number") {
      return $multi(undefined, `${A_LIST} or an array`);
    }
  }
  const words: string[] = [];
  for (const i of $range(1, count)) {
    const word = given[i - 1];
    if (!is_text(word) || trim(word) === "") {
      return $multi(undefined, `${A_LIST} or an array of texts`);
    }
    words.push(trim(word));
  }
  return $multi(words, undefined);
}

export { parse_boolean, parse_count, parse_list, parse_size, parse_text, parse_time, trim };
