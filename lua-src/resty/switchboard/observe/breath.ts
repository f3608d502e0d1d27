/**
 * How long somebody who writes a long page waits between two pieces of it, so that requests have their turn.
 *
 * In a worker with time to spare a piece comes after twice its own time at least, or requests would find it as busy as one
 * at its limit. In a busy one each turn lasts as long as all that waits in it, and the page must come to its end.
 */

/** Seconds; not none: stock nginx logs a warning at each such sleep. */
const LONG = 0.002;
const SHORT = 0.001;
/** Seconds beyond which a turn that was to take a short time says that the worker is busy. */
const BUSY = 0.002;

/** How much longer than was asked for the last turn took. */
let late = 0;

/** Yields. */
function breathe(): void {
  const wanted = late > BUSY ? SHORT : LONG;
  const began = ngx.now();
  ngx.sleep(wanted);
  late = ngx.now() - began - wanted;
}

export { breathe };
