/**
 * From a name to its route: worker cache, shared dict, Redis.
 *
 * The way of almost every request is `find`: one table read. It looks at the shared generation once per tick
 * of the event loop, so a change in another worker is seen with the next tick.
 */

import { absent } from "../absent";
import { Config } from "../config";
import { Layout } from "../schema/layout";
import { is_arm } from "../schema/within";
import { Problem } from "../schema/record";
import { reachable } from "../store/redis";
import { read as read_trust, Trust } from "../store/trust";
import { adopt } from "./adopt";
import { fresh_until, LONGEST_FRESH, stale_until } from "./age";
import { is_current, is_current_match } from "./current";
import * as dict from "./dict";
import { Dicts, Match } from "./dict";
import { Stored } from "./stored";
import { Entry } from "./entry";
import { match_stamp } from "./fence";
import { patterns } from "./host";
import { create as create_loader, load, Loader } from "./loader";
import * as recent from "./recent";
import { create as create_queue, enqueue, RefreshQueue } from "./refresh";
import { cache_of, create as create_cache, look_at_generation, WorkerCache } from "./worker_cache";

/** Seconds until a route that is being refreshed, or could not be, is looked at again. */
const RECHECK = 0.1;
/** Seconds for which is kept what may be no more: the request that asked has it. */
const A_MOMENT = 0.001;
/** Seconds that a background load may take. */
const REFRESH_PATIENCE = 2;

export type Refusal = "unknown_route" | "no_instances" | "all_dead" | "name_unresolved" | "store_unreachable";

/** The caches behind the worker's. */
export type FoundIn = "shared" | "redis";

export type Found = LuaMultiReturn<[Entry, undefined, undefined] | [undefined, Refusal, string | undefined]>;

export interface Lookup {
  config: Config;
  dicts: Dicts;
  loader: Loader;
  queue: RefreshQueue;
  cache: WorkerCache;
  /** Where the last route was found that was not in the worker cache; a caller that notes it clears it. */
  found_in: FoundIn | undefined;
  /** How far what was read may be trusted, as it was in the tick `trust_tick`. */
  trust: Trust;
  trust_tick: number;
  /** Worker-cache hits and misses since they were counted last. */
  hits: number;
  misses: number;
  /** Misses that waited for a load. */
  waits: number;
}

function is_too_stale(lookup: Lookup, loaded: number, now: number): boolean {
  const { ttl, stale_while_refresh, max_stale } = lookup.config;
  return max_stale > 0 && now - loaded > ttl + stale_while_refresh + max_stale;
}

/**
 * A load for which a request waits.
 *
 * @param seen when what it has was read; 0: it has nothing
 */
function load_now(lookup: Lookup, name: string, seen: number): ReturnType<typeof load> {
  lookup.waits += 1;
  return load(lookup.loader, name, lookup.config.load_timeout, seen);
}

/** Serves a stored route by its age; may wait for a load. */
function serve(lookup: Lookup, name: string, stored: Stored, now: number): Found {
  lookup.found_in = "shared";
  const fresh_end = fresh_until(lookup, name, stored.loaded, stored.fresh, stored.epoch);
  const current = is_current(lookup.dicts, name, stored);
  if (current && now < fresh_end) {
    return $multi(adopt(lookup, name, stored, now, fresh_end), undefined, undefined);
  }
  if (current && now < stale_until(lookup, fresh_end, stored.epoch)) {
    enqueue(lookup.queue, name);
    return $multi(adopt(lookup, name, stored, now, now + RECHECK), undefined, undefined);
  }
  if (!reachable() && !is_too_stale(lookup, stored.loaded, now)) {
    // Redis did not answer the last time: nobody waits for it again, a background load tries it.
    enqueue(lookup.queue, name);
    return $multi(adopt(lookup, name, stored, now, now + RECHECK), undefined, undefined);
  }
  const [loaded, err] = load_now(lookup, name, stored.loaded);
  if (loaded !== undefined) {
    return serve_loaded(lookup, name, loaded.stored, loaded.pattern);
  }
  if (is_too_stale(lookup, stored.loaded, now)) {
    return $multi(undefined, "store_unreachable", err);
  }
  return $multi(adopt(lookup, name, stored, ngx.now(), ngx.now() + RECHECK), undefined, undefined);
}

/**
 * Serves what a load has just found; never loads the same name again.
 *
 * Who waited for another request's load has its turn a moment after it: since then the name may have become another, and
 * this worker may have heard so. What it keeps for longer than this request is what stands in the dicts now.
 */
function serve_loaded(lookup: Lookup, name: string, loaded: Stored | undefined, pattern: string): Found {
  const now = ngx.now();
  const soon = now + A_MOMENT;
  if (loaded !== undefined) {
    const there = dict.read_route(lookup.dicts, name);
    const stored = there ?? loaded;
    const fresh_end = fresh_until(lookup, name, stored.loaded, stored.fresh, stored.epoch);
    const entry = adopt(lookup, name, stored, now, there !== undefined ? math.max(fresh_end, soon) : soon);
    lookup.found_in = "redis";
    return $multi(entry, undefined, undefined);
  }
  if (pattern === "") {
    return $multi(undefined, "unknown_route", undefined);
  }
  const match = dict.read_match(lookup.dicts, name);
  const check_at =
    match !== undefined && match.pattern === pattern
      ? fresh_until(lookup, name, now, LONGEST_FRESH, lookup.trust.epoch)
      : soon;
  recent.set(lookup.cache.matched, name, { pattern, check_at });
  return find_pattern(lookup, name, pattern, now);
}

/** The route of a pattern. */
function serve_pattern(lookup: Lookup, pattern: string, now: number): Found {
  const stored = dict.read_route(lookup.dicts, pattern);
  if (stored !== undefined) {
    return serve(lookup, pattern, stored, now);
  }
  const [loaded, err] = load_now(lookup, pattern, 0);
  if (loaded === undefined) {
    return $multi(undefined, "store_unreachable", err);
  }
  return serve_loaded(lookup, pattern, loaded.stored, "");
}

/** A host whose pattern is gone: a wider one may have it. */
function match_anew(lookup: Lookup, name: string, pattern: string): Found {
  recent.remove(lookup.cache.matched, name);
  dict.delete_match(lookup.dicts, name);
  const [loaded, err] = load_now(lookup, name, 0);
  if (loaded === undefined) {
    return $multi(undefined, "store_unreachable", err);
  }
  if (loaded.pattern === pattern) {
    // It came back in between; the next request finds it.
    return $multi(undefined, "unknown_route", undefined);
  }
  return serve_loaded(lookup, name, loaded.stored, loaded.pattern);
}

/** The route of a pattern that is said to have the host. */
function find_pattern(lookup: Lookup, name: string, pattern: string, now: number): Found {
  const slot = recent.get(cache_of(lookup.cache, pattern), pattern);
  if (slot !== undefined && slot.entry.valid && now < slot.check_at) {
    return $multi(slot.entry, undefined, undefined);
  }
  const [entry, reason, detail] = serve_pattern(lookup, pattern, now);
  if (entry !== undefined) {
    return $multi(entry, undefined, undefined);
  }
  if (reason === "unknown_route") {
    return match_anew(lookup, name, pattern);
  }
  return $multi(undefined, reason, detail);
}

function serve_match(lookup: Lookup, name: string, match: Match, now: number): Found {
  const fresh_end = fresh_until(lookup, name, match.loaded, LONGEST_FRESH, match.epoch);
  if (now >= stale_until(lookup, fresh_end, match.epoch) && reachable()) {
    const [loaded] = load_now(lookup, name, match.loaded);
    if (loaded !== undefined) {
      return serve_loaded(lookup, name, loaded.stored, loaded.pattern);
    }
  }
  if (now >= fresh_end) {
    enqueue(lookup.queue, name);
  }
  const check_at = now < fresh_end ? fresh_end : now + RECHECK;
  recent.set(lookup.cache.matched, name, { pattern: match.pattern, check_at });
  return find_pattern(lookup, name, match.pattern, now);
}

/** A host that stands in no dict while all that Redis has does. */
function find_complete(lookup: Lookup, name: string, now: number): Found {
  const candidates = patterns(name);
  const stamp = match_stamp(lookup.dicts.state, name, candidates);
  for (const pattern of candidates) {
    if (dict.read_route(lookup.dicts, pattern) !== undefined) {
      const match: Match = { loaded: now, epoch: lookup.trust.epoch, stamp, pattern };
      dict.write_match(lookup.dicts, name, match, 0);
      return serve_match(lookup, name, match, now);
    }
  }
  return $multi(undefined, "unknown_route", undefined);
}

function find_slowly(lookup: Lookup, name: string, now: number): Found {
  lookup.misses += 1;
  if (lookup.trust_tick !== now) {
    lookup.trust_tick = now;
    read_trust(lookup.dicts.state, lookup.trust);
  }
  const stored = dict.read_route(lookup.dicts, name);
  if (stored !== undefined) {
    return serve(lookup, name, stored, now);
  }
  const match = dict.read_match(lookup.dicts, name);
  if (match !== undefined && (is_current_match(lookup.dicts, name, match) || !reachable())) {
    if (match.pattern === "") {
      return $multi(undefined, "unknown_route", undefined);
    }
    return serve_match(lookup, name, match, now);
  }
  // Pools within routes stand under no key of their own: they are read when they are first asked for.
  if (match === undefined && lookup.trust.complete && !is_arm(name)) {
    return find_complete(lookup, name, now);
  }
  const [loaded, err] = load_now(lookup, name, match !== undefined ? match.loaded : 0);
  if (loaded === undefined) {
    if (match !== undefined && match.pattern !== "") {
      return serve_match(lookup, name, match, now);
    }
    return $multi(undefined, "store_unreachable", err);
  }
  return serve_loaded(lookup, name, loaded.stored, loaded.pattern);
}

/**
 * The route that a name leads to. Yields only when Redis must be waited for.
 *
 * @param name normalised
 * @returns the entry, which may still refuse (`entry.refusal`); or nil, the reason, and what stood behind it
 */
function find(lookup: Lookup, name: string): Found {
  const now = ngx.now();
  if (now !== lookup.cache.tick) {
    look_at_generation(lookup.cache, now);
  }
  const slot = recent.get(lookup.cache.routes, name);
  if (slot !== undefined && slot.entry.valid && now < slot.check_at) {
    lookup.hits += 1;
    return $multi(slot.entry, undefined, undefined);
  }
  const matched = recent.get(lookup.cache.matched, name);
  if (matched !== undefined && now < matched.check_at) {
    lookup.hits += 1;
    return find_pattern(lookup, name, matched.pattern, now);
  }
  return find_slowly(lookup, name, now);
}

/**
 * @param report hears of every skipped value, with the route's name
 * @param failed hears of background loads that failed
 * @param heard takes words about instances that stand in the ring of changed names
 */
function create(
  config: Config,
  layouts: Layout[],
  dicts: Dicts,
  report: (this: void, name: string, problem: Problem) => void,
  failed: (this: void, name: string, err: string) => void,
  heard: WorkerCache["heard"],
): Lookup {
  // The queue loads, and the loader asks for loads.
  let loader: Loader | undefined = undefined;
  const queue = create_queue((name) => {
    const [ok, loaded, err] = pcall(load, loader!, name, REFRESH_PATIENCE);
    if (!ok || loaded === undefined) {
      failed(name, tostring(ok ? err : loaded));
    }
  });
  const again = (name: string, seconds: number): void => {
    ngx.timer.at(seconds, (premature) => {
      if (!premature) {
        enqueue(queue, name);
      }
    });
  };
  loader = create_loader(config, layouts, dicts, report, again);
  return {
    config,
    dicts,
    loader,
    queue,
    cache: create_cache(dicts.state, config.worker_cache, config.ttl / 2, loader.with_ports, heard),
    trust: { epoch: 0, healthy: false, distrusted: 0, complete: false },
    trust_tick: 0,
    found_in: absent,
    hits: 0,
    misses: 0,
    waits: 0,
  };
}

export { create, find };
