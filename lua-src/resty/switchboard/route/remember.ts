/** Writes a route that Redis knows into the shared dicts, and tells who must hear of it. */

import { note_event } from "../observe/events";
import { RouteRecord } from "../schema/record";
import { is_complete, note_incomplete } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { publish, revise } from "./changes";
import { join, split } from "./codec";
import * as dict from "./dict";
import { Stored } from "./dict";
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

function save(loader: Loader, name: string, stored: Stored, since?: number): void {
  const [ok, err] = dict.write_route(loader.dicts, name, stored, since);
  if (ok === undefined || err !== undefined) {
    // Another route may have been evicted for it.
    note_incomplete(loader.dicts.state);
    loader.report(name, { key: name, value: "", reason: err! });
  }
}

function remember(loader: Loader, name: string, began: Began, said: Said): Loaded {
  const { state } = loader.dicts;
  const { body, lives } = said;
  const old = began.old;
  const [old_lives, old_body] = split(old?.text ?? "");
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
  if (old === undefined || old_body !== body) {
    revise(state);
  }
  const was_matched = old === undefined && dict.read_match(loader.dicts, name) !== undefined;
  if (was_matched) {
    dict.delete_match(loader.dicts, name);
  }
  if (said.under) {
    // Nothing has changed but marks.
  } else if (old !== undefined && old_body !== body) {
    note_event("route_changed", name, instances(said.count));
  } else if (old === undefined && (was_matched || is_complete(state))) {
    note_event("route_added", name, instances(said.count));
  }
  const leads = has_others(loader, name) || is_pool(name);
  if (old === undefined && has_others(loader, name)) {
    bump_pattern(state, name);
  }
  if (
    was_matched ||
    (old === undefined && leads) ||
    (old !== undefined && (old_body !== body || shortens(old_lives, lives)))
  ) {
    publish(state, name);
  }
  return { stored, pattern: "", missing: false };
}

export { has_others, instances, is_pattern, is_pool, remember, save };
