/**
 * The names that have changed and were not read since, as the worker that watches knows them.
 *
 * When none is left under a counter of route/fence, it says so there: with a thousand changes a second and 25 names under a
 * counter almost every route that did not stand in a worker's cache was read again before it was served, for the changes of
 * others.
 */

import { number_of, settle } from "./fence";

export interface Outstanding {
  state: NgxSharedDict;
  names: LuaSet<string>;
  /** How many of them are under a counter, by its number. */
  counts: LuaTable<number, number>;
}

function create(state: NgxSharedDict): Outstanding {
  return { state, names: new LuaSet(), counts: new LuaTable() };
}

function count_under(outstanding: Outstanding, counter: number): number {
  return (outstanding.counts.get(counter) as number | undefined) ?? 0;
}

/** A name has changed that is to be read again. Call it after its counter was bumped. */
function note_change(outstanding: Outstanding, name: string): void {
  if (!outstanding.names.has(name)) {
    const counter = number_of(name);
    outstanding.names.add(name);
    outstanding.counts.set(counter, count_under(outstanding, counter) + 1);
  }
}

/** A name has changed that nobody here knows. Call it after its counter was bumped. */
function note_stranger(outstanding: Outstanding, name: string): void {
  if (count_under(outstanding, number_of(name)) === 0) {
    settle(outstanding.state, name);
  }
}

/** A name was read since it changed last. */
function note_read(outstanding: Outstanding, name: string): void {
  if (!outstanding.names.has(name)) {
    return;
  }
  const counter = number_of(name);
  const left = count_under(outstanding, counter) - 1;
  outstanding.names.delete(name);
  if (left > 0) {
    outstanding.counts.set(counter, left);
  } else {
    outstanding.counts.delete(counter);
    settle(outstanding.state, name);
  }
}

export { create, note_change, note_read, note_stranger };
