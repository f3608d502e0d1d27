/**
 * One worker of a node does what is to be done once: watch Redis, check, write snapshots.
 *
 * The lease is a key of the shared dict that ends by itself. It is made with `add`, which only one worker
 * can do, and renewed with `expire`, which cannot take it from another who made it in the meantime. Its
 * value is the process id, because worker ids repeat after a reload, and a number that grows with every
 * holder: a worker that was stopped for a while and goes on does not take the lease of its successor for
 * its own.
 *
 * A holder that is dead loses it at the next look of another. One that lives and does not come to renew it has longer: on a
 * machine that has no time for its workers the lease would else go round, and each that takes it has all routes
 * read again.
 */

import { C, cdef } from "ffi";
import { BEAT } from "./beat";

cdef('int switchboard_kill(int process, int signal) __asm__("kill");');

const system = C as { switchboard_kill: (this: void, process: number, signal: number) => number };

const KEY = "lease";
const TERM = "lease:term";
/** Seconds that it lives when it is not renewed. */
const LIFETIME = 3;
/** Seconds between two looks of its holder, and of another, who sees then that the holder is dead. */
const LOOK_EVERY = BEAT;
/** The same where several others look, each at another moment. One that died is replaced at once, by one that looks first of all. */
const MANY_LOOK_EVERY = 1;
const VERY_MANY_LOOK_EVERY = 2;
/** Seconds of a worker's first looks, and between two of them: after a reload the holder is one that is about to exit. */
const AT_FIRST = 1;
const FIRST_LOOKS_EVERY = 0.1;

export interface Lease {
  state: NgxSharedDict;
  /** ngx.now() at which this worker began to look. */
  began: number;
  /** The value that is this worker's, while it believes that it holds the lease. */
  mine: string | undefined;
}

function create(state: NgxSharedDict): Lease {
  return { state, began: ngx.now(), mine: undefined };
}

/** Whether this worker holds it right now. Ask before everything that only the holder may do. */
function holds(lease: Lease): boolean {
  if (lease.mine === undefined) {
    return false;
  }
  const [value] = lease.state.get(KEY);
  return value === lease.mine;
}

/** The process id of the holder; undefined when nobody is. */
function holder(state: NgxSharedDict): number | undefined {
  const [value] = state.get(KEY);
  const [pid] = string.match(tostring(value ?? ""), "^%d+");
  return tonumber(pid);
}

/** Whether a process is there: workers of a node are all of one user. */
function lives(pid: number): boolean {
  return system.switchboard_kill(pid, 0) === 0;
}

/** Renews the lease, or takes it when nobody has it. Call it again after `rest` seconds. */
function look(lease: Lease): boolean {
  if (holds(lease)) {
    lease.state.expire(KEY, LIFETIME);
    return true;
  }
  lease.mine = undefined;
  const pid = holder(lease.state);
  if (pid !== undefined) {
    if (lives(pid)) {
      return false;
    }
    // Whoever took it in between loses it again, and looks again.
    lease.state.delete(KEY);
  }
  const [term] = lease.state.incr(TERM, 1, 0);
  const mine = `${ngx.worker.pid()} ${term ?? 0}`;
  const [made] = lease.state.add(KEY, mine, LIFETIME);
  if (made) {
    lease.mine = mine;
  }
  return made;
}

/**
 * Seconds until the next look is due.
 *
 * @param workers of the node
 */
function rest(lease: Lease, workers: number): number {
  if (lease.mine === undefined && ngx.now() - lease.began < AT_FIRST) {
    return FIRST_LOOKS_EVERY;
  }
  if (lease.mine !== undefined || workers < 3) {
    return LOOK_EVERY;
  }
  return workers === 3 ? MANY_LOOK_EVERY : VERY_MANY_LOOK_EVERY;
}

/** Gives it back at once, so that a worker that exits leaves no gap. */
function release(lease: Lease): void {
  if (holds(lease)) {
    lease.state.delete(KEY);
  }
  lease.mine = undefined;
}

export { create, holder, holds, look, LOOK_EVERY, release, rest };
