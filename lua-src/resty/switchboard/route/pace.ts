/**
 * How fast all names are read: as fast as this worker's requests allow.
 *
 * While it has none, two batches are on their way at a time, so that Redis works on one while the worker does on the other.
 * While it has some, there is one small batch at a time, and no more than one in a millisecond. Answers that have come already are read
 * without a wait, so that others would never have their turn: after a slice of CPU they get it. What comes out longer than
 * that, as before the code is compiled, makes smaller batches.
 */

import { gather_as_usual, gather_little } from "./garbage";
import { Loader } from "./loader";
import { give_way } from "./turn";

/** Names in one round trip. */
const SMALLEST = 8;
const IDLE_BATCH = 64;
const BUSY_BATCH = 20;
/** By how many a batch grows that was short. */
const STEP = 4;
/** Batches on their way at a time without requests. */
const DEEP = 2;
/** Seconds from one batch to the next while there are requests. */
const BREATH = 0.001;
/** Seconds of CPU after which others have their turn, and how many are too long. */
const SLICE = 0.001;
const LONG = 0.002;
/** Seconds without a request after which none is expected soon. In less there is often none between two that are served. */
const QUIET = 0.1;
/** Names that are written between two turns of others while there are requests. */
const BUSY_PIECE = 5;

export interface Pace {
  loader: Loader;
  /** False once the worker that does this may no longer. */
  goes_on: (this: void) => boolean;
  /** A number that changes with every request of this worker. */
  served: (this: void) => number;
  last: number;
  busy: boolean;
  /** ngx.now() at which there was a request last, as far as it is known. */
  busy_at: number;
  /** Names in the next batch without requests. */
  batch: number;
  /** CPU time at which others had their turn. */
  since: number;
  /** Batches on their way, the oldest first. */
  running: NgxThread[];
}

function create(loader: Loader, goes_on: (this: void) => boolean, served: (this: void) => number): Pace {
  return {
    loader,
    goes_on,
    served,
    last: served(),
    busy: true,
    busy_at: 0,
    batch: SMALLEST,
    since: os.clock(),
    running: [],
  };
}

/** How many names the next batch should have. */
function batch_of(pace: Pace): number {
  return pace.busy ? math.min(BUSY_BATCH, pace.batch) : pace.batch;
}

/** How many of them are to be written between two turns of others. */
function piece_of(pace: Pace): number {
  return pace.busy ? BUSY_PIECE : IDLE_BATCH;
}

function wait_until(pace: Pace, most: number): void {
  while (pace.running.length > most) {
    const oldest = table.remove(pace.running, 1)!;
    const [ok, err] = ngx.thread.wait(oldest);
    if (!ok) {
      // Else all its names would pass for read.
      error(tostring(err), 0);
    }
  }
}

/** Others have had their turn: what it was like tells how to go on. */
function take_note(pace: Pace, spent: number): void {
  pace.batch =
    spent > LONG ? math.max(SMALLEST, math.floor(pace.batch / 2)) : math.min(IDLE_BATCH, pace.batch + STEP);
  const served = pace.served();
  const now = ngx.now();
  if (served !== pace.last) {
    pace.busy_at = now;
  }
  pace.busy = now - pace.busy_at < QUIET;
  if (pace.busy) {
    gather_little();
  } else {
    gather_as_usual();
  }
  pace.last = served;
  pace.since = os.clock();
}

/** Lets others have their turn if it is time, or somebody is likely to wait for it. Yields. */
function rest(pace: Pace): void {
  const spent = os.clock() - pace.since;
  if (spent >= SLICE || pace.busy) {
    give_way();
    take_note(pace, spent);
  }
}

/** Begins with a batch, and waits until there is time for another. Yields. */
function begin<Words extends unknown[]>(
  pace: Pace,
  read: (this: void, ...words: Words) => void,
  ...words: Words
): void {
  const [thread] = ngx.thread.spawn(read, ...words);
  pace.running.push(thread);
  if (pace.busy) {
    // Most of what is read comes meanwhile.
    ngx.sleep(BREATH);
    wait_until(pace, 0);
    take_note(pace, os.clock() - pace.since);
  } else {
    wait_until(pace, DEEP - 1);
    rest(pace);
  }
}

/** Waits for all that has begun. Yields. */
function finish(pace: Pace): void {
  wait_until(pace, 0);
}

export { batch_of, begin, create, finish, piece_of, rest };
