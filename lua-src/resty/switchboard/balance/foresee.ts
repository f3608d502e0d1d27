/**
 * What a pick would give, without picking: the same code runs, and everything that a pick moves is put back.
 *
 * A pick yields nowhere, so no request can come in between.
 */

import { put_back, standing } from "./dice";
import { Picker } from "./picker";
import { Pool, refresh } from "./pool";

/** Numbers of a table by their names: where a rotation stands, how many run. */
type Numbers = LuaTable<string, number>;

function numbers_of(picker: Picker): Numbers {
  const found: Numbers = new LuaTable();
  for (const [name, value] of pairs(picker as unknown as Record<string, unknown>)) {
    if (type(value) === "number") {
      found.set(name, value as number);
    }
  }
  return found;
}

function restore(picker: Picker, numbers: Numbers): void {
  for (const [name, value] of pairs(numbers)) {
    (picker as unknown as Record<string, number>)[name] = value;
  }
}

/**
 * Runs a pick and leaves no trace of it. Beforehand the pool looks, as at any pick, who may be picked now.
 *
 * @param work must not yield
 */
function foresee<T>(pool: Pool, work: (this: void) => T): T {
  refresh(pool);
  const dice = standing();
  const { picker, settled, trial } = pool;
  const before = numbers_of(picker);
  const before_settled = settled !== undefined ? numbers_of(settled) : undefined;
  const credits: number[] = [];
  for (const peer of pool.all) {
    credits.push(peer.credit);
  }
  // That an instance is tried cannot be put back.
  pool.trial = undefined;
  const found = work();
  pool.trial = trial;
  put_back(dice);
  restore(picker, before);
  if (settled !== undefined && before_settled !== undefined) {
    restore(settled, before_settled);
  }
  for (const i of $range(1, credits.length)) {
    pool.all[i - 1]!.credit = credits[i - 1]!;
  }
  return found;
}

export { foresee };
