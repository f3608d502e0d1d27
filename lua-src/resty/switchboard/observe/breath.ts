/**
 * How somebody who writes a long page has requests have their turn between two pieces of it.
 *
 * In a worker with time to spare the next piece comes after some times its own length, or requests would find the worker as
 * busy as one at its limit. In a busy one each turn lasts as long as all that waits in it, and the page must come to its
 * end: there a few pieces are done in one go.
 */

/** Seconds; not none: stock nginx logs a warning at each such sleep. */
const MOMENT = 0.001;
/** Seconds beyond which a moment that took longer says that the worker is busy. */
const BUSY = 0.001;
/** Pieces of a busy worker without a breath between them. */
const IN_ONE_GO = 4;

/** How much longer than was asked for the last turn took. */
let late = 0;
/** Pieces since then. */
let pieces = 0;

/** A piece is done; may yield. */
function breathe(): void {
  pieces += 1;
  if (late > BUSY && pieces < IN_ONE_GO) {
    return;
  }
  pieces = 0;
  const began = ngx.now();
  ngx.sleep(MOMENT);
  late = ngx.now() - began - MOMENT;
}

export { breathe };
