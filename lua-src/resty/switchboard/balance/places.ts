/**
 * Places that the workers of a node share: how many requests run at an instance or on a route, and how many may.
 *
 * A count is one number in the shared dict: a place costs the same with any number of workers. Each place that is taken
 * stands there a second time, on the list of its worker, so that what a dead one had is known and given back (`reclaim`).
 * The list is written first and cleared last: who dies in between leaves a count that is too small, never a place that is
 * lost, and counts are put right by the lists.
 *
 * Only routes with limits come here. A name is a key of the dict: see `at_instance`, `on_route`, `in_queue`.
 */

/** How many workers have ever had a list. */
const LAST = "p:last";
/** Seconds for which a count that nobody needs is kept. */
const LIFETIME = 60;
/** No place. */
const NONE = 0;

interface Own {
  state: NgxSharedDict | undefined;
  /** The number of this worker's list; 0: it has none yet. */
  worker: number;
  /** Places that stood on the list at once. */
  longest: number;
}

const own: Own = { state: undefined, worker: 0, longest: 0 };
/** Keys of the list's places. */
const keys: string[] = [];
/** Places of the list that are free again. */
const free: number[] = [];
let free_count = 0;

/** The requests at an instance of all routes that bound them. */
function at_instance(identity: string): string {
  return `p:c:${identity}`;
}

function on_route(name: string): string {
  return `p:r:${name}`;
}

/** Those that wait for an instance of a route. */
function in_queue(name: string): string {
  return `p:q:${name}`;
}

function worker_key(worker: number): string {
  return `p:w:${worker}`;
}

/** How long a worker's list has been. */
function length_key(worker: number): string {
  return `p:l:${worker}`;
}

function place_key(worker: number, place: number): string {
  return `p:${worker}:${place}`;
}

/**
 * When a process began, as the kernel counts: numbers of processes come again.
 *
 * @returns undefined: there is no such process, or no /proc
 */
function born(pid: number): string | undefined {
  const [file] = io.open(`/proc/${pid}/stat`, "r");
  if (file === undefined) {
    return undefined;
  }
  const text = file.read("*a");
  file.close();
  // The second field is the name of the program, with whatever stands in it.
  const [time] = string.match(text ?? "", `^.*%)${string.rep(" %S+", 19)} (%d+)`);
  return time;
}

/** @param state the dict that the workers share */
function open(state: NgxSharedDict): void {
  own.state = state;
}

/** Begins the list of this worker. */
function begin_list(state: NgxSharedDict): void {
  const [worker] = state.incr(LAST, 1, 0);
  own.worker = worker ?? 0;
  const pid = ngx.worker.pid();
  state.set(worker_key(own.worker), `${pid} ${born(pid) ?? "-"}`);
}

function free_place(state: NgxSharedDict): number {
  if (free_count > 0) {
    free_count -= 1;
    return free[free_count]!;
  }
  if (own.worker === 0) {
    begin_list(state);
  }
  own.longest += 1;
  keys[own.longest - 1] = place_key(own.worker, own.longest);
  state.set(length_key(own.worker), own.longest);
  return own.longest;
}

function clear(state: NgxSharedDict, place: number): void {
  state.delete(keys[place - 1]!);
  free[free_count] = place;
  free_count += 1;
}

/**
 * Takes a place.
 *
 * @param most how many there are
 * @returns what `leave` wants to have; NONE: all are taken
 */
function take(name: string, most: number): number {
  const state = own.state!;
  const [taken] = state.get(name);
  if (taken !== undefined && (taken as number) >= most) {
    return NONE;
  }
  const place = free_place(state);
  state.set(keys[place - 1]!, name);
  const [count] = state.incr(name, 1, 0, LIFETIME);
  // Without a count the dict has no room left: the request is served, and nothing is bounded.
  if (count !== undefined && count > most) {
    state.incr(name, -1);
    clear(state, place);
    return NONE;
  }
  if (count === 1) {
    state.expire(name, LIFETIME);
  }
  return place;
}

/** Gives a place back. */
function leave(name: string, place: number): void {
  const state = own.state!;
  state.incr(name, -1);
  clear(state, place);
}

/** How many are taken. */
function taken_of(name: string): number {
  const [taken] = own.state!.get(name);
  return math.max(0, (taken as number | undefined) ?? 0);
}

export {
  at_instance,
  born,
  in_queue,
  LAST,
  leave,
  length_key,
  LIFETIME,
  NONE,
  on_route,
  open,
  place_key,
  take,
  taken_of,
  worker_key,
};
