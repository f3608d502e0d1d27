/**
 * Random numbers for picking: Marsaglia's xorshift32 (Journal of Statistical Software 8/14, 2003).
 *
 * An own generator, because `math.random` is everybody's: whoever seeds it alike in all workers would make them
 * pick alike, and a test could not fix the seed of one algorithm.
 */

const dice = { state: 0x2545f491 };

const RANGE = 4294967296;

/** A whole number from 0 to `count` - 1, each as likely. */
function throw_below(count: number): number {
  let x = dice.state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  dice.state = x;
  return math.floor(((x + 2147483648) / RANGE) * count);
}

/** Fixes the sequence, for tests. */
function seed(value: number): void {
  const state = value ^ 0x5bd1e995;
  // Zero would stay zero. Small seeds have few bits set, and xorshift takes a while to spread them.
  dice.state = state !== 0 ? state : 1;
  for (const _ of $range(1, 16)) {
    throw_below(1);
  }
}

/** Where the sequence stands, to return to it by `put_back`. */
function standing(): number {
  return dice.state;
}

function put_back(state: number): void {
  dice.state = state;
}

/** Different in every worker and after every start. */
function seed_by_worker(): void {
  seed(ngx.crc32_short(`${ngx.worker.pid()} ${ngx.now()} ${ngx.worker.id() ?? 0}`) | 0);
}

export { put_back, seed, seed_by_worker, standing, throw_below };
