/**
 * The node's copy of what Redis said, shared by all workers.
 *
 * Routes live in one dict. Hosts that a pattern matched and hosts that nobody knows live in another: a flood
 * of made-up hosts fills and empties that one and evicts no route.
 */

import { add, at, free, remove, restore, withdraw } from "./names";

/** A route as it stands in the shared dict. */
export interface Stored {
  /** ngx.now() when the load that wrote it began. */
  loaded: number;
  /** Seconds after `loaded` for which it counts as fresh. */
  fresh: number;
  /** The last good instances, kept for a moment after Redis said that there are none. */
  held: boolean;
  /** The epoch in which the load began; see store/trust. */
  epoch: number;
  /** What route/fence said before the load began. */
  stamp: number;
  /** Its number in the list of all names; undefined: it has none yet. */
  slot?: number;
  /** `lives` and `body` in one string: equal text means equal routes. */
  text: string;
  lives: string;
  body: string;
}

/** Where the exact name is unknown. */
export interface Match {
  loaded: number;
  epoch: number;
  /** What route/fence said of the host and its patterns before the load began. */
  stamp: number;
  /** The pattern that knows the host; empty: nobody does. */
  pattern: string;
}

export interface Dicts {
  routes: NgxSharedDict;
  matches: NgxSharedDict;
  state: NgxSharedDict;
  /** The list of all names that `routes` holds; see route/names. */
  names: NgxSharedDict;
  /** What is counted and what has happened; see observe/. */
  metrics: NgxSharedDict;
}

const ROUTES = "switchboard_routes";
const MATCHES = "switchboard_matches";
const STATE = "switchboard_state";
const NAMES = "switchboard_names";
const METRICS = "switchboard_metrics";

function named(name: string): NgxSharedDict {
  const dict = ngx.shared[name];
  if (dict === undefined) {
    error(
      `configure: the shared dict ${name} is missing: include switchboard/dicts.conf in http {}, or add "lua_shared_dict ${name} <size>;"`,
      0,
    );
  }
  return dict!;
}

/** The five dicts; raises an error that names the remedy when nginx.conf declares none. */
function open(): Dicts {
  return {
    routes: named(ROUTES),
    matches: named(MATCHES),
    state: named(STATE),
    names: named(NAMES),
    metrics: named(METRICS),
  };
}

function read_route(dicts: Dicts, name: string): Stored | undefined {
  const [value] = dicts.routes.get(name);
  if (value === undefined) {
    return undefined;
  }
  const text = value as string;
  const [head_end] = string.find(text, "\n", 1, true);
  const [lives_end] = string.find(text, "\n", head_end! + 1, true);
  const [loaded, fresh, slot, epoch, stamp, mark] = string.match(
    text,
    "^(%S+) (%S+) (%d+) (%d+) (%d+)(.-)\n",
  );
  return {
    loaded: tonumber(loaded)!,
    fresh: tonumber(fresh)!,
    held: mark === " h",
    epoch: tonumber(epoch)!,
    stamp: tonumber(stamp)!,
    slot: tonumber(slot),
    text: string.sub(text, head_end! + 1),
    lives: string.sub(text, head_end! + 1, lives_end! - 1),
    body: string.sub(text, lives_end! + 1),
  };
}

/** The slot that a route keeps, or a free one. 0: the list of names is full, and it stands in none. */
function slot_of(dicts: Dicts, name: string, stored: Stored): number {
  if (stored.slot !== undefined && stored.slot > 0) {
    return stored.slot;
  }
  return add(dicts.names, name) ?? 0;
}

function put_route(
  dicts: Dicts,
  name: string,
  stored: Stored,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  const mark = stored.held ? " h" : "";
  const head = string.format(
    "%.3f %.3g %d %d %d%s",
    stored.loaded,
    stored.fresh,
    stored.slot,
    stored.epoch,
    stored.stamp,
    mark,
  );
  const [ok, err, forcible] = dicts.routes.set(name, `${head}\n${stored.text}`);
  if (!ok) {
    return $multi(undefined, `could not write to ${ROUTES}: ${err}`);
  }
  return $multi(
    true,
    forcible ? `${ROUTES} is full and evicted a route: make its lua_shared_dict larger` : undefined,
  );
}

/**
 * Writes a route, and its name into the list of names when it has no slot there (`stored.slot`; give the
 * one of the version that is replaced).
 *
 * @returns true; or nil and why. A write that had to evict another route succeeds, and says so in its
 * second value.
 */
function write_route(
  dicts: Dicts,
  name: string,
  stored: Stored,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  const slot = slot_of(dicts, name, stored);
  const is_new = slot !== stored.slot;
  stored.slot = slot;
  const [ok, err] = put_route(dicts, name, stored);
  if (ok !== undefined && is_new && slot > 0 && at(dicts.names, slot) !== name) {
    // Who walks the list came between the two writes, and took the name for a leftover: see `tidy`.
    stored.slot = add(dicts.names, name) ?? 0;
    return put_route(dicts, name, stored);
  }
  return $multi(ok as true, err);
}

/**
 * Frees the slot of a name whose route was evicted, or stands under another number.
 *
 * Another worker may have put the name there a moment ago, and be about to write the route. So the slot is given away only when
 * there is no such route after the name was withdrawn; and who writes a route looks after that whether its name still stands.
 */
function tidy(dicts: Dicts, slot: number, name: string): void {
  if (!withdraw(dicts.names, slot, name)) {
    return;
  }
  if (read_route(dicts, name)?.slot === slot) {
    restore(dicts.names, slot, name);
  } else {
    free(dicts.names, slot);
  }
}

/** Takes a route out of its dict and its name out of the list. */
function delete_route(dicts: Dicts, name: string): void {
  const stored = read_route(dicts, name);
  dicts.routes.delete(name);
  if (stored?.slot !== undefined && stored.slot > 0) {
    remove(dicts.names, stored.slot, name);
  }
}

function read_match(dicts: Dicts, name: string): Match | undefined {
  const [value] = dicts.matches.get(name);
  if (value === undefined) {
    return undefined;
  }
  const [loaded, epoch, stamp, pattern] = string.match(value as string, "^(%S+) (%d+) (%d+) (.*)$");
  return {
    loaded: tonumber(loaded)!,
    epoch: tonumber(epoch)!,
    stamp: tonumber(stamp)!,
    pattern: pattern!,
  };
}

/** @param lifetime seconds after which the dict itself forgets it; 0: when it needs the room */
function write_match(dicts: Dicts, name: string, match: Match, lifetime: number): void {
  // A failed write only costs the next request of this host another look into Redis.
  dicts.matches.set(
    name,
    string.format("%.3f %d %d %s", match.loaded, match.epoch, match.stamp, match.pattern),
    lifetime,
  );
}

/** The pool that a stored route points to. */
function pool_of(stored: Stored): string | undefined {
  const [pool] = string.match(stored.body, "^[^\n]* p(@%S+)");
  return pool;
}

function delete_match(dicts: Dicts, name: string): void {
  dicts.matches.delete(name);
}

export { delete_match, delete_route, open, pool_of, read_match, read_route, tidy, write_match, write_route };
