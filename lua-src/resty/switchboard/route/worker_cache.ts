/**
 * The routes that this worker has ready, and how it hears that one is no longer what it was.
 *
 * It looks at the shared generation once per tick of the event loop, so a change in another worker is seen
 * with the next tick, at the cost of what changed.
 */

import { absent } from "../absent";
import { current, since } from "./changes";
import { Entry } from "./entry";
import * as recent from "./recent";
import { Recent } from "./recent";

export interface Slot {
  entry: Entry;
  /** ngx.now() from which the shared dict must be asked again. */
  check_at: number;
}

/** A host that a pattern has. */
export interface Matched {
  pattern: string;
  check_at: number;
}

export interface WorkerCache {
  state: NgxSharedDict;
  distrust_within: number;
  /** A host may have those of its names that say a port, as a pattern has hosts. */
  with_ports: boolean;
  /** Takes words about instances; undefined: some may have been missed. */
  heard: (this: void, word: string | undefined) => void;
  /** Routes of exact names. */
  routes: Recent<Slot>;
  /**
   * Entries by another name that they are made of: the pool that they point to, the host whose options a path
   * inherits. It holds none of them alive.
   */
  dependants: LuaTable<string, LuaSet<Entry>>;
  /** How many such names there are, and with how many those are looked for that no entry is made of any more. */
  parts: number;
  most_parts: number;
  /** Routes of patterns. Apart, so that hosts evict none of them. */
  patterns: Recent<Slot>;
  /** Apart from the routes, so that a flood of hosts under a wildcard evicts none of them. */
  matched: Recent<Matched>;
  generation: number;
  /** The tick in which the generation was looked at last. */
  tick: number;
  /** Set when a step of the ring was not written yet. */
  incomplete_since: number | undefined;
}

/** A step of the ring that is unwritten for longer (seconds) will never be: its writer died. */
const RING_PATIENCE = 0.1;

const STAR = 42;

/** The cache that has, or would have, the route of a name. */
function cache_of(cache: WorkerCache, name: string): Recent<Slot> {
  return string.byte(name) === STAR ? cache.patterns : cache.routes;
}

const AT = 64;
/** A word about an instance: `health/ward`. */
const CARET = 94;
/** A change that is no name's: what all workers have read needs a second look. */
const EVERYTHING = "!";
const WEAK = { __mode: "k" } as LuaMetatable<LuaSet<Entry>>;

/**
 * Forgets the names whose entries are all gone: as many as there are routes may come and go, and be forgotten by the
 * caches of routes long before they change.
 */
function sweep_parts(cache: WorkerCache): void {
  let left = 0;
  for (const [part, entries] of pairs(cache.dependants)) {
    if (entries.isEmpty()) {
      cache.dependants.delete(part);
    } else {
      left += 1;
    }
  }
  cache.parts = left;
  // Twice as many at least, so that a look at all of them is paid for by as many that are new.
  cache.most_parts = math.max(cache.most_parts, 2 * left);
}

/** Remembers that an entry is to be dropped with another name. */
function note_part(cache: WorkerCache, part: string, entry: Entry): void {
  let entries = cache.dependants.get(part) as LuaSet<Entry> | undefined;
  if (entries === undefined) {
    if (cache.parts >= cache.most_parts) {
      sweep_parts(cache);
    }
    cache.parts += 1;
    entries = setmetatable(new LuaSet<Entry>(), WEAK);
    cache.dependants.set(part, entries);
  }
  entries.add(entry);
}

function drop_dependants(cache: WorkerCache, part: string): void {
  const entries = cache.dependants.get(part) as LuaSet<Entry> | undefined;
  if (entries !== undefined) {
    for (const entry of entries) {
      entry.valid = false;
    }
    cache.dependants.delete(part);
    cache.parts -= 1;
  }
}

function distrust_slots<T extends { check_at: number }>(
  slots: LuaTable<string, T>,
  now: number,
  within: number,
): void {
  for (const [, slot] of pairs(slots)) {
    slot.check_at = math.min(slot.check_at, now + math.random() * within);
  }
}

/** All that is there goes on being served, and is looked up again one after the other. */
function distrust(cache: WorkerCache, now: number): void {
  const within = cache.distrust_within;
  for (const slots of [cache.routes, cache.patterns]) {
    distrust_slots(slots.young, now, within);
    distrust_slots(slots.old, now, within);
  }
  distrust_slots(cache.matched.young, now, within);
  distrust_slots(cache.matched.old, now, within);
}

function drop(cache: WorkerCache, name: string): void {
  const first = string.byte(name);
  drop_dependants(cache, name);
  if (first === AT) {
    return;
  }
  if (first === STAR || cache.with_ports) {
    // Any host may belong to it, or to nobody any more.
    recent.clear(cache.matched);
  }
  const slot = recent.get(cache_of(cache, name), name);
  if (slot !== undefined) {
    slot.entry.valid = false;
  }
  recent.remove(cache.matched, name);
}

function drop_everything(cache: WorkerCache): void {
  recent.clear(cache.routes);
  recent.clear(cache.patterns);
  recent.clear(cache.matched);
}

function catch_up(cache: WorkerCache, now: number, generation: number): void {
  const patience = cache.incomplete_since === undefined || now - cache.incomplete_since < RING_PATIENCE;
  const changes = since(cache.state, cache.generation, generation, patience);
  if (changes.everything) {
    drop_everything(cache);
    cache.heard(undefined);
  }
  for (const name of changes.names) {
    if (name === EVERYTHING) {
      distrust(cache, now);
    } else if (string.byte(name) === CARET) {
      cache.heard(name);
    } else {
      drop(cache, name);
    }
  }
  cache.generation = changes.generation;
  if (changes.generation === generation) {
    cache.incomplete_since = undefined;
  } else if (cache.incomplete_since === undefined) {
    cache.incomplete_since = now;
  }
}

/**
 * Drops what changed since this was called last.
 *
 * @param now ngx.now(), which stands still within a tick: call it when it has moved
 */
function look_at_generation(cache: WorkerCache, now: number): void {
  cache.tick = now;
  const generation = current(cache.state);
  if (generation !== cache.generation) {
    catch_up(cache, now, generation);
  }
}

/**
 * @param names kept in each of the three caches
 * @param distrust_within seconds over which second looks are spread
 * @param with_ports names may say a port
 * @param heard takes words about instances that stand between the names; undefined: some may have been missed
 */
function create(
  state: NgxSharedDict,
  names: number,
  distrust_within: number,
  with_ports: boolean,
  heard: WorkerCache["heard"],
): WorkerCache {
  return {
    state,
    distrust_within,
    with_ports,
    heard,
    dependants: new LuaTable(),
    parts: 0,
    most_parts: 2 * names,
    routes: recent.create(names),
    patterns: recent.create(names),
    matched: recent.create(names),
    generation: current(state),
    tick: 0,
    incomplete_since: absent,
  };
}

/** Whether a request for the name would be a hit. Changes nothing. */
function has_ready(cache: WorkerCache, name: string, now: number): boolean {
  const slots = cache_of(cache, name);
  const slot = (slots.young.get(name) ?? slots.old.get(name)) as Slot | undefined;
  return slot !== undefined && slot.entry.valid && now < slot.check_at;
}

export { cache_of, create, EVERYTHING, has_ready, look_at_generation, note_part };
