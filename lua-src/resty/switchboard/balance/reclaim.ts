/**
 * Gives back the places of workers that are gone, and puts counts right: the lists of the workers say what they must be.
 * One worker of the node looks, once a second.
 */

import { born, LAST, length_key, LIFETIME, place_key, worker_key } from "./places";

/** Seconds between two looks. */
const EVERY = 1;
/** Looks at which a count must be wrong: at one look a worker may be about to write it. */
const SURE = 3;

/** A count that is not what the lists say. */
interface Doubt {
  /** By how much, at least: below 0 it is too small. */
  by: number;
  looks: number;
}

export interface Reclaim {
  state: NgxSharedDict;
  /** ngx.now() of the next look. */
  next: number;
  /** Workers that have lists, and the last number that was given when they were looked for. */
  workers: number[];
  last: number;
  doubts: LuaTable<string, Doubt>;
}

/** What the lists say that the counts must be. */
type Truth = LuaTable<string, number>;

function create(state: NgxSharedDict): Reclaim {
  return { state, next: 0, workers: [], last: 0, doubts: new LuaTable() };
}

function lives(text: string): boolean {
  const [pid, then] = string.match(text, "^(%d+) (%S+)$");
  // Where there is no /proc nobody can tell.
  return then === "-" || born(tonumber(pid)!) === then;
}

function note(truth: Truth, name: string, more: number): void {
  truth.set(name, ((truth.get(name) as number | undefined) ?? 0) + more);
}

/** Counts what stands on a worker's list; of a dead one it is taken off. */
function go_through(state: NgxSharedDict, worker: number, alive: boolean, truth: Truth): void {
  const [length] = state.get(length_key(worker));
  for (const place of $range(1, (length as number | undefined) ?? 0)) {
    const key = place_key(worker, place);
    const [name] = state.get(key);
    if (type(name) === "string") {
      note(truth, name as string, alive ? 1 : 0);
      if (!alive) {
        state.incr(name as string, -1);
        state.delete(key);
      }
    }
  }
  if (!alive) {
    state.delete(length_key(worker));
    state.delete(worker_key(worker));
  }
}

/** All lists. Workers that have gone are no longer looked for. */
function go_through_all(reclaim: Reclaim, last: number): Truth {
  const { state } = reclaim;
  const truth: Truth = new LuaTable();
  const left: number[] = [];
  for (const worker of $range(reclaim.last + 1, last)) {
    reclaim.workers.push(worker);
  }
  for (const worker of reclaim.workers) {
    const [text] = state.get(worker_key(worker));
    // A new one has its number a moment before it has a list.
    let stays = worker > reclaim.last;
    if (text !== undefined) {
      stays = lives(text as string);
      go_through(state, worker, stays, truth);
    }
    if (stays) {
      left.push(worker);
    }
  }
  reclaim.workers = left;
  reclaim.last = last;
  return truth;
}

/** Puts a count right that has been wrong for some looks. */
function judge(reclaim: Reclaim, name: string, right: number): void {
  const { state, doubts } = reclaim;
  const [count] = state.get(name);
  const by = ((count as number | undefined) ?? 0) - right;
  const before = doubts.get(name) as Doubt | undefined;
  if (by === 0) {
    doubts.delete(name);
  } else if (before === undefined || before.by * by < 0) {
    doubts.set(name, { by, looks: 1 });
  } else {
    before.by = by > 0 ? math.min(by, before.by) : math.max(by, before.by);
    before.looks += 1;
    if (before.looks >= SURE) {
      state.incr(name, -before.by, 0, LIFETIME);
      doubts.delete(name);
    }
  }
}

/** Looks, when it is time to. Call it often in the worker that has the node's lease. */
function tick(reclaim: Reclaim, now: number): void {
  if (now < reclaim.next) {
    return;
  }
  reclaim.next = now + EVERY;
  const [last] = reclaim.state.get(LAST);
  if (last === undefined) {
    return;
  }
  const truth = go_through_all(reclaim, last as number);
  for (const [name, right] of pairs(truth)) {
    if (right > 0) {
      reclaim.state.expire(name, LIFETIME);
    }
    judge(reclaim, name, right);
  }
  for (const [name] of pairs(reclaim.doubts)) {
    if (truth.get(name) === undefined) {
      judge(reclaim, name, 0);
    }
  }
}

export { create, tick };
