/**
 * Reads again what Redis says has changed: soon, but one name no more often than every 50 ms, and always
 * after its last change.
 */

/** Seconds between the beginnings of two reloads of a name. */
const APART = 0.05;
/** Reloads that run at a time. */
const MOST_DRAINERS = 4;
/**
 * Up to so many names that wait are read one batch after the other with a breath between: all at once held requests up for some
 * milliseconds, fifty times a second.
 */
const FEW = 64;
/** Seconds. */
const BREATH = 0.001;
/** Seconds that a name waits for others before it: one may be held up by its own, as by a nameserver that is silent. */
const HELD_UP = 0.02;

/** Hears that a name was read, or could not be. */
export type Over = (this: void, name: string, has_failed: boolean) => void;

interface Due {
  name: string;
  at: number;
}

export interface Reloads {
  /** Names in order; `first` is the next, `count` how many wait. */
  ready: LuaTable<number, Due>;
  first: number;
  count: number;
  /** Those that were read a moment ago, in order of their time. */
  later: LuaTable<number, Due>;
  later_first: number;
  later_count: number;
  later_runs: boolean;
  waiting: LuaSet<string>;
  /** True: it has changed again since its load began. */
  running: LuaTable<string, boolean>;
  /** When reloads began: of the last moment, and of the one before. */
  young: LuaTable<string, number>;
  old: LuaTable<string, number>;
  turned: number;
  drainers: number;
  relief_runs: boolean;
  /** The longest that a name waited for its reload, in seconds, since this was last set to 0. */
  lag: number;
  /** Those that could not be read since they changed. */
  failed: LuaSet<string>;
  /** Names that are loaded together. */
  most: number;
  run: (this: void, names: string[], over: Over) => void;
  done: (this: void, name: string) => void;
}

/**
 * @param most names that are loaded together
 * @param run loads names, and says of each when it is over: one may take long by itself; yields; must not raise
 * @param done hears of each name that was read since it changed last
 */
function create(most: number, run: Reloads["run"], done: Reloads["done"]): Reloads {
  return {
    ready: new LuaTable(),
    first: 1,
    count: 0,
    later: new LuaTable(),
    later_first: 1,
    later_count: 0,
    later_runs: false,
    waiting: new LuaSet(),
    running: new LuaTable(),
    young: new LuaTable(),
    old: new LuaTable(),
    turned: 0,
    drainers: 0,
    relief_runs: false,
    lag: 0,
    failed: new LuaSet(),
    most,
    run,
    done,
  };
}

function note_begin(reloads: Reloads, name: string, now: number): void {
  if (now - reloads.turned > APART) {
    reloads.old = reloads.young;
    reloads.young = new LuaTable();
    reloads.turned = now;
  }
  reloads.young.set(name, now);
}

function take(reloads: Reloads): Due | undefined {
  if (reloads.count === 0) {
    return undefined;
  }
  const due = reloads.ready.get(reloads.first);
  reloads.ready.delete(reloads.first);
  reloads.first += 1;
  reloads.count -= 1;
  reloads.waiting.delete(due.name);
  return due;
}

function has_many(reloads: Reloads): boolean {
  return reloads.count > FEW;
}

/** The next names, marked as running. */
function take_some(reloads: Reloads): Due[] {
  const some: Due[] = [];
  const now = ngx.now();
  let due = take(reloads);
  while (due !== undefined) {
    note_begin(reloads, due.name, now);
    reloads.running.set(due.name, false);
    some.push(due);
    due = some.length < reloads.most ? take(reloads) : undefined;
  }
  return some;
}

/** A name's load is over. */
function end(reloads: Reloads, name: string, has_failed: boolean): void {
  const changed = reloads.running.get(name);
  reloads.running.delete(name);
  if (changed) {
    mark(reloads, name);
  } else if (has_failed) {
    reloads.failed.add(name);
  } else {
    reloads.done(name);
  }
}

function drain(premature: boolean, reloads: Reloads): void {
  let some = premature ? [] : take_some(reloads);
  while (some.length > 0) {
    const names: string[] = [];
    const since = new LuaTable<string, number>();
    for (const due of some) {
      names.push(due.name);
      since.set(due.name, due.at);
    }
    reloads.run(names, (name, has_failed) => {
      reloads.lag = math.max(reloads.lag, ngx.now() - since.get(name));
      end(reloads, name, has_failed);
    });
    if (reloads.count > 0 && !has_many(reloads)) {
      ngx.sleep(BREATH);
    }
    some = take_some(reloads);
  }
  reloads.drainers -= 1;
}

function add_ready(reloads: Reloads, due: Due): void {
  reloads.ready.set(reloads.first + reloads.count, due);
  reloads.count += 1;
  if (reloads.drainers === 0 || has_many(reloads)) {
    start_drainer(reloads);
  } else {
    relieve_later(reloads);
  }
}

function start_drainer(reloads: Reloads): void {
  if (reloads.drainers < MOST_DRAINERS) {
    const [started] = ngx.timer.at(0, drain, reloads);
    if (started !== undefined) {
      reloads.drainers += 1;
    }
  }
}

/** Who reads has not come to what waited a moment ago: somebody else does. */
function relieve(premature: boolean, reloads: Reloads): void {
  reloads.relief_runs = false;
  if (premature || reloads.count === 0) {
    return;
  }
  if (ngx.now() - reloads.ready.get(reloads.first).at >= HELD_UP) {
    start_drainer(reloads);
  }
  relieve_later(reloads);
}

function relieve_later(reloads: Reloads): void {
  if (!reloads.relief_runs && reloads.drainers < MOST_DRAINERS) {
    const [started] = ngx.timer.at(HELD_UP, relieve, reloads);
    reloads.relief_runs = started !== undefined;
  }
}

function run_later(premature: boolean, reloads: Reloads): void {
  reloads.later_runs = false;
  if (premature) {
    return;
  }
  const now = ngx.now() + 0.001;
  while (reloads.later_count > 0 && reloads.later.get(reloads.later_first).at <= now) {
    const due = reloads.later.get(reloads.later_first);
    reloads.later.delete(reloads.later_first);
    reloads.later_first += 1;
    reloads.later_count -= 1;
    add_ready(reloads, due);
  }
  if (reloads.later_count > 0) {
    run_later_at(reloads, reloads.later.get(reloads.later_first).at);
  }
}

function run_later_at(reloads: Reloads, at: number): void {
  if (!reloads.later_runs) {
    const [started] = ngx.timer.at(math.max(0, at - ngx.now()), run_later, reloads);
    reloads.later_runs = started !== undefined;
  }
}

/** A name's keys have changed. */
function mark(reloads: Reloads, name: string): void {
  if (reloads.waiting.has(name)) {
    return;
  }
  if (reloads.running.get(name) !== undefined) {
    reloads.running.set(name, true);
    return;
  }
  reloads.waiting.add(name);
  const now = ngx.now();
  const began = reloads.young.get(name) ?? reloads.old.get(name);
  if (began === undefined || now - began >= APART) {
    add_ready(reloads, { name, at: now });
    return;
  }
  reloads.later.set(reloads.later_first + reloads.later_count, { name, at: began + APART });
  reloads.later_count += 1;
  run_later_at(reloads, began + APART);
}

/** Tries some names again that could not be read: workers have them in their caches, and would keep them there for long. */
function try_again(reloads: Reloads, most: number): void {
  let left = most;
  for (const name of reloads.failed) {
    if (left === 0) {
      return;
    }
    left -= 1;
    reloads.failed.delete(name);
    mark(reloads, name);
  }
}

export { create, mark, try_again };
