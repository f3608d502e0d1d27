/**
 * Names within one layout, for a server that has chosen it: `app.example.com%dinp`, `*.example.com%dinp`,
 * `@shop%native`, `app.example.com%native/api`.
 *
 * They live beside the names without a scope in all caches. Neither a Host nor a key that a layout takes has a `%`
 * before its path.
 */

import { Layout, SchemaName } from "./layout";

/** The name without its scope, and the layout; the name and nil where it has none. */
function split_scope(name: string): LuaMultiReturn<[string, SchemaName | undefined]> {
  // Almost none has one, and a pattern that finds nothing tries again at every byte.
  if (string.find(name, "%", 1, true)[0] === undefined) {
    return $multi(name, undefined);
  }
  const [base, schema, rest] = string.match(name, "^([^/#%%]*)%%(%a+)(.*)$");
  if (base === undefined) {
    return $multi(name, undefined);
  }
  return $multi(base + rest!, schema as SchemaName);
}

/** A name within one layout. */
function with_scope(name: string, schema: SchemaName | undefined): string {
  if (schema === undefined) {
    return name;
  }
  const [end] = string.find(name, "[/#]");
  const at = end ?? name.length + 1;
  return `${string.sub(name, 1, at - 1)}%${schema}${string.sub(name, at)}`;
}

/** The layout whose users a route's clients are: the name's own, else the first of all. */
function profile_of(schema: SchemaName[], name: string): SchemaName {
  const [, own] = split_scope(name);
  return own ?? schema[0]!;
}

/**
 * A layout for names of one scope alone.
 *
 * @param scope undefined: for names without one
 */
function within(layout: Layout, scope: SchemaName | undefined): Layout {
  const base_of = (name: string): string | undefined => {
    const [base, own] = split_scope(name);
    return own === scope ? base : undefined;
  };
  return {
    name: layout.name,
    prefixes: layout.prefixes,
    add_names: (names, key) => {
      const first = names.length;
      layout.add_names(names, key);
      for (const i of $range(first, names.length - 1)) {
        names[i] = with_scope(names[i]!, scope);
      }
    },
    read: (name, kind) => {
      const base = base_of(name);
      return base !== undefined ? layout.read(base, kind) : [];
    },
    ask_known: (name) => {
      const base = base_of(name);
      return base !== undefined ? layout.ask_known(base) : undefined;
    },
    kind_changed: (replies, from, kind) => layout.kind_changed(replies, from, kind),
    decode: (name, kind, replies, from, last) => {
      const [record, err] = layout.decode(base_of(name) ?? name, kind, replies, from, last);
      if (record === undefined) {
        return $multi(undefined, err!);
      }
      const options = record.options;
      options.pool = options.pool !== undefined ? with_scope(options.pool, scope) : undefined;
      return $multi(record, undefined);
    },
  };
}

export { profile_of, split_scope, with_scope, within };
