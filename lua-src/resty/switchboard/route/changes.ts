/**
 * How workers learn what changed: a shared generation and a ring of the names behind its last steps.
 *
 * A generation is a counter, never a clock: two changes in one second are two changes.
 */

const RING_SIZE = 1024;
const GENERATION = "generation";
const REVISION = "revision";

/** What happened since a worker last looked. */
export interface Changes {
  generation: number;
  names: string[];
  /** More happened than the ring remembers, or a slot is unreadable: distrust everything. */
  everything: boolean;
}

/** The steps of the generation that a slot's flags can tell from one another. */
const STEPS = 2 ** 31;
const SLOT_KEYS: string[] = [];
for (const i of $range(0, RING_SIZE - 1)) {
  SLOT_KEYS.push(`changed:${i}`);
}

function slot_key(generation: number): string {
  return SLOT_KEYS[generation % RING_SIZE]!;
}

/** The current generation; 0 before the first change. */
function current(state: NgxSharedDict): number {
  const [generation] = state.get(GENERATION);
  return generation !== undefined ? (generation as number) : 0;
}

/** Tells all workers that a name is not what it was. Call it after the dict holds the new state. */
function publish(state: NgxSharedDict, name: string): void {
  const [generation] = state.incr(GENERATION, 1, 0);
  if (generation !== undefined) {
    state.set(slot_key(generation), name, 0, generation % STEPS);
  }
}

/**
 * The names that changed after the generation `seen`.
 *
 * Between the counter's step and the write of its slot a reader finds the slot of an earlier round. Then it
 * stops before that step and looks again at the next tick; a writer that died in between is told from a slow
 * one by `patience`.
 *
 * @param seen the reader's generation
 * @param now the shared generation
 * @param patience false: an unwritten slot means everything is distrusted
 */
function since(state: NgxSharedDict, seen: number, now: number, patience: boolean): Changes {
  const names: string[] = [];
  if (now < seen || now - seen > RING_SIZE) {
    return { generation: now, names, everything: true };
  }
  for (const generation of $range(seen + 1, now)) {
    const [name, step] = state.get(slot_key(generation));
    if (type(name) !== "string" || ((step as number | undefined) ?? 0) !== generation % STEPS) {
      return patience
        ? { generation: generation - 1, names, everything: false }
        : { generation: now, names, everything: true };
    }
    names.push(name as string);
  }
  return { generation: now, names, everything: false };
}

/** A route was added, changed or removed, whether or not workers must hear of it: what is kept of all is out of date. */
function revise(state: NgxSharedDict): void {
  state.incr(REVISION, 1, 0);
}

/** How often that was said; 0: never. */
function revision(state: NgxSharedDict): number {
  const [count] = state.get(REVISION);
  return (count as number | undefined) ?? 0;
}

export { current, publish, revise, revision, since };
