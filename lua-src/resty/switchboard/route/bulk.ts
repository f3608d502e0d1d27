/** Loads many names in one round trip: where thousands have changed, the round trips cost the most. */

import { Asked, read_many } from "./read";
import { begin, Began, conclude, kind_of, source_of } from "./conclude";
import { load, Loaded, Loader } from "./loader";

/** Names in one round trip: what decoding them takes holds up requests. */
const MOST_AT_ONCE = 16;

/** What became of a name: what is known now, or why nothing could be learnt. */
export interface Outcome {
  name: string;
  loaded: Loaded | undefined;
  err: string | undefined;
}

function load_one(loader: Loader, name: string, patience: number): Outcome {
  const [ok, loaded, err] = pcall(load, loader, name, patience);
  const outcome = ok ? (loaded as unknown as Loaded | undefined) : undefined;
  return { name, loaded: outcome, err: outcome === undefined ? tostring(ok ? err : loaded) : undefined };
}

/**
 * Loads names, at most MOST_AT_ONCE. Those that are not plain (pools, losses, changes of kind, names that
 * changed meanwhile) are loaded one by one. Yields, and does not raise.
 *
 * @param patience seconds for the round trip, and for each name that is read by itself
 */
function load_many(loader: Loader, names: string[], patience: number): Outcome[] {
  const outcomes: Outcome[] = [];
  if (names.length < 2) {
    for (const name of names) {
      outcomes.push(load_one(loader, name, patience));
    }
    return outcomes;
  }
  const deadline = ngx.now() + patience;
  const begun: Began[] = [];
  const asked: Asked[] = [];
  for (const name of names) {
    const began = begin(loader, name);
    begun.push(began);
    asked.push({ name, kind: kind_of(began), last: began.last });
  }
  const [answers] = read_many(source_of(loader, begun[0]!, deadline), asked);
  for (const i of $range(1, names.length)) {
    const name = names[i - 1]!;
    const answer = answers !== undefined ? answers[i - 1]! : false;
    let done: Loaded | undefined = undefined;
    if (answer !== false) {
      const [ok, loaded] = pcall(conclude, loader, name, begun[i - 1]!, answer, deadline);
      done = ok ? (loaded as unknown as Loaded | undefined) : undefined;
    }
    outcomes.push(
      done !== undefined ? { name, loaded: done, err: undefined } : load_one(loader, name, patience),
    );
  }
  return outcomes;
}

export { load_many, MOST_AT_ONCE };
