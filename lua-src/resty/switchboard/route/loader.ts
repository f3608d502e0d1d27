/**
 * Brings what Redis says about a name into the shared dicts: one load per name and node at a time.
 *
 * A load asks for the exact name and, where that was not known before, in the same round trip which patterns
 * are known.
 */

import { Config } from "../config";
import { KeyFormat } from "../schema/keys";
import { Problem, RouteRecord } from "../schema/record";
import { publish } from "./changes";
import { decode, encode, encode_lives, shortens } from "./codec";
import * as dict from "./dict";
import { Dicts, Stored } from "./dict";
import { patterns } from "./host";
import { once_per_node } from "./node_flight";
import { read_route, Source } from "./read";
import { resolve_instances } from "./resolve";
import { create as create_flights, Flights, once } from "./single_flight";

/** What is known of a name after a load: a route, a pattern that has it, or nothing. */
export interface Loaded {
  stored: Stored | undefined;
  /** Empty: unknown. */
  pattern: string;
}

export interface Loader {
  config: Config;
  format: KeyFormat;
  dicts: Dicts;
  flights: Flights<Loaded>;
  /** Hears of every value that was skipped. */
  report: (this: void, name: string, problem: Problem) => void;
  /** Asks for a load of the name in so many seconds. */
  again: (this: void, name: string, seconds: number) => void;
}

function save(loader: Loader, name: string, stored: Stored): void {
  const [ok, err] = dict.write_route(loader.dicts, name, stored);
  if (ok === undefined || err !== undefined) {
    loader.report(name, { key: name, value: "", reason: err! });
  }
}

/**
 * Keeps the last good instances of a route that became empty for `empty_hold`: a platform that deletes and
 * adds in two steps must not cost a request.
 *
 * @returns the held route; undefined when the emptiness is to be believed
 */
function hold(loader: Loader, name: string, old: Stored | undefined, now: number): Stored | undefined {
  const hold_for = loader.config.empty_hold;
  if (old === undefined || hold_for <= 0 || string.find(old.body, "\n", 1, true)[0] === undefined) {
    return undefined;
  }
  if (old.held) {
    // Another worker's refresh may come right after the load that began to hold.
    return now < old.loaded + hold_for ? old : undefined;
  }
  const held: Stored = {
    loaded: now,
    fresh: hold_for,
    held: true,
    slot: old.slot,
    text: old.text,
    lives: old.lives,
    body: old.body,
  };
  save(loader, name, held);
  loader.again(name, hold_for);
  return held;
}

function forget(loader: Loader, name: string, old: Stored | undefined, pattern: string, now: number): Loaded {
  const before = dict.read_match(loader.dicts, name);
  const lifetime = pattern === "" ? loader.config.negative_ttl : 0;
  dict.write_match(loader.dicts, name, { loaded: now, pattern }, lifetime);
  if (old !== undefined) {
    dict.delete_route(loader.dicts, name);
  }
  if (old !== undefined || (before !== undefined && before.pattern !== pattern)) {
    publish(loader.dicts.state, name);
  }
  return { stored: undefined, pattern };
}

function remember(
  loader: Loader,
  name: string,
  old: Stored | undefined,
  record: RouteRecord,
  now: number,
  resolve_again: number,
): Loaded {
  const body = encode(record);
  const lives = encode_lives(record);
  const text = `${lives}\n${body}`;
  const fresh = math.min(loader.config.ttl, resolve_again);
  const stored: Stored = { loaded: now, fresh, held: false, slot: old?.slot, text, lives, body };
  save(loader, name, stored);
  const was_matched = old === undefined && dict.read_match(loader.dicts, name) !== undefined;
  if (was_matched) {
    dict.delete_match(loader.dicts, name);
  }
  if (was_matched || (old !== undefined && (old.body !== body || shortens(old.lives, lives)))) {
    publish(loader.dicts.state, name);
  }
  return { stored, pattern: "" };
}

/** One load, unguarded: `load` is what others call. */
function run(
  loader: Loader,
  name: string,
  patience: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  const now = ngx.now();
  const deadline = now + patience;
  const old = dict.read_route(loader.dicts, name);
  const last = old !== undefined ? decode(old.body, old.lives) : undefined;
  const candidates = string.sub(name, 1, 1) === "*" ? [] : patterns(name);
  const kind = last !== undefined && last.options.pool === undefined ? last.kind : undefined;
  const source: Source = { config: loader.config, format: loader.format, last: last?.options, deadline };
  let [answer, err] = read_route(source, name, kind, old === undefined ? candidates : []);
  if (answer === undefined) {
    return $multi(undefined, err!);
  }
  if (answer.record === undefined || answer.record.instances.length === 0) {
    const held = hold(loader, name, old, now);
    if (held !== undefined) {
      return $multi({ stored: held, pattern: "" }, undefined);
    }
  }
  if (answer.record === undefined && old !== undefined && candidates.length > 0) {
    // Its own name is gone; a pattern may have it.
    [answer, err] = read_route(source, name, undefined, candidates);
    if (answer === undefined) {
      return $multi(undefined, err!);
    }
  }
  const record = answer.record;
  if (record === undefined) {
    return $multi(forget(loader, name, old, answer.pattern, now), undefined);
  }
  const resolve_again = resolve_instances(loader.config, record, last, deadline);
  for (const problem of record.problems) {
    loader.report(name, problem);
  }
  return $multi(remember(loader, name, old, record, now, resolve_again), undefined);
}

/** What a load that began at `began` in another worker has left in the dicts; undefined: nothing. */
function left_by_others(loader: Loader, name: string, began: number): Loaded | undefined {
  const stored = dict.read_route(loader.dicts, name);
  if (stored !== undefined && stored.loaded >= began) {
    return { stored, pattern: "" };
  }
  const match = dict.read_match(loader.dicts, name);
  if (stored === undefined && match !== undefined && match.loaded >= began) {
    return { stored: undefined, pattern: match.pattern };
  }
  return undefined;
}

/**
 * Loads a name from Redis into the shared dicts.
 *
 * @param patience seconds that the caller waits at most
 * @returns what is known now; or nil and why nothing could be learnt
 */
function load(
  loader: Loader,
  name: string,
  patience: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  return once(loader.flights, name, patience, () =>
    once_per_node(
      loader.dicts.state,
      name,
      patience,
      () => run(loader, name, patience),
      (began) => left_by_others(loader, name, began),
    ),
  );
}

function create(
  config: Config,
  format: KeyFormat,
  dicts: Dicts,
  report: Loader["report"],
  again: Loader["again"],
): Loader {
  return { config, format, dicts, flights: create_flights(), report, again };
}

export { create, load };
