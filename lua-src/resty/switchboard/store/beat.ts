/**
 * When a worker does what is not urgent: at moments of its own, half a second apart, all of it together. That a worker wakes
 * up costs more than most of what it does then.
 *
 * The moments of a node's workers are spread over two seconds, so that several who look seldom see soon what one of
 * them is to see.
 */

/** Seconds between two moments. */
const BEAT = 0.5;
/** Longer waits end at full seconds or pairs of them, so that all that is done as often is done together. */
const LONG = 2;
/** Seconds by which something may be early, and still has its moment behind it. */
const EARLY = 0.05;

/**
 * Seconds until the last such moment within a time.
 *
 * @param wait seconds; less than half of one is taken as it is
 */
function until_beat(wait: number): number {
  if (wait < BEAT) {
    return wait;
  }
  const step = wait >= LONG ? LONG : wait >= BEAT * 2 ? BEAT * 2 : BEAT;
  const now = ngx.now();
  const offset = (LONG * (ngx.worker.id() ?? 0)) / ngx.worker.count();
  return math.floor((now + wait + EARLY - offset) / step) * step + offset - now;
}

export { BEAT, until_beat };
