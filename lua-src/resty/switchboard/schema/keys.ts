/** Key names in Redis, from the option `key_format`. */

/** A parsed `key_format`. */
export interface KeyFormat {
  before: string;
  between: string;
  after: string;
  /** `{name}` stands before `{kind}`. */
  name_first: boolean;
}

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
  return {
    before: string.sub(format, 1, first_start - 1),
    between: string.sub(format, first_end + 1, second_start - 1),
    after: string.sub(format, second_end + 1),
    name_first,
  };
}

/** The key of one kind (`backends`, `instances`, `route`, `paths`) of a name. */
function key(format: KeyFormat, kind: string, name: string): string {
  const first = format.name_first ? name : kind;
  const second = format.name_first ? kind : name;
  return format.before + first + format.between + second + format.after;
}

/** Said by an operator: what was gone at this Unix second was meant to go. */
const WIPED_KEY = "switchboard:wiped";

/** The kinds of keys that a name may have. */
const KINDS = ["backends", "route", "paths", "instances"];

/**
 * The other way round: what a key is.
 *
 * @returns one of KINDS and the name, which may be empty; nil when the key is none of this format
 */
function split_key(
  format: KeyFormat,
  text: string,
): LuaMultiReturn<[string, string] | [undefined, undefined]> {
  for (const kind of KINDS) {
    const first = format.name_first ? format.before : format.before + kind + format.between;
    const last = format.name_first ? format.between + kind + format.after : format.after;
    const name = string.sub(text, first.length + 1, text.length - last.length);
    // A key may be shorter than what stands around its name.
    if (key(format, kind, name) === text) {
      return $multi(kind, name);
    }
  }
  return $multi(undefined, undefined);
}

export { key, KINDS, parse_key_format, split_key, WIPED_KEY };
