/**
 * Repeats questions to the server as long as somebody can see the answers, and no more often than the server can bear:
 * never while the page is hidden or paused, one of a kind at a time, at most a tenth of the time, and more and more rarely
 * while it does not answer.
 */

/** Parts of the time that one kind of question may take up. */
const SHARE = 10;
const LONGEST_WAIT = 30;

/** Why nothing is asked now. */
const stopped = new Set<"hidden" | "paused" | "locked">(document.hidden ? ["hidden"] : []);
const tasks = new Set<Task>();

/** A question that is repeated. */
export interface Task {
  /** Asks now, or as soon as anything may be asked; drops the answer that is awaited. */
  now(): void;
}

interface Running extends Task {
  halt(): void;
}

export function isStopped(): boolean {
  return stopped.size > 0;
}

/** Stops all questions for a reason, or lets them go on as far as it stood against them. */
export function stop(reason: "hidden" | "paused" | "locked", yes: boolean): void {
  const before = isStopped();
  if (yes) {
    stopped.add(reason);
  } else {
    stopped.delete(reason);
  }
  if (before !== isStopped()) {
    for (const task of tasks as Set<Running>) {
      if (before) {
        task.now();
      } else {
        task.halt();
      }
    }
  }
}

document.addEventListener("visibilitychange", () => stop("hidden", document.hidden));

/**
 * Does some work again and again, beginning now.
 *
 * @param seconds from the end of one time to the next, at least
 * @param failed is told what went wrong; the work is tried again
 */
export function repeat(
  work: (signal: AbortSignal) => Promise<void>,
  seconds: number,
  failed: (error: unknown) => void,
): Task {
  let timer: number | undefined;
  let running: AbortController | undefined;
  let failures = 0;

  const run = async (): Promise<void> => {
    const mine = new AbortController();
    running = mine;
    const began = performance.now();
    try {
      await work(mine.signal);
      failures = 0;
    } catch (error) {
      if (!mine.signal.aborted) {
        failures += 1;
        failed(error);
      }
    }
    if (running === mine) {
      running = undefined;
      const taken = (performance.now() - began) / 1000;
      const rest = Math.min(LONGEST_WAIT, Math.max(seconds, SHARE * taken) * 2 ** Math.min(failures, 6));
      // Many open pages must not ask in one moment.
      schedule(rest * (0.9 + 0.2 * Math.random()));
    }
  };
  const schedule = (wait: number): void => {
    clearTimeout(timer);
    timer = isStopped() ? undefined : window.setTimeout(() => void run(), wait * 1000);
  };
  const task: Running = {
    now: () => {
      task.halt();
      schedule(0);
    },
    halt: () => {
      clearTimeout(timer);
      running?.abort();
      running = undefined;
    },
  };
  tasks.add(task);
  task.now();
  return task;
}
