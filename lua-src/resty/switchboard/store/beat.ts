/**
 * When a worker does what is not urgent: at moments of its own, half a second apart, all of it together. That a worker wakes
 * up costs more than most of what it does then.
 *
 * The moments of a node's workers are spread over the second, so that several who look once a second see soon what one of
 * them is to see.
 */

/** Seconds between two moments. */
const BEAT = 0.5;
/** Longer waits end at full seconds, so that all that is done once a second is done together. */
const LONG_BEAT = 1;
/** The part of a step by which something may be early, and still has its moment behind it. */
const EARLY = 0.1;

/**
 * Seconds until the last such moment within a time.
 *
 * @param wait seconds; less than half of one is taken as it is
 */
function until_beat(wait: number): number {
  if (wait < BEAT) {
    return wait;
  }
  const step = wait < LONG_BEAT ? BEAT : LONG_BEAT;
  const now = ngx.now();
  const offset = (ngx.worker.id() ?? 0) / ngx.worker.count();
  return math.floor((now + wait - offset) / step + EARLY) * step + offset - now;
}

export { BEAT, until_beat };
