/** Key names in Redis, from the option `key_format`. */

/** A parsed `key_format`: what stands around a name, by kind. */
export type KeyFormat = Record<string, Around>;

/** A key without its name. */
export interface Around {
  first: string;
  last: string;
}

/** Said by an operator: what was gone at this Unix second was meant to go. */
const WIPED_KEY = "switchboard:wiped";

/** The kinds of keys that a name may have, the usual one first. */
const USUAL_KIND = "backends";
const KINDS = [USUAL_KIND, "route", "paths", "instances"];

/**
 * Splits a format that was validated by `configure`.
 *
 * @param format contains `{kind}` and `{name}` once each, such as `{kind}:{name}` or `sb:{kind}:{{name}}`
 */
function parse_key_format(format: string): KeyFormat {
  const [kind_start, kind_end] = string.find(format, "{kind}", 1, true);
  const [name_start, name_end] = string.find(format, "{name}", 1, true);
  assert(kind_start !== undefined && name_start !== undefined, "key_format was not validated");
  const name_first = name_start! < kind_start!;
  const first_start = name_first ? name_start! : kind_start!;
  const first_end = name_first ? name_end! : kind_end!;
  const second_start = name_first ? kind_start! : name_start!;
  const second_end = name_first ? kind_end! : name_end!;
  const before = string.sub(format, 1, first_start - 1);
  const between = string.sub(format, first_end + 1, second_start - 1);
  const after = string.sub(format, second_end + 1);
  const parsed: KeyFormat = {};
  for (const kind of KINDS) {
    parsed[kind] = name_first
      ? { first: before, last: between + kind + after }
      : { first: before + kind + between, last: after };
  }
  return parsed;
}

/** The key of one kind (`backends`, `instances`, `route`, `paths`) of a name. */
function key(format: KeyFormat, kind: string, name: string): string {
  const { first, last } = format[kind]!;
  return first + name + last;
}

/** What stands in a key where the name does; undefined: it is not of this kind. */
function name_in({ first, last }: Around, text: string): string | undefined {
  const end = text.length - last.length;
  // A key may be shorter than what stands around its name.
  return end >= first.length &&
    string.sub(text, 1, first.length) === first &&
    string.sub(text, end + 1) === last
    ? string.sub(text, first.length + 1, end)
    : undefined;
}

/**
 * The other way round: what a key is.
 *
 * @returns one of KINDS and the name, which may be empty; nil when the key is none of this format
 */
function split_key(
  format: KeyFormat,
  text: string,
): LuaMultiReturn<[string, string] | [undefined, undefined]> {
  // As almost all are. LuaJIT does not compile a loop over keys where each begins another loop.
  const usual = name_in(format[USUAL_KIND]!, text);
  if (usual !== undefined) {
    return $multi(USUAL_KIND, usual);
  }
  for (const i of $range(1, KINDS.length - 1)) {
    const kind = KINDS[i]!;
    const name = name_in(format[kind]!, text);
    if (name !== undefined) {
      return $multi(kind, name);
    }
  }
  return $multi(undefined, undefined);
}

export { key, KINDS, parse_key_format, split_key, WIPED_KEY };
