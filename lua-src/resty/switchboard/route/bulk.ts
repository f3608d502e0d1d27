/**
 * Loads many names in few round trips: where thousands have changed, or all are read, the round trips cost the most.
 *
 * What is likely plain is read the quick way; what turns out not to be is read in full, together; and what is not simple then
 * (pools, losses, names that changed meanwhile) is loaded one by one.
 */

import { Plain } from "../schema/layout";
import { Kind } from "../schema/record";
import { epoch_of } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { decode, encode_plain, kind_if_plain } from "./codec";
import { conclude, doubt, has_changed, is_overtaken, kind_of, source_of } from "./conclude";
import * as dict from "./dict";
import { own_stamp } from "./fence";
import { pack_lives } from "./lives";
import { load, Loaded, Loader } from "./loader";
import { add_all, removals } from "./names";
import { Asked, is_plain, is_there, quick_of, read_many, ReadTogether } from "./read_many";
import { Began, remember } from "./remember";

/** Names in one round trip while requests are served: what decoding them takes holds these up. */
const MOST_AT_ONCE = 16;
/** Batches that are read in full after one in which most names were not plain. */
const IN_FULL = 16;

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

/** The kind with which a name is asked for the quick way; undefined: it is read in full. */
function kind_to_try(loader: Loader, old: dict.Stored | undefined): Kind | undefined {
  if (old !== undefined) {
    return kind_if_plain(old.text);
  }
  return loader.in_full > 0 ? undefined : loader.usual;
}

/** What is asked in the first round trip. */
function first_questions(loader: Loader, batch: Batch, quickly: boolean): Asked[] {
  const asked: Asked[] = [];
  const has_quick = quickly && quick_of(loader.layouts) !== undefined;
  for (const i of $range(0, batch.names.length - 1)) {
    const began = batch.begun[i]!;
    const kind = has_quick ? kind_to_try(loader, began.old) : undefined;
    asked.push(
      kind !== undefined
        ? { name: batch.names[i]!, kind, quickly: true, last: undefined }
        : in_full(batch.names[i]!, began),
    );
  }
  return asked;
}

function in_full(name: string, began: Began): Asked {
  began.last = began.old !== undefined ? decode(began.old.text) : undefined;
  return { name, kind: kind_of(began), quickly: false, last: began.last };
}

/** Gives the new names places in the list, together. */
function give_pages(loader: Loader, batch: Batch, places: number[], read: ReadTogether[]): void {
  const { dicts } = loader;
  const fresh: string[] = [];
  const theirs: number[] = [];
  for (const i of $range(0, places.length - 1)) {
    const place = places[i]!;
    const name = batch.names[place]!;
    if (is_there(read[i]!) && batch.begun[place]!.old === undefined) {
      fresh.push(name);
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

/** What `conclude` makes of a name that has plain instances alone; false: it was changed meanwhile. */
function conclude_plain(loader: Loader, name: string, began: Began, plain: Plain): Loaded | false {
  if (is_overtaken(loader.dicts.state, began) || has_changed(loader, name, began)) {
    return false;
  }
  const { instances, untils } = plain;
  const kind = untils !== undefined ? "zset" : "set";
  loader.usual = kind;
  return remember(loader, name, began, {
    body: encode_plain(kind, instances),
    lives: untils !== undefined ? pack_lives(untils) : "",
    count: instances.length,
    pool_stamp: 0,
    resolve_again: LONGEST_FRESH,
    is_checked: false,
    under: false,
  });
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
  if (is_plain(read)) {
    return conclude_plain(loader, name, began, read);
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

/**
 * One round trip.
 *
 * @param places of the names in the batch
 * @returns the places of those that were not plain though they were asked for so
 */
function read_together(loader: Loader, batch: Batch, places: number[], asked: Asked[]): number[] {
  const [read] = read_many(source_of(loader, batch.begun[0]!, batch.deadline), asked);
  const left: number[] = [];
  if (read === undefined) {
    return left;
  }
  give_pages(loader, batch, places, read);
  for (const i of $range(0, places.length - 1)) {
    const place = places[i]!;
    const name = batch.names[place]!;
    if (read[i] === false && asked[i]!.quickly) {
      left.push(place);
    }
    const began = batch.begun[place]!;
    const outcome = conclude_one(loader, name, began, read[i]!, batch.deadline);
    if (outcome === false && began.page !== undefined) {
      // It was changed meanwhile, and is read again: its place in the list is not waiting for that.
      dict.tidy(loader.dicts, began.page, name);
    }
    batch.outcomes[place] = outcome !== false && has_changed(loader, name, began) ? false : outcome;
  }
  return left;
}

/** Whether most of what is new is plain. */
function take_note(loader: Loader, tried: number, failed: number): void {
  if (failed * 2 > tried) {
    loader.in_full = IN_FULL;
  } else if (loader.in_full > 0) {
    loader.in_full -= 1;
  }
}

function load_together(loader: Loader, batch: Batch, quickly: boolean): void {
  const places: number[] = [];
  const asked = first_questions(loader, batch, quickly);
  let tried = 0;
  for (const i of $range(0, asked.length - 1)) {
    places.push(i);
    tried += asked[i]!.quickly ? 1 : 0;
  }
  const left = read_together(loader, batch, places, asked);
  take_note(loader, tried, left.length);
  if (left.length > 0) {
    const again: Asked[] = [];
    for (const place of left) {
      // Its kind may be another by now.
      const one = in_full(batch.names[place]!, batch.begun[place]!);
      one.kind = undefined;
      again.push(one);
    }
    read_together(loader, batch, left, again);
  }
}

/**
 * Loads some names. Yields, and does not raise.
 *
 * @param patience seconds for the round trips together, and for each name that is read by itself
 * @param quickly false: it is known already that they are not plain
 */
function load_many(loader: Loader, names: string[], patience: number, quickly = true): Outcome[] {
  const found: Outcome[] = [];
  const batch = begin_all(loader, names, ngx.now() + patience);
  if (names.length > 1) {
    load_together(loader, batch, quickly);
  }
  for (const i of $range(0, names.length - 1)) {
    const name = names[i]!;
    const loaded = batch.outcomes[i]!;
    found.push(loaded !== false ? { name, loaded, err: undefined } : load_one(loader, name, patience));
  }
  return found;
}

export { load_many, MOST_AT_ONCE, take_note };
