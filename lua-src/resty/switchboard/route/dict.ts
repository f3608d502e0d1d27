/**
 * The node's copy of what Redis said, shared by all workers.
 *
 * Routes live in one dict. Hosts that a pattern matched and hosts that nobody knows live in another: a flood
 * of made-up hosts fills and empties that one and evicts no route.
 */

import { add, has, removals, remove } from "./names";
import { pack, page_in, Stored, unpack } from "./stored";

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

/** What a dict says to who adds what is there. */
const EXISTS = "exists";

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
  return found !== undefined ? unpack(found as string, (flags as number | undefined) ?? 0) : undefined;
}

/** The entry of a route as it is, for `page_in` and `text_in` of route/stored; undefined: there is none. */
function read_entry(dicts: Dicts, name: string): string | undefined {
  const [found] = dicts.routes.get(name);
  return found as string | undefined;
}

/** The page on which a route's name stands; 0: there is no such route, or its name stands on none. */
function page_of(dicts: Dicts, name: string): number {
  const entry = read_entry(dicts, name);
  return entry !== undefined ? page_in(entry) : 0;
}

function put_route(
  dicts: Dicts,
  name: string,
  stored: Stored,
  page: number,
  only_new: boolean,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  stored.page = page;
  const [value, flags] = pack(stored);
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
 * Writes a route whose name stands on a page, and its name into the list anew if another worker has deleted the route
 * meanwhile, or took the name for a leftover: see `tidy`.
 *
 * @param since what `removals` of route/names said before it was known to stand there; undefined: long ago
 * @param only_new nil and EXISTS where there is a route
 */
function put_listed(
  dicts: Dicts,
  name: string,
  stored: Stored,
  page: number,
  since: number | undefined,
  only_new: boolean,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  const [ok, err] = put_route(dicts, name, stored, page, only_new);
  if (ok !== undefined && !still_stands(dicts, page, name, since)) {
    return put_route(dicts, name, stored, add(dicts.names, name), false);
  }
  return $multi(ok as true, err);
}

/**
 * Writes the route of a name that was unknown a moment ago, and stands on `stored.page` since: one look for its place in a
 * large dict instead of two.
 *
 * @param since what `removals` of route/names said before the name was given that page
 * @returns as `write_route`; nil and EXISTS: another load was quicker
 */
function add_route(
  dicts: Dicts,
  name: string,
  stored: Stored,
  since: number,
): LuaMultiReturn<[true, string | undefined] | [undefined, string]> {
  const page = stored.page ?? 0;
  return put_listed(dicts, name, stored, page, since, true);
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
    const [ok, err] = add_route(dicts, name, stored, since);
    if (ok !== undefined) {
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
  const since_then = known > 0 ? undefined : removed;
  return put_listed(dicts, name, stored, page, since_then, false);
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
  add_route,
  delete_match,
  delete_route,
  EXISTS,
  open,
  read_entry,
  read_match,
  read_route,
  route_on,
  tidy,
  write_match,
  write_route,
};
