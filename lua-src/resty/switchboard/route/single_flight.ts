/** One run at a time for a key in this worker; whoever asks meanwhile waits for its result. */

import { new as new_semaphore, Semaphore } from "ngx.semaphore";

interface Flight<T> {
  done: Semaphore;
  waiting: number;
  result: T | undefined;
  err: string | undefined;
}

export type Flights<T> = LuaTable<string, Flight<T>>;

function create<T>(): Flights<T> {
  return new LuaTable();
}

function join<T extends object>(
  flight: Flight<T>,
  patience: number,
): LuaMultiReturn<[T, undefined] | [undefined, string]> {
  flight.waiting += 1;
  const [done] = flight.done.wait(patience);
  flight.waiting -= 1;
  if (done === undefined) {
    return $multi(undefined, "another request's load did not end in time");
  }
  if (flight.result !== undefined) {
    return $multi(flight.result, undefined);
  }
  return $multi(undefined, flight.err!);
}

/**
 * Runs, or waits for the run that is under way.
 *
 * @param run yields; its result goes to everybody who waits
 * @param patience seconds that a waiter waits at most
 */
function once<T extends object>(
  flights: Flights<T>,
  key: string,
  patience: number,
  run: (this: void) => LuaMultiReturn<[T, undefined] | [undefined, string]>,
): LuaMultiReturn<[T, undefined] | [undefined, string]> {
  const under_way = flights.get(key);
  if (under_way !== undefined) {
    return join(under_way, patience);
  }
  const [done, semaphore_err] = new_semaphore(0);
  if (done === undefined) {
    return $multi(undefined, `could not make a semaphore: ${semaphore_err}`);
  }
  const flight: Flight<T> = { done, waiting: 0, result: undefined, err: undefined };
  flights.set(key, flight);
  // A run that raised would leave its flight behind, and every later load of this key would wait for it.
  const [ok, result, err] = pcall(run);
  flights.delete(key);
  if (ok) {
    flight.result = result as T | undefined;
    flight.err = err as string | undefined;
  } else {
    flight.err = tostring(result);
  }
  if (flight.waiting > 0) {
    done.post(flight.waiting);
  }
  if (flight.result !== undefined) {
    return $multi(flight.result, undefined);
  }
  return $multi(undefined, flight.err!);
}

export { create, once };
