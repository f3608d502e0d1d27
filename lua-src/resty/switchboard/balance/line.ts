/**
 * Requests of this worker that wait for a place, in the order in which they came.
 *
 * Only the first of a line looks for a place, so that a long line costs no more than a short one. Of a place that this
 * worker gives back it hears at once.
 */

import { new as new_semaphore, Semaphore } from "ngx.semaphore";

export interface Waiter {
  line: string;
  awake: Semaphore;
}

/** By what they wait for; none is empty. */
const lines = new LuaTable<string, Waiter[]>();
let waiting = 0;

/** The line of a route whose requests go anywhere, or of those that want one instance. */
function line_of(route: string, instance: string | undefined): string {
  return instance !== undefined ? `${route} ${instance}` : route;
}

function is_waited_for(line: string): boolean {
  return lines.get(line) !== undefined;
}

/** Joins a line; undefined: there is no memory for it. */
function join(line: string): Waiter | undefined {
  const [awake] = new_semaphore(0);
  if (awake === undefined) {
    return undefined;
  }
  const waiter: Waiter = { line, awake };
  const before = lines.get(line) as Waiter[] | undefined;
  if (before === undefined) {
    lines.set(line, [waiter]);
  } else {
    before.push(waiter);
  }
  waiting += 1;
  return waiter;
}

function is_first(waiter: Waiter): boolean {
  return lines.get(waiter.line)[0] === waiter;
}

/** Leaves the line, from wherever in it. */
function leave(waiter: Waiter): void {
  const line = lines.get(waiter.line);
  const was_first = line[0] === waiter;
  for (const i of $range(1, line.length)) {
    if (line[i - 1] === waiter) {
      table.remove(line, i);
      break;
    }
  }
  waiting -= 1;
  if (line.length === 0) {
    lines.delete(waiter.line);
  } else if (was_first) {
    line[0]!.awake.post();
  }
}

function wake_first(line: string): boolean {
  const first = lines.get(line) as Waiter[] | undefined;
  if (first !== undefined) {
    first[0]!.awake.post();
  }
  return first !== undefined;
}

/** Tells who waits that the route has given a place back at an instance: those first who want no other. */
function wake(route: string, instance: string): void {
  if (waiting > 0 && !wake_first(line_of(route, instance))) {
    wake_first(line_of(route, undefined));
  }
}

export { is_first, is_waited_for, join, leave, line_of, wake };
