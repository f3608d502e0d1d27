/**
 * How somebody who writes a long page has requests have their turn between two pieces of it.
 *
 * At first the next piece comes after many times its own length, or requests would find the worker as busy as one at its
 * limit. But in a worker that is, each turn lasts as long as all that waits in it, and the page must come to its end: the
 * longer it takes the more pieces are done in one go.
 */

import { Pause } from "./slices";

/** Seconds; not none: stock nginx logs a warning at each such sleep. */
const MOMENT = 0.001;
/** Seconds in which one piece is done after each breath; in the next as many two, and so on. */
const CALM = 0.06;

/** The pause after each piece of a page that begins now; may yield. */
function begin(): Pause {
  const began = ngx.now();
  let pieces = 0;
  return () => {
    pieces += 1;
    if (pieces > (ngx.now() - began) / CALM) {
      pieces = 0;
      ngx.sleep(MOMENT);
    }
  };
}

export { begin };
