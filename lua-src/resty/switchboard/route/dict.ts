/**
 * The node's copy of what Redis said, shared by all workers.
 *
 * Routes live in one dict. Hosts that a pattern matched and hosts that nobody knows live in another: a flood
 * of made-up hosts fills and empties that one and evicts no route.
 */

import { LONGEST_FRESH } from "./age";
import { add, has, removals, remove } from "./names";
import { put, take } from "./varint";

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
  /** The page of the list of all names where its name stands; undefined or 0: in none. */
  page?: number;
  /** What it says: route/codec. Equal texts are equal routes. */
  text: string;
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

/** Of what is older than any age at which a route is served unasked. */
const LONG_AGO = -1e9;
/** How long a route is fresh: for the usual time, for one of its own, a held one for one of its own, not at all. */
const USUAL = 0;
const OWN = 1;
const HELD = 2;
const NEVER = 3;
const AGES = 4;
/** Times count milliseconds from the beginning of 2020. */
const BASE = 1577836800000;
const WORD = 2 ** 32;
/** What a dict says to who adds what is there. */
const EXISTS = "exists";
/** What a route is put together of: one table for all, and one text instead of one for each part more. */
const PARTS: string[] = ["", "", "", "", "", ""];

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
  const [found, flags] = dicts.routes.get(name);
  if (found === undefined) {
    return undefined;
  }
  const value = found as string;
  const [first, after_first] = take(value, 1);
  const [high, after_high] = take(value, after_first);
  const [epoch, after_epoch] = take(value, after_high);
  const [stamp, after_stamp] = take(value, after_epoch);
  const age = first % AGES;
  let fresh = age === NEVER ? LONG_AGO : LONGEST_FRESH;
  let from = after_stamp;
  if (age === OWN || age === HELD) {
    const [milliseconds, after] = take(value, after_stamp);
    fresh = milliseconds / 1000;
    from = after;
  }
  const low = (flags as number | undefined) ?? 0;
  return {
    loaded: (BASE + high * WORD + (low < 0 ? low + WORD : low)) / 1000,
    fresh,
    held: age === HELD,
    epoch,
    stamp,
    page: math.floor(first / AGES),
    text: string.sub(value, from),
  };
}

/** The page on which a route's name stands; 0: there is no such route, or its name stands on none. */
function page_of(dicts: Dicts, name: string): number {
  const [found] = dicts.routes.get(name);
  return found !== undefined ? math.floor(take(found as string, 1)[0] / AGES) : 0;
}

/** How long it is fresh, as two bits beside the number of the page. */
function age_of(stored: Stored): number {
  if (stored.held) {
    return HELD;
  }
  if (stored.fresh < 0) {
    return NEVER;
  }
  return stored.fresh === LONGEST_FRESH ? USUAL : OWN;
}

/** What comes before the text is as short as can be. 32 bits of the time stand in the entry's flags, which take no room. */
function put_route(
  dicts: Dicts,
  name: string,
  stored: Stored,
  page: number,
  only_new = false,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  stored.page = page;
  const age = age_of(stored);
  const time = math.max(0, math.floor(stored.loaded * 1000 + 0.5) - BASE);
  const own = age === OWN || age === HELD ? put(math.floor(stored.fresh * 1000 + 0.5)) : "";
  PARTS[0] = put(page * AGES + age);
  PARTS[1] = put(math.floor(time / WORD));
  PARTS[2] = put(stored.epoch);
  PARTS[3] = put(stored.stamp);
  PARTS[4] = own;
  PARTS[5] = stored.text;
  // The flags are a signed number.
  const value = table.concat(PARTS);
  const flags = (time % WORD) | 0;
  const [ok, err, forcible] = only_new
    ? dicts.routes.add(name, value, 0, flags)
    : dicts.routes.set(name, value, 0, flags);
  if (!ok && err === EXISTS) {
    return $multi(undefined, EXISTS);
  }
  if (!ok) {
    return $multi(undefined, `could not write to ${ROUTES}: ${err}`);
  }
  return $multi(
    true,
    forcible ? `${ROUTES} is full and evicted a route: make its lua_shared_dict larger` : undefined,
  );
}

/** Whether a name stands on a page where it was put when `removals` of route/names said `since`. */
function still_stands(dicts: Dicts, page: number, name: string, since: number | undefined): boolean {
  return page === 0 || removals(dicts.names) === since || has(dicts.names, page, name);
}

/**
 * Writes a route, and its name into the list of names when it does not stand there (on `stored.page`; give the one of
 * the version that is replaced).
 *
 * @param since what `removals` of route/names said before the name was given `stored.page`; undefined: long ago
 * @returns true; or nil and why. A write that had to evict another route succeeds, and says so in its
 * second value.
 */
function write_route(
  dicts: Dicts,
  name: string,
  stored: Stored,
  since?: number,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  const given = stored.page ?? 0;
  if (given > 0 && since !== undefined) {
    // It was unknown a moment ago: one look for its place in a large dict instead of two.
    const [ok, err] = put_route(dicts, name, stored, given, true);
    if (ok !== undefined && still_stands(dicts, given, name, since)) {
      return $multi(ok, err);
    }
  }
  // Another load may have learnt of it since this one gave it a place: its name must not stand in two.
  const removed = removals(dicts.names);
  const there = page_of(dicts, name);
  if (there > 0 && given > 0 && there !== given) {
    remove(dicts.names, given, name, () => false);
  }
  const known = there > 0 ? there : given;
  const page = known > 0 ? known : add(dicts.names, name);
  const [ok, err] = put_route(dicts, name, stored, page);
  if (ok !== undefined && !still_stands(dicts, page, name, known > 0 ? undefined : removed)) {
    // Another worker has deleted the route, or took the name for a leftover: see `tidy`.
    return put_route(dicts, name, stored, add(dicts.names, name));
  }
  return $multi(ok as true, err);
}

/** The route of a name that stands on this page. */
function route_on(dicts: Dicts, page: number, name: string): Stored | undefined {
  const stored = read_route(dicts, name);
  return stored !== undefined && stored.page === page ? stored : undefined;
}

/**
 * Takes a name off a page when its route was evicted, or says that it stands elsewhere.
 *
 * Another worker may have put it there a moment ago, and be about to write the route. So it is looked for when the name
 * is off; and who writes a route looks after that whether its name still stands.
 */
function tidy(dicts: Dicts, page: number, name: string): void {
  remove(dicts.names, page, name, () => route_on(dicts, page, name) !== undefined);
}

/** Takes a route out of its dict and its name out of the list. */
function delete_route(dicts: Dicts, name: string): void {
  const stored = read_route(dicts, name);
  dicts.routes.delete(name);
  if (stored?.page !== undefined && stored.page > 0) {
    tidy(dicts, stored.page, name);
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

function delete_match(dicts: Dicts, name: string): void {
  dicts.matches.delete(name);
}

export {
  delete_match,
  delete_route,
  LONG_AGO,
  open,
  read_match,
  read_route,
  route_on,
  tidy,
  write_match,
  write_route,
};
