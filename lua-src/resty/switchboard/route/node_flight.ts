/** One run at a time for a key on this node: the other workers wait, and take what it leaves behind. */

/** The run of another worker is waited for in steps of this many seconds. */
const STEP = 0.005;
/** A worker that died in its run must not block the key for longer. */
const LOCK_LIFETIME = 2;
/** Stamps that a run leaves are rounded to milliseconds. */
const ROUNDING = 0.001;

type Result<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

/**
 * Runs, or waits while another worker does.
 *
 * @param state the shared dict with the locks
 * @param patience seconds to wait at most
 * @param run yields
 * @param left_since what a run that began at that time (ngx.now()) has left for all; undefined: nothing
 * @param seen ngx.now() at which what the caller knows was read: another worker's run that began later and is over by now
 * is as good as this one; 0: it knows nothing; undefined: it wants a run that begins now
 */
function once_per_node<T extends object>(
  state: NgxSharedDict,
  key: string,
  patience: number,
  run: (this: void) => Result<T>,
  left_since: (this: void, began: number) => T | undefined,
  seen?: number,
): Result<T> {
  const began = ngx.now();
  const lock = `load:${key}`;
  let [locked] = state.add(lock, began, LOCK_LIFETIME);
  if (locked && seen !== undefined) {
    // Between the caller's look and the lock another worker may have ended its run.
    const left = left_since(seen + ROUNDING / 2);
    if (left !== undefined) {
      state.delete(lock);
      return $multi(left, undefined);
    }
  }
  while (!locked) {
    const [theirs] = state.get(lock);
    if (theirs !== undefined) {
      if (ngx.now() - began >= patience) {
        return $multi(undefined, "another worker's load did not end in time");
      }
      ngx.sleep(STEP);
    }
    const [now_theirs] = state.get(lock);
    if (theirs === undefined || now_theirs !== theirs) {
      const left = theirs !== undefined ? left_since((theirs as number) - ROUNDING) : undefined;
      if (left !== undefined) {
        return $multi(left, undefined);
      }
      [locked] = state.add(lock, ngx.now(), LOCK_LIFETIME);
    }
  }
  const [ok, result, err] = pcall(run);
  state.delete(lock);
  if (!ok) {
    error(result, 0);
  }
  if (result === undefined) {
    return $multi(undefined, err as unknown as string);
  }
  return $multi(result as unknown as T, undefined);
}

export { once_per_node };
