/** Which keys matter, and which names a changed key means. */

import { KeyFormat, KINDS, split_key } from "./keys";

/** Takes out those that begin with another: Redis refuses prefixes that overlap. */
function without_overlaps(prefixes: string[]): string[] {
  table.sort(prefixes);
  const kept: string[] = [];
  for (const prefix of prefixes) {
    const last = kept[kept.length - 1];
    if (last === undefined || string.sub(prefix, 1, last.length) !== last) {
      kept.push(prefix);
    }
  }
  return kept;
}

/**
 * What the keys of this format begin with, without overlaps.
 *
 * @param more keys outside of the format that matter too
 * @returns empty when keys may begin with anything
 */
function prefixes(format: KeyFormat, more: string[]): string[] {
  const found: string[] = [];
  for (const kind of KINDS) {
    const { first } = format[kind]!;
    if (first === "") {
      return [];
    }
    found.push(first);
  }
  for (const one of more) {
    found.push(one);
  }
  return without_overlaps(found);
}

/** The name whose key this is; undefined: it is none of ours. */
function name_of_key(format: KeyFormat, changed: string): string | undefined {
  const [, name] = split_key(format, changed);
  return name !== "" ? name : undefined;
}

export { name_of_key, prefixes, without_overlaps };
