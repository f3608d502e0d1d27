/**
 * What a load has read is worth nothing if its name was changed while it read.
 *
 * Counters, never clocks: one of 4,096, by a hash of the name, steps whenever Redis says that a key of the
 * name has changed. A load notes the counter before it asks and stores it with what it found; who reads it
 * later compares. A counter that was lost makes everything under it differ, which costs a load.
 *
 * Many names have one counter. So who hears of changes says when all names under it that have changed were read again
 * (route/outstanding): what else stands under it is still right, though the counter has moved.
 */

import { parent_of } from "../schema/within";

const COUNTERS = 4096;

/** The keys of the counters: made once, for they are asked for several times at each load. */
const OF_NAMES: string[] = [];
const OF_PATTERNS: string[] = [];
/** What counters of names were when everything under them that had changed was read. */
const READ_UP_TO: string[] = [];
for (const i of $range(0, COUNTERS - 1)) {
  OF_NAMES.push(`f:${i}`);
  OF_PATTERNS.push(`p:${i}`);
  READ_UP_TO.push(`r:${i}`);
}

/** The number of a name's counter. */
function number_of(name: string): number {
  return ngx.crc32_short(name) % COUNTERS;
}

function counter(keys: string[], name: string): string {
  return keys[number_of(name)]!;
}

/** The key of a name's counter, for who looks at it several times: `value_of`. */
function counter_of(name: string): string {
  return counter(OF_NAMES, name);
}

function value_of(state: NgxSharedDict, key: string): number {
  const [value] = state.get(key);
  return (value as number | undefined) ?? 0;
}

/** The name's keys have changed: loads that run began too early. */
function bump(state: NgxSharedDict, name: string): void {
  state.incr(counter(OF_NAMES, name), 1, 0);
}

/** The counter of a name, to be taken before it is read. */
function stamp(state: NgxSharedDict, name: string): number {
  return value_of(state, counter(OF_NAMES, name));
}

/** Of all names under a counter, by one of them: those that have changed were read again. */
function settle(state: NgxSharedDict, name: string): void {
  state.set(counter(READ_UP_TO, name), stamp(state, name));
}

/** Whether that holds for all changes that a name's counter has counted. */
function is_settled(state: NgxSharedDict, name: string): boolean {
  const [read_up_to] = state.get(counter(READ_UP_TO, name));
  return read_up_to !== undefined && read_up_to === stamp(state, name);
}

/** The counters of a name and of those whose options it inherits. They only grow: so does their sum. */
function own_stamp(state: NgxSharedDict, name: string): number {
  const parent = parent_of(name);
  return stamp(state, name) + (parent !== undefined ? own_stamp(state, parent) : 0);
}

/** The counter of a route as a whole: its own, and that of the pool that it points to. */
function route_stamp(state: NgxSharedDict, name: string, pool: string | undefined): number {
  return own_stamp(state, name) + (pool !== undefined ? stamp(state, pool) : 0);
}

/** A pattern has become known, or unknown: hosts may belong elsewhere. */
function bump_pattern(state: NgxSharedDict, pattern: string): void {
  state.incr(counter(OF_PATTERNS, pattern), 1, 0);
}

/**
 * The counters on which it depends to whom a host belongs that has no route of its own. They only grow, so
 * their sum stays the same only as long as none has moved.
 */
function match_stamp(state: NgxSharedDict, name: string, candidates: string[]): number {
  let sum = stamp(state, name);
  for (const i of $range(1, candidates.length)) {
    sum += value_of(state, counter(OF_PATTERNS, candidates[i - 1]!));
  }
  return sum;
}

export {
  bump,
  bump_pattern,
  counter_of,
  is_settled,
  match_stamp,
  number_of,
  own_stamp,
  route_stamp,
  settle,
  stamp,
  value_of,
};
