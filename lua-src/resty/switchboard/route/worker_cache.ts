/**
 * The routes that this worker has ready, and how it hears that one is no longer what it was.
 *
 * It looks at the shared generation once per tick of the event loop, so a change in another worker is seen
 * with the next tick, at the cost of what changed.
 */

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
  /** Routes of exact names. */
  routes: Recent<Slot>;
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

function drop(cache: WorkerCache, name: string): void {
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
  }
  for (const name of changes.names) {
    drop(cache, name);
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

/** @param names kept in each of the three caches */
function create(state: NgxSharedDict, names: number): WorkerCache {
  return {
    state,
    routes: recent.create(names),
    patterns: recent.create(names),
    matched: recent.create(names),
    generation: current(state),
    tick: 0,
    incomplete_since: undefined,
  };
}

export { cache_of, create, look_at_generation };
