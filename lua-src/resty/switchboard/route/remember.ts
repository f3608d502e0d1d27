/** Writes a route that Redis knows into the shared dicts, and tells who must hear of it. */

import { note_event } from "../observe/events";
import { RouteRecord } from "../schema/record";
import { is_complete, note_incomplete } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { publish, revise } from "./changes";
import { join, split } from "./codec";
import * as dict from "./dict";
import { Stored } from "./stored";
import { bump_pattern } from "./fence";
import { shortens } from "./lives";
import { Loaded, Loader } from "./loader";
import { enlist } from "./roster";

const STAR = 42;
const AT = 64;

/** What was noted before Redis was asked. */
export interface Began {
  now: number;
  epoch: number;
  /** Of the name's own keys. */
  stamp: number;
  /** Of the host and the patterns that may have it. */
  match_stamp: number;
  candidates: string[];
  /** Where a new name stands already in the list of names. */
  page?: number;
  /** What `removals` of route/names said before it was put there. */
  removals?: number;
  old: Stored | undefined;
  /** The same, decoded. */
  last: RouteRecord | undefined;
}

function is_pattern(name: string): boolean {
  return string.byte(name) === STAR;
}

/** Whether it depends on this name to whom other names belong. */
function has_others(loader: Loader, name: string): boolean {
  return is_pattern(name) || (loader.with_ports && !is_pool(name));
}

function is_pool(name: string): boolean {
  return string.byte(name) === AT;
}

/** What Redis says of a route. */
export interface Said {
  body: string;
  lives: string;
  /** How many instances. */
  count: number;
  /** The stamp of the pool or pattern that was followed. */
  pool_stamp: number;
  /** Seconds after which its names must be resolved again. */
  resolve_again: number;
  /** Its instances are checked also while nobody asks for it. */
  is_checked: boolean;
  /** It is its pattern's route, under marks of its own. */
  under: boolean;
}

/** The words of an event. */
function instances(count: number): string {
  return count === 1 ? "1 instance" : `${count} instances`;
}

/** A route was not written, or in the place of another that was evicted for it. */
function note_full(loader: Loader, name: string, err: string): void {
  note_incomplete(loader.dicts.state);
  loader.report(name, { key: name, value: "", reason: err });
}

function save(loader: Loader, name: string, stored: Stored, since?: number): void {
  const [, err] = dict.write_route(loader.dicts, name, stored, since);
  if (err !== undefined) {
    note_full(loader, name, err);
  }
}

/**
 * The same for a name that was unknown a moment ago.
 *
 * @param since what `removals` of route/names said before it was given `stored.page`
 * @returns false, and nothing was written: it is known by now
 */
function save_new(loader: Loader, name: string, stored: Stored, since: number): boolean {
  const [, err] = dict.add_route(loader.dicts, name, stored, since);
  if (err === dict.EXISTS) {
    return false;
  }
  if (err !== undefined) {
    note_full(loader, name, err);
  }
  return true;
}

/**
 * A name has a route that was not known until now.
 *
 * @param under it is its pattern's route, under marks of its own
 * @param complete what `is_complete` of store/trust says: else it may have stood in Redis for long
 */
function tell_new(loader: Loader, name: string, count: number, under: boolean, complete: boolean): void {
  const { state } = loader.dicts;
  const was_matched = dict.read_match(loader.dicts, name) !== undefined;
  if (was_matched) {
    dict.delete_match(loader.dicts, name);
  }
  if (!under && (was_matched || complete)) {
    note_event("route_added", name, instances(count));
  }
  const leads = has_others(loader, name);
  if (leads) {
    bump_pattern(state, name);
  }
  if (was_matched || leads || is_pool(name)) {
    publish(state, name);
  }
}

/**
 * A route that was known was read again.
 *
 * @param before its text until now
 * @param under nothing has changed but marks
 * @returns whether it is another than before
 */
function tell_again(
  state: NgxSharedDict,
  name: string,
  before: string,
  lives: string,
  body: string,
  count: number,
  under: boolean,
): boolean {
  const [old_lives, old_body] = split(before);
  const differs = old_body !== body;
  if (differs && !under) {
    note_event("route_changed", name, instances(count));
  }
  if (differs || shortens(old_lives, lives)) {
    publish(state, name);
  }
  return differs;
}

function remember(loader: Loader, name: string, began: Began, said: Said): Loaded {
  const { state } = loader.dicts;
  const { body, lives, count, under } = said;
  const { old } = began;
  const stored: Stored = {
    loaded: began.now,
    fresh: math.min(LONGEST_FRESH, said.resolve_again),
    held: false,
    epoch: began.epoch,
    stamp: began.stamp + said.pool_stamp,
    page: old !== undefined ? old.page : began.page,
    text: join(lives, body),
  };
  save(loader, name, stored, began.removals);
  if (said.is_checked) {
    enlist(loader.dicts.names, name);
  }
  if (old === undefined) {
    tell_new(loader, name, count, under, is_complete(state));
    revise(state);
  } else if (tell_again(state, name, old.text, lives, body, count, under)) {
    revise(state);
  }
  return { stored, pattern: "", missing: false };
}

export { has_others, is_pattern, is_pool, remember, save, save_new, tell_again, tell_new };
