/** Values of options that are lists of addresses. */

import { Cidr, parse_cidr } from "../net/address";
import { Nameserver, parse_nameserver } from "../net/nameserver";
import { Parsed, parse_list } from "./grammar";

/** What does not fit is named: in a long list nobody finds it. */
function parse_each<T extends object>(
  value: unknown,
  parse: (this: void, text: string) => Parsed<T>,
  what: string,
): Parsed<T[]> {
  const [words, wrong] = parse_list(value);
  if (words === undefined) {
    return $multi(undefined, `${wrong}, of ${what}`);
  }
  const found: T[] = [];
  for (const word of words) {
    const [one, err] = parse(word);
    if (one === undefined) {
      return $multi(undefined, `must be a comma-separated list of ${what} ("${word}": ${err})`);
    }
    found.push(one);
  }
  return $multi(found, undefined);
}

function parse_cidrs(value: unknown): Parsed<Cidr[]> {
  return parse_each(value, parse_cidr, "addresses and ranges such as 10.0.0.0/8 or ::1");
}

function parse_nameservers(value: unknown): Parsed<Nameserver[]> {
  return parse_each(
    value,
    parse_nameserver,
    "addresses such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:5353",
  );
}

export { parse_cidrs, parse_nameservers };
