/**
 * The list of all names of the shared routes, in numbered slots, so that they can be visited in slices.
 *
 * A shared dict can only be walked by `get_keys`, which holds its lock and so stops every worker. A name
 * keeps its slot as long as its route lives; slots that became free are used again, so the list is never
 * longer than the most routes there were at once.
 */

const COUNT = "count";
const FREE = "free";

/** Slots were given out up to this number. */
function last_slot(names: NgxSharedDict): number {
  const [count] = names.get(COUNT);
  return (count as number | undefined) ?? 0;
}

/** @returns the slot; undefined when the dict is full */
function add(names: NgxSharedDict, name: string): number | undefined {
  const [freed] = names.lpop(FREE);
  let slot = freed as number | undefined;
  if (slot === undefined) {
    [slot] = names.incr(COUNT, 1, 0);
  }
  if (slot === undefined) {
    return undefined;
  }
  const [ok] = names.safe_set(tostring(slot), name);
  if (!ok) {
    // If there is no room for this either, the slot stays a hole.
    names.lpush(FREE, slot);
    return undefined;
  }
  return slot;
}

/** Takes a name out of its slot, which nobody gets yet. @returns false where another name has the slot, or none */
function withdraw(names: NgxSharedDict, slot: number, name: string): boolean {
  const [there] = names.get(tostring(slot));
  if (there === name) {
    names.delete(tostring(slot));
  }
  return there === name;
}

/** Puts back what was withdrawn. */
function restore(names: NgxSharedDict, slot: number, name: string): void {
  names.safe_set(tostring(slot), name);
}

/** Gives away a slot from which a name was withdrawn. */
function free(names: NgxSharedDict, slot: number): void {
  names.lpush(FREE, slot);
}

/** Frees a slot, if this name has it. */
function remove(names: NgxSharedDict, slot: number, name: string): void {
  if (withdraw(names, slot, name)) {
    free(names, slot);
  }
}

/** The name in a slot; undefined where there is none. */
function at(names: NgxSharedDict, slot: number): string | undefined {
  const [name] = names.get(tostring(slot));
  return name as string | undefined;
}

/** How many names stand in the list. */
function count(names: NgxSharedDict): number {
  const [free] = names.llen(FREE);
  return math.max(0, last_slot(names) - (free ?? 0));
}

export { add, at, count, free, last_slot, remove, restore, withdraw };
