/**
 * Brings what Redis says about a name into the shared dicts: one load per name and node at a time.
 *
 * A load asks for the exact name and, where that was not known before, in the same round trip which patterns
 * are known.
 */

import { Config } from "../config";
import { KeyFormat } from "../schema/keys";
import { Problem, RouteRecord } from "../schema/record";
import { believes_losses, epoch_of, note_incomplete } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { publish } from "./changes";
import { decode, encode, encode_lives, shortens } from "./codec";
import * as dict from "./dict";
import { Dicts, Stored } from "./dict";
import { left_by_others } from "./current";
import { bump_pattern, match_stamp, own_stamp, route_stamp, stamp } from "./fence";
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
  /** Redis does not have it, whatever is served. */
  missing: boolean;
}

const STAR = 42;
const AT = 64;
/** Looks at a name that goes on changing while it is read. */
const MOST_ATTEMPTS = 5;
const CHANGED = "it changed while it was read";

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
    // Another route may have been evicted for it.
    note_incomplete(loader.dicts.state);
    loader.report(name, { key: name, value: "", reason: err! });
  }
}

/** What was noted before Redis was asked. */
interface Began {
  now: number;
  deadline: number;
  epoch: number;
  /** Of the name's own keys. */
  stamp: number;
  /** Of the host and the patterns that may have it. */
  match_stamp: number;
  candidates: string[];
  old: Stored | undefined;
}

function is_pattern(name: string): boolean {
  return string.byte(name) === STAR;
}

function is_pool(name: string): boolean {
  return string.byte(name) === AT;
}

function begin(loader: Loader, name: string, deadline: number): Began {
  const state = loader.dicts.state;
  const candidates = is_pattern(name) || is_pool(name) ? [] : patterns(name);
  return {
    now: ngx.now(),
    deadline,
    epoch: epoch_of(state),
    stamp: own_stamp(state, name),
    match_stamp: match_stamp(state, name, candidates),
    candidates,
    old: dict.read_route(loader.dicts, name),
  };
}

/** The same route under another head. */
function with_head(old: Stored, began: Began, epoch: number, fresh: number, held: boolean): Stored {
  return {
    loaded: began.now,
    fresh,
    held,
    epoch,
    stamp: began.stamp,
    slot: old.slot,
    text: old.text,
    lives: old.lives,
    body: old.body,
  };
}

/**
 * Keeps the last good instances of a route that became empty for `empty_hold`: a platform that deletes and
 * adds in two steps must not cost a request.
 *
 * @returns the held route; undefined when the emptiness is to be believed
 */
function hold(loader: Loader, name: string, began: Began): Stored | undefined {
  const { old, now } = began;
  const hold_for = loader.config.empty_hold;
  if (
    old === undefined ||
    hold_for <= 0 ||
    is_pool(name) ||
    string.find(old.body, "\n", 1, true)[0] === undefined
  ) {
    return undefined;
  }
  if (old.held) {
    if (now >= old.loaded + hold_for) {
      return undefined;
    }
    // Another worker's refresh may come right after the load that began to hold.
    if (old.stamp !== began.stamp) {
      old.stamp = began.stamp;
      save(loader, name, old);
    }
    return old;
  }
  const held = with_head(old, began, began.epoch, hold_for, true);
  save(loader, name, held);
  loader.again(name, hold_for);
  return held;
}

/** Serves on what is gone from Redis until the node knows whether to believe that; see route/check. */
function doubt(loader: Loader, name: string, began: Began): Stored | undefined {
  const old = began.old;
  if (old === undefined || old.epoch === began.epoch || believes_losses(loader.dicts.state)) {
    return undefined;
  }
  const doubted = with_head(old, began, old.epoch, loader.config.ttl, false);
  save(loader, name, doubted);
  return doubted;
}

function forget(loader: Loader, name: string, began: Began, pattern: string): Loaded {
  const { state } = loader.dicts;
  const before = dict.read_match(loader.dicts, name);
  const lifetime = pattern === "" ? loader.config.negative_ttl : 0;
  const match = { loaded: began.now, epoch: began.epoch, stamp: began.match_stamp, pattern };
  dict.write_match(loader.dicts, name, match, lifetime);
  if (began.old !== undefined) {
    dict.delete_route(loader.dicts, name);
    if (is_pattern(name)) {
      bump_pattern(state, name);
    }
  }
  if (began.old !== undefined || (before !== undefined && before.pattern !== pattern)) {
    publish(state, name);
  }
  return { stored: undefined, pattern, missing: true };
}

function remember(
  loader: Loader,
  name: string,
  began: Began,
  record: RouteRecord,
  pool_stamp: number,
  resolve_again: number,
): Loaded {
  const { state } = loader.dicts;
  const old = began.old;
  const body = encode(record);
  const lives = encode_lives(record);
  const stored: Stored = {
    loaded: began.now,
    fresh: math.min(LONGEST_FRESH, resolve_again),
    held: false,
    epoch: began.epoch,
    stamp: began.stamp + pool_stamp,
    slot: old?.slot,
    text: `${lives}\n${body}`,
    lives,
    body,
  };
  save(loader, name, stored);
  const was_matched = old === undefined && dict.read_match(loader.dicts, name) !== undefined;
  if (was_matched) {
    dict.delete_match(loader.dicts, name);
  }
  const leads = is_pattern(name) || is_pool(name);
  if (old === undefined && is_pattern(name)) {
    bump_pattern(state, name);
  }
  if (
    was_matched ||
    (old === undefined && leads) ||
    (old !== undefined && (old.body !== body || shortens(old.lives, lives)))
  ) {
    publish(state, name);
  }
  return { stored, pattern: "", missing: false };
}

/** Whether the name's keys, or what decides to whom it belongs, have changed since. */
function is_outdated(loader: Loader, name: string, began: Began): boolean {
  return match_stamp(loader.dicts.state, name, began.candidates) !== began.match_stamp;
}

/** One look at Redis, unguarded. */
function attempt(
  loader: Loader,
  name: string,
  deadline: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  const began = begin(loader, name, deadline);
  const { old, candidates } = began;
  const state = loader.dicts.state;
  const last = old !== undefined ? decode(old.body, old.lives) : undefined;
  const kind = last !== undefined && last.options.pool === undefined ? last.kind : undefined;
  const source: Source = {
    config: loader.config,
    format: loader.format,
    last: last?.options,
    deadline,
    stamp: (pool) => stamp(state, pool),
  };
  let [answer, err] = read_route(source, name, kind, old === undefined ? candidates : []);
  if (answer !== undefined && (answer.record === undefined || answer.record.instances.length === 0)) {
    const doubted = answer.record === undefined ? doubt(loader, name, began) : undefined;
    if (doubted !== undefined) {
      return $multi({ stored: doubted, pattern: "", missing: true }, undefined);
    }
    const held = hold(loader, name, began);
    if (held !== undefined) {
      return $multi({ stored: held, pattern: "", missing: answer.record === undefined }, undefined);
    }
  }
  if (answer !== undefined && answer.record === undefined && old !== undefined && candidates.length > 0) {
    // Its own name is gone; a pattern may have it.
    [answer, err] = read_route(source, name, undefined, candidates);
  }
  if (answer === undefined) {
    return $multi(undefined, err!);
  }
  const record = answer.record;
  if (record === undefined) {
    if (is_outdated(loader, name, began)) {
      return $multi(undefined, CHANGED);
    }
    return $multi(forget(loader, name, began, answer.pattern), undefined);
  }
  const resolve_again = resolve_instances(loader.config, record, last, deadline);
  const pool = record.options.pool;
  if (route_stamp(state, name, pool) !== began.stamp + answer.pool_stamp) {
    return $multi(undefined, CHANGED);
  }
  for (const problem of record.problems) {
    loader.report(name, problem);
  }
  return $multi(remember(loader, name, began, record, answer.pool_stamp, resolve_again), undefined);
}

/** Reads until nothing changed meanwhile; unguarded: `load` is what others call. */
function run(
  loader: Loader,
  name: string,
  patience: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  const deadline = ngx.now() + patience;
  let [loaded, err] = attempt(loader, name, deadline);
  for (const _ of $range(2, MOST_ATTEMPTS)) {
    if (err !== CHANGED || ngx.now() >= deadline) {
      break;
    }
    [loaded, err] = attempt(loader, name, deadline);
  }
  if (loaded === undefined) {
    return $multi(undefined, err!);
  }
  return $multi(loaded, undefined);
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
      (began) => left_by_others(loader.dicts, name, began),
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
