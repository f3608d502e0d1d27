/**
 * The routes whose instances are to be checked: those with a `check` that were asked for lately, or that want it always.
 *
 * The list stands in the dict of names. Each worker notes every few seconds which of these routes had requests, by the
 * count that their budget of retries keeps anyway: a request pays nothing for it.
 */

import { Entry } from "./entry";

/** Seconds after its last request for which a route is checked. */
const SEEN_FOR = 300;
/** Seconds between two looks at who was asked. */
const LOOK_EVERY = 10;

/** Numbers were given out up to this. */
const LAST = "checked:last";
/** Those that are free again. */
const FREE = "checked:free";
/** In front of a number: the name. */
const NUMBERED = "checked:";
/** In front of a name: ngx.now() of the last request that was noted; 0: there was none. No name has a blank. */
const SEEN = "checked ";

/** Entries of this worker with a check, by name. Weak: they live as long as the cache keeps them. */
const heeded = setmetatable(new LuaTable<string, Entry>(), { __mode: "v" });
/** Requests that their budgets had counted at the last look. */
const counts = new LuaTable<string, number>();
let looked_at = 0;

/** Gives a name a number. @returns false when the dict is full */
function number(names: NgxSharedDict, name: string): boolean {
  const [freed] = names.lpop(FREE);
  let found = freed as number | undefined;
  if (found === undefined) {
    [found] = names.incr(LAST, 1, 0);
  }
  const [ok] = found !== undefined ? names.safe_set(NUMBERED + tostring(found), name) : [false];
  if (!ok && found !== undefined) {
    // If there is no room for this either, the number stays unused.
    names.lpush(FREE, found);
  }
  return ok;
}

/** Takes a name in that is not on the list. When the dict is full it is not checked. */
function take_in(names: NgxSharedDict, name: string, seen: number): void {
  const [added] = names.safe_add(SEEN + name, seen);
  if (added && !number(names, name)) {
    names.delete(SEEN + name);
  }
}

/** A route wants to be checked whether it is asked for or not. */
function enlist(names: NgxSharedDict, name: string): void {
  take_in(names, name, 0);
}

function note_seen(names: NgxSharedDict, name: string, now: number): void {
  const [known] = names.replace(SEEN + name, now);
  if (!known) {
    take_in(names, name, now);
  }
}

/**
 * Hears of an entry that a request has just found.
 *
 * @param is_checked false: it may have taken the place of one that was
 */
function heed(names: NgxSharedDict, name: string, entry: Entry, is_checked: boolean, now: number): void {
  if (is_checked) {
    heeded.set(name, entry);
    counts.set(name, entry.budget.requests);
    note_seen(names, name, now);
  } else {
    heeded.delete(name);
    counts.delete(name);
  }
}

/** Notes which routes with a check this worker was asked for since it looked last. */
function note_asked(names: NgxSharedDict, now: number): void {
  if (now - looked_at < LOOK_EVERY) {
    return;
  }
  looked_at = now;
  for (const [name, before] of pairs(counts)) {
    const entry = heeded.get(name) as Entry | undefined;
    if (entry === undefined) {
      counts.delete(name);
    } else if (entry.budget.requests !== before) {
      counts.set(name, entry.budget.requests);
      note_seen(names, name, now);
    }
  }
}

/** Names are numbered up to this; there may be gaps. */
function last_number(names: NgxSharedDict): number {
  const [last] = names.get(LAST);
  return (last as number | undefined) ?? 0;
}

function is_empty(names: NgxSharedDict): boolean {
  const [free] = names.llen(FREE);
  return last_number(names) === (free ?? 0);
}

function name_at(names: NgxSharedDict, at: number): string | undefined {
  const [name] = names.get(NUMBERED + tostring(at));
  return name as string | undefined;
}

function was_seen_lately(names: NgxSharedDict, name: string, now: number): boolean {
  const [seen] = names.get(SEEN + name);
  return now - ((seen as number | undefined) ?? 0) < SEEN_FOR;
}

function strike_off(names: NgxSharedDict, at: number, name: string): void {
  names.delete(SEEN + name);
  names.delete(NUMBERED + tostring(at));
  names.lpush(FREE, at);
}

export { enlist, heed, is_empty, last_number, note_asked, name_at, strike_off, was_seen_lately };
