/** What Redis says about a name: its own keys, the pool it points to, the patterns that are known. */

import { Config } from "../config";
import * as native from "../schema/native";
import { key, KeyFormat } from "../schema/keys";
import { Kind, RouteOptions, RouteRecord } from "../schema/record";
import { Command, transaction } from "../store/redis";

/** Where and how long to ask. */
export interface Source {
  config: Config;
  format: KeyFormat;
  /** The options that counted until now: a bad value keeps the last good one. */
  last: RouteOptions | undefined;
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
  /** The stamp of the pool that was followed; 0: there is none. */
  pool_stamp: number;
}

/** One round trip: the name, and which of the patterns in `ask` are known. */
function read_name(
  source: Source,
  name: string,
  kind: Kind | undefined,
  ask: string[],
): LuaMultiReturn<[Answer, undefined] | [undefined, string]> {
  const commands: Command[] = native.read(source.format, name, kind);
  const own = commands.length;
  for (const pattern of ask) {
    commands.push(native.ask_known(source.format, pattern));
  }
  const [replies, err] = transaction(source.config, commands, source.deadline - ngx.now());
  if (replies === undefined) {
    return $multi(undefined, err);
  }
  if (native.kind_changed(replies, 0, kind)) {
    return read_name(source, name, undefined, ask);
  }
  const [record, refused] = native.decode(source.format, name, kind, replies, 0, source.last);
  if (refused !== undefined) {
    return $multi(undefined, `could not read ${name}: ${refused}`);
  }
  let known_pattern = "";
  if (record === undefined) {
    for (const i of $range(1, ask.length)) {
      if (native.is_known(replies[own + i - 1])) {
        known_pattern = ask[i - 1]!;
        break;
      }
    }
  }
  return $multi({ record, pattern: known_pattern, pool_stamp: 0 }, undefined);
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
    record.problems.push({
      key: key(source.format, "backends", pool),
      value: "",
      reason: "this pool does not exist",
    });
    return undefined;
  }
  record.instances = answer.record.instances;
  record.kind = answer.record.kind;
  for (const problem of answer.record.problems) {
    record.problems.push(problem);
  }
  return undefined;
}

/**
 * Reads a route. One round trip, and a second one where it points to a pool.
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
  const pool_err = answer.record !== undefined ? follow_pool(source, answer, answer.record) : undefined;
  if (pool_err !== undefined) {
    return $multi(undefined, pool_err);
  }
  return $multi(answer, undefined);
}

/** One of many names that are read together. */
export interface Asked {
  name: string;
  kind: Kind | undefined;
  /** The options that counted until now. */
  last: RouteOptions | undefined;
}

/**
 * Reads many names in one round trip: those that need no second one.
 *
 * @returns an answer for each, in order; `false` for a name that must be read by itself
 */
function read_many(
  source: Source,
  asked: Asked[],
): LuaMultiReturn<[(Answer | false)[], undefined] | [undefined, string]> {
  const commands: Command[] = [];
  const starts: number[] = [];
  for (const one of asked) {
    starts.push(commands.length);
    for (const command of native.read(source.format, one.name, one.kind)) {
      commands.push(command);
    }
  }
  const [replies, err] = transaction(source.config, commands, source.deadline - ngx.now());
  if (replies === undefined) {
    return $multi(undefined, err);
  }
  const answers: (Answer | false)[] = [];
  for (const i of $range(1, asked.length)) {
    const { name, kind, last } = asked[i - 1]!;
    const from = starts[i - 1]!;
    let answer: Answer | false = false;
    if (!native.kind_changed(replies, from, kind)) {
      const [record] = native.decode(source.format, name, kind, replies, from, last);
      if (record !== undefined && record.options.pool === undefined && record.instances.length > 0) {
        answer = { record, pattern: "", pool_stamp: 0 };
      }
    }
    answers.push(answer);
  }
  return $multi(answers, undefined);
}

export { read_many, read_route };
