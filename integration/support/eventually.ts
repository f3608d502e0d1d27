import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds between two attempts. */
const STEP = 20;

/**
 * Repeats an attempt until it no longer throws, and returns its result.
 *
 * @param what said when it never held
 * @param seconds how long it may take
 * @throws the last failure, once the time is over
 */
export async function eventually<T>(what: string, attempt: () => Promise<T> | T, seconds = 10): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await attempt();
    } catch (failure) {
      if (Date.now() >= deadline) {
        throw new Error(`not within ${seconds} s: ${what}`, { cause: failure });
      }
    }
    await delay(STEP);
  }
}

/** Lets time pass; only where the passing of time is what a story is about. */
export async function pass(seconds: number): Promise<void> {
  await delay(seconds * 1000);
}
