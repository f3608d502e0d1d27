/**
 * Loads in the background, through a bounded queue with few drainers.
 *
 * nginx runs at most 256 timers at once: a timer for each name would let one slow Redis use them up.
 */

const MOST_WAITING = 1024;
const MOST_DRAINERS = 4;

export interface RefreshQueue {
  /** Names in order; `first` is the next to run, `count` how many wait. */
  names: LuaTable<number, string>;
  first: number;
  count: number;
  waiting: LuaSet<string>;
  drainers: number;
  /** Names that found no room. */
  dropped: number;
  run: (this: void, name: string) => void;
}

/** @param run loads one name; yields; must not raise */
function create(run: (this: void, name: string) => void): RefreshQueue {
  return { names: new LuaTable(), first: 1, count: 0, waiting: new LuaSet(), drainers: 0, dropped: 0, run };
}

function take(queue: RefreshQueue): string | undefined {
  if (queue.count === 0) {
    return undefined;
  }
  const name = queue.names.get(queue.first);
  queue.names.delete(queue.first);
  queue.first += 1;
  queue.count -= 1;
  queue.waiting.delete(name);
  return name;
}

function drain(premature: boolean, queue: RefreshQueue): void {
  let name = premature ? undefined : take(queue);
  while (name !== undefined) {
    queue.run(name);
    name = take(queue);
  }
  queue.drainers -= 1;
}

/** Asks for a load of the name soon; once, however often it is asked before it begins. */
function enqueue(queue: RefreshQueue, name: string): void {
  if (queue.waiting.has(name)) {
    return;
  }
  if (queue.count >= MOST_WAITING) {
    queue.dropped += 1;
    return;
  }
  queue.names.set(queue.first + queue.count, name);
  queue.count += 1;
  queue.waiting.add(name);
  if (queue.drainers < MOST_DRAINERS) {
    const [started] = ngx.timer.at(0, drain, queue);
    if (started !== undefined) {
      queue.drainers += 1;
    }
  }
}

export { create, enqueue };
