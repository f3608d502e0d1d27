/** What stands in a query, within bounds. */

/** Most pairs that are looked at, and bytes of a query: nobody needs more. */
const MOST_PAIRS = 100;
const LONGEST = 4096;

export interface Pair {
  name: string;
  value: string;
}

function decode(text: string): string {
  const [blanks] = string.gsub(text, "%+", " ");
  return ngx.unescape_uri(blanks);
}

/**
 * The pairs of a query in their order.
 *
 * @param text without the `?`
 * @returns undefined: it is too long, or has too many
 */
function parse_query(text: string): Pair[] | undefined {
  if (text.length > LONGEST) {
    return undefined;
  }
  const found: Pair[] = [];
  for (const [word] of string.gmatch(text, "[^&]+")) {
    if (found.length >= MOST_PAIRS) {
      return undefined;
    }
    const [name, value] = string.match(word!, "^([^=]*)=?(.*)$");
    found.push({ name: decode(name!), value: decode(value!) });
  }
  return found;
}

/** The last value of a name; undefined: it is not there. */
function value_of(pairs: Pair[], name: string): string | undefined {
  let value: string | undefined = undefined;
  for (const pair of pairs) {
    if (pair.name === name) {
      value = pair.value;
    }
  }
  return value;
}

/** All values of a name, in their order. */
function values_of(pairs: Pair[], name: string): string[] {
  const values: string[] = [];
  for (const pair of pairs) {
    if (pair.name === name) {
      values.push(pair.value);
    }
  }
  return values;
}

/**
 * A whole number.
 *
 * @param otherwise where it is not given
 * @returns undefined: it is none, or out of bounds
 */
function whole(
  pairs: Pair[],
  name: string,
  otherwise: number,
  least: number,
  most: number,
): number | undefined {
  const text = value_of(pairs, name);
  if (text === undefined) {
    return otherwise;
  }
  const number = string.find(text, "^%d+$")[0] !== undefined && text.length < 16 ? tonumber(text)! : -1;
  return number >= least && number <= most ? number : undefined;
}

/** The first name that is none of these; undefined: all are known. */
function stranger(pairs: Pair[], known: string[], prefix: string): string | undefined {
  for (const pair of pairs) {
    let is_known = prefix !== "" && string.sub(pair.name, 1, prefix.length) === prefix;
    for (const name of known) {
      is_known = is_known || name === pair.name;
    }
    if (!is_known) {
      return pair.name;
    }
  }
  return undefined;
}

export { LONGEST, parse_query, stranger, value_of, values_of, whole };
