/** JSON out of plain tables. lua-cjson cannot tell an empty list from an empty object, and passes bytes that are no UTF-8. */

/** A list: TypeScript's arrays and objects are one thing in Lua. */
export interface List {
  list: unknown[];
}

/** RFC 3629, a character at a time: what begins with a byte of 0xc2 to 0xf4 and ends with its followers. */
const byte = string.char;
const FOLLOWER = `[${byte(0x80)}-${byte(0xbf)}]`;
const TWO = `^[${byte(0xc2)}-${byte(0xdf)}]${FOLLOWER}`;
const THREE = `^[${byte(0xe0)}-${byte(0xef)}]${FOLLOWER}${FOLLOWER}`;
const FOUR = `^[${byte(0xf0)}-${byte(0xf4)}]${FOLLOWER}${FOLLOWER}${FOLLOWER}`;
const BEYOND_ASCII = `[${byte(0x80)}-${byte(0xff)}]`;
/** What stands for a byte that belongs to none. */
const REPLACEMENT = "\ufffd";

const ESCAPES: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function as_list(list: unknown[]): List {
  return { list };
}

/** Whether three bytes are a surrogate or written longer than needed, or four are beyond the last character. */
function is_wrong(first: number, second: number): boolean {
  return (
    (first === 0xe0 && second < 0xa0) ||
    (first === 0xed && second > 0x9f) ||
    (first === 0xf0 && second < 0x90) ||
    (first === 0xf4 && second > 0x8f)
  );
}

/** How many bytes the character at `at` has; 0: it is none. */
function length_of_character(text: string, at: number): number {
  const first = string.byte(text, at);
  if (first < 0x80) {
    return 1;
  }
  const rest = string.sub(text, at, at + 3);
  if (string.find(rest, TWO)[0] !== undefined) {
    return 2;
  }
  if (is_wrong(first, string.byte(text, at + 1) ?? 0)) {
    return 0;
  }
  if (string.find(rest, THREE)[0] !== undefined) {
    return 3;
  }
  return string.find(rest, FOUR)[0] !== undefined ? 4 : 0;
}

/** The same text where it is UTF-8; each other byte replaced. */
function as_utf8(text: string): string {
  if (string.find(text, BEYOND_ASCII)[0] === undefined) {
    return text;
  }
  const parts: string[] = [];
  let at = 1;
  while (at <= text.length) {
    const length = length_of_character(text, at);
    parts.push(length > 0 ? string.sub(text, at, at + length - 1) : REPLACEMENT);
    at += math.max(1, length);
  }
  return table.concat(parts);
}

function escape(character: string): string {
  return ESCAPES[character] ?? string.format("\\u%04x", string.byte(character));
}

function write_text(text: string): string {
  // `<` too: who puts this into a page by mistake opens no tag with it.
  return `"${string.gsub(as_utf8(text), '[%c"\\<]', escape)[0]}"`;
}

function write_number(value: number): string {
  if (value !== value || value === math.huge || value === -math.huge) {
    return "null";
  }
  return string.format("%.14g", value);
}

function write_list(list: unknown[]): string {
  const parts: string[] = [];
  for (const i of $range(1, list.length)) {
    parts.push(write(list[i - 1]));
  }
  return `[${table.concat(parts, ",")}]`;
}

/** In the order of the names: the same is written alike. */
function write_object(value: Record<string, unknown>): string {
  const names: string[] = [];
  for (const [name] of pairs(value)) {
    names.push(tostring(name));
  }
  table.sort(names);
  const parts: string[] = [];
  for (const name of names) {
    parts.push(`${write_text(name)}:${write(value[name])}`);
  }
  return `{${table.concat(parts, ",")}}`;
}

/** @param value text, number, boolean, `as_list(…)`, or a table by names; anything else is null */
function write(value: unknown): string {
  const kind = type(value);
  if (kind === "string") {
    return write_text(value as string);
  }
  if (kind === "number") {
    return write_number(value as number);
  }
  if (kind === "boolean") {
    return value === true ? "true" : "false";
  }
  if (kind !== "table") {
    return "null";
  }
  const { list } = value as List;
  return type(list) === "table" ? write_list(list) : write_object(value as Record<string, unknown>);
}

export { as_list, write };
