/**
 * The list of all names of the shared routes, on numbered pages, so that they can be visited in slices.
 *
 * A shared dict can only be walked by `get_keys`, which holds its lock and so stops every worker. An entry of a dict
 * takes 68 bytes beside what it says, so many names stand on one page. All pages have one size and are written in place:
 * only a new page can find the dict full. A route says on which page its name stands, and keeps it as long as it lives;
 * a name whose route is gone, or says otherwise, was left behind by an eviction (see route/walk).
 *
 * A page is read, changed and written back, so that is done under a lock. It is held for some microseconds and without a
 * yield; who finds it taken does not wait for longer.
 */

import { put, take } from "./varint";

/** With a key of 7 digits, and what an entry takes, it fills a 512-byte slab slot. */
const PAGE = 437;
/** A page that holds no more than this takes names again. */
const HALF = 218;
/** A name with its length fits there; longer ones have a page of their own. */
const LONGEST = 216;
const ZEROS = string.rep("\0", PAGE);

const COUNT = "count";
const PAGES = "pages";
/** The page that takes names. */
const OPEN = "open";
/** Pages that were full and are half empty again. */
const ROOM = "room";
/** How many names were taken off. */
const REMOVALS = "removals";
const LOCK = "lock";
/** Seconds after which the lock of a worker that was killed is no more. */
const LOCK_LIFETIME = 1;
/** Attempts to take it: some 20 us, which is longer than it is held by a worker that runs. */
const ATTEMPTS = 64;

/** A page that is being written: each name behind its length. */
interface Page {
  number: number;
  /** What stands on it. */
  content: string;
  /** What is put on it. */
  added: string[];
  /** Bytes that it will hold. */
  used: number;
}

function page_of(number: number, content: string): Page {
  return { number, content, added: [], used: content.length };
}

function put_on(page: Page, entry: string): void {
  page.added.push(entry);
  page.used += entry.length;
}

/** Pages were given out up to this number. */
function last_page(names: NgxSharedDict): number {
  const [pages] = names.get(PAGES);
  return (pages as number | undefined) ?? 0;
}

function lock(names: NgxSharedDict): boolean {
  for (const _ of $range(1, ATTEMPTS)) {
    const [mine] = names.safe_add(LOCK, true, LOCK_LIFETIME);
    if (mine) {
      return true;
    }
  }
  return false;
}

function unlock(names: NgxSharedDict): void {
  names.delete(LOCK);
}

/** A page, zeros behind what it holds, and how long that is; nil: there is none of this number. */
function read(names: NgxSharedDict, page: number): LuaMultiReturn<[string, number] | [undefined, undefined]> {
  const [value, used] = names.get(tostring(page));
  if (value === undefined) {
    return $multi(undefined, undefined);
  }
  return $multi(value as string, (used as number | undefined) ?? 0);
}

function content_of(names: NgxSharedDict, page: number): string | undefined {
  const [value, used] = read(names, page);
  return value !== undefined ? string.sub(value, 1, used) : undefined;
}

/** @returns false when there is no room for a new page */
function write(names: NgxSharedDict, page: number, content: string): boolean {
  // A name that is too long for a page has one of its own size.
  const value = content + string.sub(ZEROS, content.length + 1);
  const [ok] = names.safe_set(tostring(page), value, 0, content.length);
  return ok;
}

/** A name behind its length, as it stands on a page. */
function entry_of(name: string): string {
  return put(name.length) + name;
}

/** Where the entry of a name stands on a page, and where the next one does; nil: nowhere. */
function find(
  value: string,
  used: number,
  entry: string,
): LuaMultiReturn<[number, number] | [undefined, undefined]> {
  let at = 1;
  let [hit] = string.find(value, entry, 1, true);
  while (hit !== undefined && hit <= used) {
    while (at < hit) {
      const [size, from] = take(value, at);
      at = from + size;
    }
    if (at === hit) {
      return $multi(at, at + entry.length);
    }
    // It was within a longer name.
    [hit] = string.find(value, entry, hit + 1, true);
  }
  return $multi(undefined, undefined);
}

/** A page that nobody else knows; undefined: the dict is full. */
function new_page(names: NgxSharedDict, given: number | undefined): Page | undefined {
  let number = given;
  if (number === undefined) {
    [number] = names.incr(PAGES, 1, 0);
  }
  // From now on it is written in place.
  if (number !== undefined && !write(names, number, "")) {
    // If there is no room for this either, the number stays unused.
    names.lpush(ROOM, number);
    return undefined;
  }
  return number !== undefined ? page_of(number, "") : undefined;
}

/** A page with room for any name that is not long. The lock must be held. */
function page_with_room(names: NgxSharedDict): Page | undefined {
  const [freed] = names.lpop(ROOM);
  const number = freed as number | undefined;
  const content = number !== undefined ? content_of(names, number) : undefined;
  return content !== undefined ? page_of(number!, content) : new_page(names, number);
}

function keep(names: NgxSharedDict, page: Page): boolean {
  const count = page.added.length;
  const kept = count === 0 || write(names, page.number, page.content + table.concat(page.added));
  if (kept && count > 0) {
    names.incr(COUNT, count, 0);
  }
  return kept;
}

/** Puts names that are not long on the open page, and on the next ones. The lock must be held. */
function add_together(names: NgxSharedDict, wanted: string[], found: LuaTable<string, number>): void {
  const [open] = names.get(OPEN);
  const content = open !== undefined ? content_of(names, open as number) : undefined;
  let page = content !== undefined ? page_of(open as number, content) : page_with_room(names);
  for (const name of wanted) {
    if (!found.has(name)) {
      const entry = entry_of(name);
      if (page !== undefined && page.used + entry.length > PAGE) {
        keep(names, page);
        page = page_with_room(names);
      }
      if (page !== undefined && find(page.content, page.content.length, entry)[0] === undefined) {
        put_on(page, entry);
      }
      found.set(name, page !== undefined ? page.number : 0);
    }
  }
  if (page !== undefined) {
    keep(names, page);
    if (page.number !== open) {
      names.safe_set(OPEN, page.number);
    }
  }
}

/** Puts a name on a page of its own. */
function add_alone(names: NgxSharedDict, name: string): number {
  const page = new_page(names, undefined);
  if (page === undefined) {
    return 0;
  }
  put_on(page, entry_of(name));
  return keep(names, page) ? page.number : 0;
}

/**
 * Puts names into the list.
 *
 * @returns the page of each; 0 when the dict is full
 */
function add_all(names: NgxSharedDict, wanted: string[]): LuaTable<string, number> {
  const found = new LuaTable<string, number>();
  const short: string[] = [];
  const locked = lock(names);
  for (const name of wanted) {
    if (!locked || name.length > LONGEST) {
      found.set(name, add_alone(names, name));
    } else {
      short.push(name);
    }
  }
  if (locked) {
    add_together(names, short, found);
    unlock(names);
  }
  return found;
}

/** Puts a name into the list. @returns its page; 0 when the dict is full */
function add(names: NgxSharedDict, name: string): number {
  return add_all(names, [name]).get(name);
}

/** A number that grows whenever a name is taken off a page. */
function removals(names: NgxSharedDict): number {
  const [found] = names.get(REMOVALS);
  return (found as number | undefined) ?? 0;
}

/** Whether a name stands on a page. */
function has(names: NgxSharedDict, page: number, name: string): boolean {
  const [value, used] = read(names, page);
  return value !== undefined && find(value, used, entry_of(name))[0] !== undefined;
}

function take_off(names: NgxSharedDict, page: number, name: string, stays: (this: void) => boolean): void {
  const content = content_of(names, page) ?? "";
  const [at, after] = find(content, content.length, entry_of(name));
  if (at === undefined) {
    return;
  }
  const left = string.sub(content, 1, at - 1) + string.sub(content, after);
  write(names, page, left);
  // Who writes the route of this name meanwhile sees that, or is seen by who asks whether it stays.
  names.incr(REMOVALS, 1, 0);
  if (stays()) {
    write(names, page, content);
    return;
  }
  const [open] = names.get(OPEN);
  if (left === "" && page !== open) {
    names.delete(tostring(page));
  }
  names.incr(COUNT, -1, 0);
  if (page !== open && content.length > HALF && left.length <= HALF) {
    names.lpush(ROOM, page);
  }
}

/**
 * Takes a name off a page, if it stands there.
 *
 * @param stays is asked when it is off; true: it is put back
 */
function remove(names: NgxSharedDict, page: number, name: string, stays: (this: void) => boolean): void {
  // Else it stays, as after an eviction.
  if (lock(names)) {
    take_off(names, page, name, stays);
    unlock(names);
  }
}

/** The names on a page. */
function names_on(names: NgxSharedDict, page: number): string[] {
  const found: string[] = [];
  const content = content_of(names, page) ?? "";
  let at = 1;
  while (at <= content.length) {
    const [size, from] = take(content, at);
    found.push(string.sub(content, from, from + size - 1));
    at = from + size;
  }
  return found;
}

/** How many names stand in the list. */
function count(names: NgxSharedDict): number {
  const [found] = names.get(COUNT);
  return (found as number | undefined) ?? 0;
}

export { add, add_all, count, has, last_page, names_on, removals, remove };
