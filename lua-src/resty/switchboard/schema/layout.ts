/**
 * The contract of a schema: what a Redis layout is to the rest of the router.
 *
 * A layout answers which keys a name has, what the replies mean, and which names a changed key means. It does no I/O.
 * Several stand side by side: the first that knows a name has it.
 */

import { Command, Reply } from "../store/redis";
import { Bytes } from "./plain";
import { Kind, RouteRecord } from "./record";
import { without_overlaps } from "./watched";

/** The names of the layouts, as the option `schema` has them. */
export type SchemaName = "native" | "hipache" | "planb" | "dinp";

/** A route that is nothing but plain instances, as almost all are. Good until the next one is decoded. */
export interface Plain {
  /** How many instances. */
  count: number;
  /** Unix seconds until which each counts; undefined: all for ever. */
  untils: number[] | undefined;
}

/** The quick way to such routes, for a fraction of what `read` and `decode` cost. */
export interface Quick {
  /**
   * Adds the commands for a name.
   *
   * @param kind of its instances, at a guess
   * @returns false, and adds none, for a name that is never plain
   */
  ask: (this: void, commands: Command[], name: string, kind: Kind) => boolean;
  /** How many it adds. */
  commands: number;
  /**
   * What `decode` would say of the name; undefined: that it must be asked.
   *
   * @param packed gets the bytes of its instances, in the order of their texts: `schema/plain`. FREE of them stand before, and
   * there is room for MOST_PACKED instances.
   */
  decode: (this: void, kind: Kind, replies: Reply[], from: number, packed: Bytes) => Plain | undefined;
}

export interface Layout {
  name: SchemaName;
  /** What its keys begin with; empty: with anything. */
  prefixes: string[];
  /** Adds the names that a changed key means; none when it is not of this layout. */
  add_names: (this: void, names: string[], key: string) => void;
  /**
   * The commands that read everything about a name; none: the layout has no such names.
   *
   * @param kind of its instances when it was read last; undefined: not known
   */
  read: (this: void, name: string, kind: Kind | undefined) => Command[];
  /** One command that tells whether a name is known (an integer above 0); undefined: it has no such names. */
  ask_known: (this: void, name: string) => Command | undefined;
  /** Whether the replies to a `read` with a known kind show that the key is of another kind by now. */
  kind_changed: (this: void, replies: Reply[], from: number, kind: Kind | undefined) => boolean;
  /**
   * Decodes the replies to `read`. Whatever they are, it raises nothing.
   *
   * @param replies of the whole transaction; those of this name begin at `from` (0-based)
   * @param last what counted until now: a bad option keeps its last good value
   * @returns the record; undefined when the name is unknown; nil and a message when Redis refused to tell
   */
  decode: (
    this: void,
    name: string,
    kind: Kind | undefined,
    replies: Reply[],
    from: number,
    last: RouteRecord | undefined,
  ) => LuaMultiReturn<[RouteRecord | undefined, undefined] | [undefined, string]>;
  quick?: Quick;
}

/** Whether hosts may stand with a port in one of these layouts. */
function has_ports(schema: SchemaName[]): boolean {
  for (const name of schema) {
    if (name === "planb") {
      return true;
    }
  }
  return false;
}

/** Whether a name is known, by the reply to `ask_known`. */
function is_known(reply: Reply | undefined): boolean {
  return type(reply) === "number" && (reply as number) > 0;
}

/** The names that some changed keys mean, in all layouts; one may come twice. */
function names_of_keys(layouts: Layout[], keys: string[]): string[] {
  const names: string[] = [];
  for (const layout of layouts) {
    for (const key of keys) {
      layout.add_names(names, key);
    }
  }
  return names;
}

/**
 * What the keys of all layouts begin with, without overlaps.
 *
 * @param more keys outside of the layouts that matter too
 * @returns empty when keys may begin with anything
 */
function prefixes_of(layouts: Layout[], more: string[]): string[] {
  const found: string[] = [];
  for (const layout of layouts) {
    if (layout.prefixes.length === 0) {
      return [];
    }
    for (const prefix of layout.prefixes) {
      found.push(prefix);
    }
  }
  for (const one of more) {
    found.push(one);
  }
  return without_overlaps(found);
}

export { has_ports, is_known, names_of_keys, prefixes_of };
