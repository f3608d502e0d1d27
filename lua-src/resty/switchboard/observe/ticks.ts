/**
 * What is done again and again in a worker, until it exits.
 *
 * All of it sleeps in one timer, and is done at the moments of store/beat: each time that a worker wakes up costs more than
 * most of what it does then, and a sleep costs a fifth of a timer. Now and then the timer makes room for another, as
 * nginx gives its memory back when it ends.
 *
 * That the worker exits is told at once by a timer that waits for nothing else.
 */

import { until_beat } from "../store/beat";
import { tell } from "./journal";

/** Times that it wakes up in one timer. */
const TIMES = 1000;
/** Seconds by which something may be done too soon. */
const SLACK = 0.05;
/** Seconds after which what has failed is tried again. */
const AGAIN = 1;
/** Seconds that the timer waits that nginx ends when the worker exits; and the longest sleep. */
const LONG = 86400;

interface Task {
  /** For messages. */
  what: string;
  /** @returns seconds until the next time; `exiting`: this is the last one */
  run: (this: void, exiting: boolean) => number;
  /** ngx.now() of the next time; before it begins, seconds from then. */
  at: number;
}

let tasks: Task[] | undefined = undefined;
let begun = false;
let ended = false;

function run(task: Task, now: number, exiting: boolean): void {
  const [ok, result] = pcall(task.run, exiting);
  if (!ok) {
    tell(ngx.ERR, `bug ${task.what}`, `${task.what} failed: ${tostring(result)}`);
  }
  task.at = now + until_beat(ok ? (result as unknown as number) : AGAIN);
}

/** @returns seconds until something is due */
function run_due(all: Task[], exiting: boolean): number {
  const now = ngx.now();
  let next = now + LONG;
  for (const task of all) {
    if (exiting || task.at <= now + SLACK) {
      run(task, now, exiting);
    }
    next = math.min(next, task.at);
  }
  return math.max(next - ngx.now(), 0.001);
}

/** Begins at the same moment with all of it, so that what is due at multiples of something is due together. */
function begin(premature: boolean, all: Task[]): void {
  for (const task of all) {
    task.at += ngx.now();
  }
  begun = true;
  go_on(premature, all);
}

/** Does all of it a last time, once. */
function end(all: Task[]): void {
  if (!ended) {
    ended = true;
    run_due(all, true);
  }
}

function go_on(premature: boolean, all: Task[]): void {
  for (const _ of $range(1, TIMES)) {
    if (premature || ngx.worker.exiting()) {
      end(all);
      return;
    }
    ngx.sleep(run_due(all, false));
  }
  ngx.timer.at(0, go_on, all);
}

function wait_for_exit(premature: boolean, all: Task[]): void {
  if (premature) {
    end(all);
  } else {
    ngx.timer.at(LONG, wait_for_exit, all);
  }
}

/**
 * Starts it in this worker. It may not yield.
 *
 * @param after seconds until the first time
 */
function tick(after: number, what: string, run: Task["run"]): void {
  const task: Task = { what, run, at: begun ? ngx.now() + after : after };
  if (tasks !== undefined) {
    tasks.push(task);
    return;
  }
  tasks = [task];
  ngx.timer.at(0, begin, tasks);
  ngx.timer.at(LONG, wait_for_exit, tasks);
}

export { tick };
