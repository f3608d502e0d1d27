/**
 * Loads many names in few round trips: where thousands have changed, or all are read, the round trips cost the most.
 *
 * What is likely plain is read the quick way (route/bulk_plain); what turns out not to be is read in full, together; and what
 * is not simple then (pools, losses, names that changed meanwhile) is loaded one by one.
 */

import { tell } from "../observe/journal";
import { epoch_of } from "../store/trust";
import { load_plain, was_tried } from "./bulk_plain";
import { decode } from "./codec";
import { conclude, doubt, has_changed, kind_of, source_of } from "./conclude";
import * as dict from "./dict";
import { own_stamp } from "./fence";
import { load, Loaded, Loader } from "./loader";
import { add_all, removals } from "./names";
import { Asked, is_there, read_many, ReadTogether } from "./read_many";
import { Began } from "./remember";

/** Names in one round trip while requests are served: what decoding them takes holds these up. */
const MOST_AT_ONCE = 16;

/** What became of a name: what is known now, or why nothing could be learnt. */
export interface Outcome {
  name: string;
  loaded: Loaded | undefined;
  err: string | undefined;
}

/** Names that are on their way; the lists have one order. */
interface Batch {
  names: string[];
  begun: Began[];
  outcomes: (Loaded | false)[];
  deadline: number;
}

function load_one(loader: Loader, name: string, patience: number): Outcome {
  const [ok, loaded, err] = pcall(load, loader, name, patience);
  const outcome = ok ? (loaded as unknown as Loaded | undefined) : undefined;
  return { name, loaded: outcome, err: outcome === undefined ? tostring(ok ? err : loaded) : undefined };
}

/** What `begin` of route/conclude notes, but for patterns: who is unknown is loaded by itself. */
function begin_all(loader: Loader, names: string[], deadline: number): Batch {
  const { state } = loader.dicts;
  const now = ngx.now();
  const epoch = epoch_of(state);
  const begun: Began[] = [];
  const outcomes: (Loaded | false)[] = [];
  for (const name of names) {
    const stamp = own_stamp(state, name);
    const old = dict.read_route(loader.dicts, name);
    begun.push({ now, epoch, stamp, match_stamp: -1, candidates: [], old, last: undefined });
    outcomes.push(false);
  }
  return { names, begun, outcomes, deadline };
}

function question(loader: Loader, name: string, began: Began): Asked {
  began.last = began.old !== undefined ? decode(began.old.text) : undefined;
  // What was asked for the quick way may be of another kind by now.
  const kind = was_tried(loader, began.old) ? undefined : kind_of(began);
  return { name, kind, last: began.last };
}

/** Gives the new names places in the list, together. */
function give_pages(loader: Loader, batch: Batch, read: ReadTogether[]): void {
  const { dicts } = loader;
  const fresh: string[] = [];
  const theirs: number[] = [];
  for (const place of $range(0, read.length - 1)) {
    if (is_there(read[place]!) && batch.begun[place]!.old === undefined) {
      fresh.push(batch.names[place]!);
      theirs.push(place);
    }
  }
  if (fresh.length > 0) {
    const before = removals(dicts.names);
    const pages = add_all(dicts.names, fresh);
    for (const place of theirs) {
      batch.begun[place]!.removals = before;
      batch.begun[place]!.page = pages.get(batch.names[place]!);
    }
  }
}

function conclude_one(
  loader: Loader,
  name: string,
  began: Began,
  read: ReadTogether,
  deadline: number,
): Loaded | false {
  if (read === false) {
    return false;
  }
  if (read.record === undefined) {
    return doubt(loader, name, began) ?? false;
  }
  if (read.record.kind !== undefined) {
    loader.usual = read.record.kind;
  }
  const [ok, loaded] = pcall(conclude, loader, name, began, read, deadline);
  return (ok ? (loaded as unknown as Loaded | undefined) : undefined) ?? false;
}

/** What can be read in one round trip. */
function read_together(loader: Loader, batch: Batch): void {
  const asked: Asked[] = [];
  for (const i of $range(0, batch.names.length - 1)) {
    asked.push(question(loader, batch.names[i]!, batch.begun[i]!));
  }
  const [read] = read_many(source_of(loader, batch.begun[0]!, batch.deadline), asked);
  if (read === undefined) {
    return;
  }
  give_pages(loader, batch, read);
  for (const i of $range(0, read.length - 1)) {
    const name = batch.names[i]!;
    const began = batch.begun[i]!;
    const outcome = conclude_one(loader, name, began, read[i]!, batch.deadline);
    if (outcome === false && began.page !== undefined) {
      // It was changed meanwhile, and is read again: its place in the list is not waiting for that.
      dict.tidy(loader.dicts, began.page, name);
    }
    batch.outcomes[i] = outcome !== false && has_changed(loader, name, began) ? false : outcome;
  }
}

/**
 * Loads those of some names that are plain. Yields, and does not raise.
 *
 * @param patience seconds for the round trip
 * @param piece names that are written between two turns of others
 * @param are_new they are likely not in the dict; those that are there are left
 * @returns the names that are left to `load_rest`
 */
function load_quickly(
  loader: Loader,
  names: string[],
  patience: number,
  piece: number,
  are_new: boolean,
): string[] {
  const [ok, left] = pcall(load_plain, loader, names, patience, piece, are_new);
  if (!ok) {
    tell(ngx.ERR, "bug bulk", `names could not be read the quick way: ${tostring(left)}`);
    return names;
  }
  return left as unknown as string[];
}

/**
 * Loads names that `load_quickly` has left. Yields, and does not raise.
 *
 * @param patience seconds for what is read together, and for each name that is read by itself
 * @param over hears of each name as soon as it is read, or cannot be
 */
function load_rest(
  loader: Loader,
  names: string[],
  patience: number,
  over: (this: void, outcome: Outcome) => void,
): void {
  const batch = begin_all(loader, names, ngx.now() + patience);
  if (names.length > 1) {
    read_together(loader, batch);
  }
  const alone: string[] = [];
  for (const i of $range(0, names.length - 1)) {
    const name = names[i]!;
    const loaded = batch.outcomes[i]!;
    if (loaded !== false) {
      over({ name, loaded, err: undefined });
    } else {
      alone.push(name);
    }
  }
  for (const name of alone) {
    over(load_one(loader, name, patience));
  }
}

export { load_quickly, load_rest, MOST_AT_ONCE };
