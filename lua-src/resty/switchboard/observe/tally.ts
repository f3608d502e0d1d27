/**
 * What this worker counts of each route, and on demand of each instance, between two flushes.
 *
 * A route's compiled entry holds its tally, so that a request counts by a few table writes: no name is looked up, no
 * shared dict is touched. A tally that counts something for the first time since the last flush puts itself on a list;
 * a flush looks at these alone, and what is not asked for costs nothing.
 */

import { NUMBERS_OF_ROW } from "./sheet";

export interface Tally {
  name: string;
  /** By the places below, since the last flush. */
  counts: number[];
  /** It has counted nothing since the last flush. */
  idle: boolean;
}

/** What has a tally: a route's entry, or the state of an instance. */
export interface Counted {
  tally: Tally | undefined;
}

/** Requests by status class: five places. */
const CLASSES = 0;
/** Requests by duration, each in one bucket: one place per bound and one for what is longer. */
const BUCKETS = 5;
/** Upper bounds of the buckets in milliseconds. */
const BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000];
/** Milliseconds of all durations together. */
const DURATION = 16;
const TRIES = 17;
/** Answers of the router itself. */
const ANSWERS = 18;
const PLACES = NUMBERS_OF_ROW - 1;

export type Mode = "off" | "on" | "instances";

/** The tallies of one kind that have counted since the last flush. */
export interface Touched {
  tallies: Tally[];
  count: number;
}

let routes: Touched = { tallies: [], count: 0 };
let instances: Touched = { tallies: [], count: 0 };

let counting = false;
let counting_instances = false;
/** Called after each request where no flush will come any more: the worker stops when its requests have ended. */
let after_each: (() => void) | undefined = undefined;
/** One of the last two. */
let more = false;

/** Durations below a second by the millisecond: no bound is compared. */
const SHORT = 1000;
const bucket_of: number[] = [];

function find_bucket(ms: number): number {
  for (const i of $range(1, BOUNDS.length)) {
    if (ms <= BOUNDS[i - 1]!) {
      return i - 1;
    }
  }
  return BOUNDS.length;
}

/** Which requests are counted from now on. */
function set_mode(mode: Mode): void {
  counting = mode !== "off";
  counting_instances = mode === "instances";
  more = counting_instances || after_each !== undefined;
  for (const ms of $range(0, SHORT)) {
    bucket_of[ms] = find_bucket(ms);
  }
}

function create(name: string): Tally {
  const counts: number[] = [];
  for (const i of $range(1, PLACES)) {
    counts[i - 1] = 0;
  }
  const [printable] = string.gsub(name, "%c", "?");
  return { name: printable, counts, idle: true };
}

function touch(touched: Touched, tally: Tally): void {
  tally.idle = false;
  touched.tallies[touched.count] = tally;
  touched.count += 1;
}

function start_tally(counted: Counted, name: string): Tally {
  const tally = create(name);
  counted.tally = tally;
  return tally;
}

function add(touched: Touched, tally: Tally, status: number, ms: number, answers: number): void {
  if (tally.idle) {
    touch(touched, tally);
  }
  const counts = tally.counts;
  const place = math.min(5, math.max(1, math.floor(status / 100))) - 1;
  counts[place] = counts[place]! + 1;
  const bucket = BUCKETS + (ms < SHORT ? bucket_of[ms]! : find_bucket(ms));
  counts[bucket] = counts[bucket]! + 1;
  counts[DURATION] = counts[DURATION]! + ms;
  counts[TRIES] = counts[TRIES]! + 1;
  counts[ANSWERS] = counts[ANSWERS]! + answers;
}

/** What almost no router does with a request. */
function observe_more(
  instance: (Counted & { identity: string }) | undefined,
  status: number,
  ms: number,
  answers: number,
): void {
  if (counting_instances && instance !== undefined) {
    add(instances, instance.tally ?? start_tally(instance, instance.identity), status, ms, answers);
  }
  if (after_each !== undefined) {
    after_each();
  }
}

/**
 * Counts a request that was sent to instances, in the log phase. In one piece: LuaJIT begins traces in small functions.
 *
 * @param peer the last one that it was sent to; undefined: none
 * @param began Unix seconds at which nginx read its first byte
 * @param answers 1 where the router answered itself after failed tries
 */
function observe(
  route: Counted & { name: string },
  peer: { state: Counted & { identity: string } } | undefined,
  began: number,
  status: number,
  tries: number,
  answers: number,
): void {
  if (!counting) {
    return;
  }
  const tally = route.tally ?? start_tally(route, route.name);
  if (tally.idle) {
    touch(routes, tally);
  }
  const counts = tally.counts;
  // An app may answer with any three digits.
  const place = math.min(5, math.max(1, math.floor(status / 100))) - 1;
  counts[place] = counts[place]! + 1;
  const ms = math.max(0, math.floor((ngx.now() - began) * 1000 + 0.5));
  const bucket = BUCKETS + (ms < SHORT ? bucket_of[ms]! : find_bucket(ms));
  counts[bucket] = counts[bucket]! + 1;
  counts[DURATION] = counts[DURATION]! + ms;
  counts[TRIES] = counts[TRIES]! + tries;
  counts[ANSWERS] = counts[ANSWERS]! + answers;
  if (more) {
    observe_more(peer?.state, status, ms, answers);
  }
}

/** Counts a try of an instance that failed and was not the last of its request. */
function observe_failed_try(instance: Counted & { identity: string }): void {
  if (counting_instances) {
    const tally = instance.tally ?? start_tally(instance, instance.identity);
    if (tally.idle) {
      touch(instances, tally);
    }
    tally.counts[TRIES] = tally.counts[TRIES]! + 1;
  }
}

/** @param send is called after each request from now on */
function send_after_each(send: () => void): void {
  after_each = send;
  more = true;
}

/**
 * Counts a request to a route that the router answered without a try.
 *
 * @param answers 1 where that was an answer with a reason
 */
function observe_refusal(route: Counted & { name: string }, status: number, answers: number): void {
  if (counting) {
    const tally = route.tally ?? start_tally(route, route.name);
    if (tally.idle) {
      touch(routes, tally);
    }
    const place = math.min(5, math.max(1, math.floor(status / 100))) - 1;
    tally.counts[place] = tally.counts[place]! + 1;
    tally.counts[ANSWERS] = tally.counts[ANSWERS]! + answers;
  }
}

function requests_of(tally: Tally): number {
  let requests = 0;
  for (const place of $range(CLASSES, CLASSES + 4)) {
    requests += tally.counts[place]!;
  }
  return requests;
}

/**
 * What has counted since the last call: the routes, and the instances. Each of them must be made idle again, with counts of
 * 0, before it is on a list again.
 */
function take_touched(): Touched[] {
  const taken = [routes, instances];
  routes = { tallies: [], count: 0 };
  instances = { tallies: [], count: 0 };
  return taken;
}

/** How many routes and instances have counted since the last call of `take_touched`. */
function touched_count(): number {
  return routes.count + instances.count;
}

/** Whether requests are counted, and whether instances are counted one by one. */
function is_counting(): LuaMultiReturn<[boolean, boolean]> {
  return $multi(counting, counting_instances);
}

export {
  ANSWERS,
  BOUNDS,
  BUCKETS,
  CLASSES,
  DURATION,
  is_counting,
  observe,
  observe_failed_try,
  observe_refusal,
  PLACES,
  requests_of,
  send_after_each,
  set_mode,
  take_touched,
  touched_count,
  TRIES,
};
