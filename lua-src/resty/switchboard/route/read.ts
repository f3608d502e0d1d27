/** What Redis says about a name: its own keys, the pool it points to, the patterns that are known. */

import { Config } from "../config";
import { put_under_marks } from "../schema/dead";
import { is_known, Layout } from "../schema/layout";
import { Kind, RouteRecord } from "../schema/record";
import { Command, Reply, transaction } from "../store/redis";

/** Where and how long to ask. */
export interface Source {
  config: Config;
  layouts: Layout[];
  /** What counted until now: a bad option keeps its last good value. */
  last: RouteRecord | undefined;
  /** ngx.now() at which the answer must stand. */
  deadline: number;
  /** The counter of a pool, to be taken before it is read. */
  stamp: (this: void, pool: string) => number;
}

/** What Redis says. */
export interface Answer {
  /** undefined: the name itself is unknown. */
  record: RouteRecord | undefined;
  /** The first known one of the patterns asked for, when the name is unknown; empty: none. */
  pattern: string;
  /** The stamp of the pool or pattern that was followed; 0: there is none. */
  pool_stamp: number;
  /** Marks of the unknown name, which mean the instances of its pattern; undefined: none. */
  marked: RouteRecord | undefined;
}

/** Adds what all layouts ask about a name. */
function add_commands(commands: Command[], layouts: Layout[], name: string, kind: Kind | undefined): void {
  for (const layout of layouts) {
    for (const command of layout.read(name, kind)) {
      commands.push(command);
    }
  }
}

function has_changed_kind(
  layouts: Layout[],
  name: string,
  kind: Kind | undefined,
  replies: Reply[],
  start: number,
): boolean {
  let from = start;
  for (const layout of layouts) {
    if (layout.kind_changed(replies, from, kind)) {
      return true;
    }
    from += kind !== undefined ? layout.read(name, kind).length : 0;
  }
  return false;
}

/**
 * The record of the first layout that knows the name. One that has options alone leaves the instances to a later one,
 * which has the options of the same keys; marks alone leave it all to others.
 */
function decode_first(
  layouts: Layout[],
  name: string,
  kind: Kind | undefined,
  replies: Reply[],
  start: number,
  last: RouteRecord | undefined,
): LuaMultiReturn<[RouteRecord | undefined, undefined] | [undefined, string]> {
  let from = start;
  let first: RouteRecord | undefined = undefined;
  for (const layout of layouts) {
    const count = layout.read(name, kind).length;
    if (count > 0) {
      const [record, refused] = layout.decode(name, kind, replies, from, last);
      if (refused !== undefined) {
        return $multi(undefined, refused);
      }
      if (record !== undefined && record.options_only !== true && record.marks_alone === undefined) {
        record.paths ??= first?.paths;
        return $multi(record, undefined);
      }
      first = first === undefined || first.marks_alone !== undefined ? (record ?? first) : first;
    }
    from += count;
  }
  return $multi(first, undefined);
}

/** Adds the questions whether the patterns are known; the pattern of each question. */
function ask_patterns(commands: Command[], layouts: Layout[], ask: string[]): string[] {
  const asked: string[] = [];
  for (const pattern of ask) {
    for (const layout of layouts) {
      const command = layout.ask_known(pattern);
      if (command !== undefined) {
        commands.push(command);
        asked.push(pattern);
      }
    }
  }
  return asked;
}

/** One round trip: the name, and which of the patterns in `ask` are known. */
function read_name(
  source: Source,
  name: string,
  kind: Kind | undefined,
  ask: string[],
): LuaMultiReturn<[Answer, undefined] | [undefined, string]> {
  const { layouts } = source;
  const commands: Command[] = [];
  add_commands(commands, layouts, name, kind);
  const own = commands.length;
  const asked = ask_patterns(commands, layouts, ask);
  if (commands.length === 0) {
    return $multi({ record: undefined, pattern: "", pool_stamp: 0, marked: undefined }, undefined);
  }
  const [replies, err] = transaction(source.config, commands, source.deadline - ngx.now());
  if (replies === undefined) {
    return $multi(undefined, err);
  }
  if (has_changed_kind(layouts, name, kind, replies, 0)) {
    return read_name(source, name, undefined, ask);
  }
  const [found, refused] = decode_first(layouts, name, kind, replies, 0, source.last);
  if (refused !== undefined) {
    return $multi(undefined, `could not read ${name}: ${refused}`);
  }
  const marked = found?.marks_alone !== undefined ? found : undefined;
  const record = marked === undefined ? found : undefined;
  let known_pattern = "";
  if (record === undefined) {
    for (const i of $range(1, asked.length)) {
      if (is_known(replies[own + i - 1])) {
        known_pattern = asked[i - 1]!;
        break;
      }
    }
  }
  return $multi({ record, pattern: known_pattern, pool_stamp: 0, marked }, undefined);
}

/** The key that a pool would have in the layout of the route that names it; empty: there is none. */
function key_of(layouts: Layout[], pool: string, record: RouteRecord): string {
  for (const layout of layouts) {
    const command = layout.name === (record.schema ?? "native") ? layout.ask_known(pool) : undefined;
    if (command !== undefined) {
      return tostring(command[1]);
    }
  }
  return "";
}

/** Puts a pool's instances in the place of the route's own; one hop. */
function follow_pool(source: Source, found: Answer, record: RouteRecord): string | undefined {
  const pool = record.options.pool;
  if (pool === undefined) {
    return undefined;
  }
  found.pool_stamp = source.stamp(pool);
  const [answer, err] = read_name(source, pool, undefined, []);
  if (answer === undefined) {
    return err;
  }
  if (answer.record === undefined) {
    record.instances = [];
    const key = key_of(source.layouts, pool, record);
    const value = key === "" ? pool : "";
    record.problems.push({ key, value, reason: "this pool does not exist" });
    // Where a name points to is all that DINP says of it: dangling, it is no route.
    record.paths_only = record.schema === "dinp";
    return undefined;
  }
  record.instances = answer.record.instances;
  record.kind = answer.record.kind;
  for (const problem of answer.record.problems) {
    record.problems.push(problem);
  }
  return undefined;
}

/** Puts a host that has marks and no list in the place of its pattern. */
function follow_pattern(source: Source, found: Answer, marked: RouteRecord): string | undefined {
  const { pattern } = found;
  const stamp = source.stamp(pattern);
  const [answer, err] = read_name(source, pattern, undefined, []);
  if (answer === undefined) {
    return err;
  }
  const record = answer.record;
  const is_its = record !== undefined && record.schema === marked.schema && record.options.pool === undefined;
  if (is_its && put_under_marks(record, pattern, marked.marks_alone ?? [], source.last?.marks)) {
    found.record = record;
    found.pattern = "";
    found.pool_stamp = stamp;
  }
  return undefined;
}

/**
 * Reads a route. One round trip, and a second one where it points to a pool, or has marks under a pattern.
 *
 * @param kind of its instances when it was read last; undefined: not known
 * @param ask patterns to look for, most specific first, in case the name itself is unknown
 * @returns the answer; or nil and why there is none
 */
function read_route(
  source: Source,
  name: string,
  kind: Kind | undefined,
  ask: string[],
): LuaMultiReturn<[Answer, undefined] | [undefined, string]> {
  const [answer, err] = read_name(source, name, kind, ask);
  if (answer === undefined) {
    return $multi(undefined, err);
  }
  const { record, marked, pattern } = answer;
  let other_err = record !== undefined ? follow_pool(source, answer, record) : undefined;
  if (marked !== undefined && pattern !== "") {
    other_err = follow_pattern(source, answer, marked);
  }
  if (other_err !== undefined) {
    return $multi(undefined, other_err);
  }
  return $multi(answer, undefined);
}

export { add_commands, decode_first, has_changed_kind, read_route };
