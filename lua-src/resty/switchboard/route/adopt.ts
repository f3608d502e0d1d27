/** A stored route becomes the worker's own: compiled once, and again only when it has become another. */

import { Config } from "../config";
import { check_of } from "../schema/check";
import { parent_of } from "../schema/within";
import { down_since } from "../store/outage";
import { reachable } from "../store/redis";
import { decode, has_lives, part_of } from "./codec";
import { Dicts } from "./dict";
import { Stored } from "./stored";
import { compile, Entry } from "./entry";
import * as recent from "./recent";
import { heed } from "./roster";
import { cache_of, note_part, Slot, WorkerCache } from "./worker_cache";

/**
 * Seconds until a route with lapsed instances is looked at again. Without them: Redis may just have gone
 * silent. With them: it may just be back, and while it is watched the route would else be kept for minutes.
 */
const RECHECK_LAPSED = 1;

/** Whose worker cache it goes to. */
export interface Adopter {
  config: Config;
  dicts: Dicts;
  cache: WorkerCache;
}

/** Whether heart-beats can be heard; while Redis is silent nothing ends. */
function can_expire(adopter: { dicts: Dicts }, stored: Stored): boolean {
  return !has_lives(stored.text) || (reachable() && down_since(adopter.dicts.state) === undefined);
}

/** Whether a compiled entry is what compiling this text again would give. */
function is_same(entry: Entry, text: string, now: number, expire: boolean): boolean {
  return (
    entry.text === text &&
    entry.expires > now &&
    (entry.lapsed !== "kept" || !expire) &&
    (entry.lapsed !== "dropped" || expire)
  );
}

/** Puts a stored route into the worker cache; compiles it only if it is another than the one there. */
function adopt(adopter: Adopter, name: string, stored: Stored, now: number, check_at: number): Entry {
  const cache = cache_of(adopter.cache, name);
  const known = recent.get(cache, name);
  const before = known !== undefined ? known.entry : undefined;
  const expire = can_expire(adopter, stored);
  let entry: Entry;
  if (before !== undefined && is_same(before, stored.text, now, expire)) {
    // Invalid but equal: it became what it was again.
    before.valid = true;
    entry = before;
  } else {
    const record = decode(stored.text);
    // Under marks of its own a host is still the pattern's: that is what logs and metrics call it.
    entry = compile(adopter.config, record.under ?? name, stored.text, record, now, expire, before);
    heed(adopter.dicts.names, name, entry, check_of(record.options.policy) !== undefined, now);
  }
  const part = part_of(stored.text);
  if (part !== undefined) {
    note_part(adopter.cache, part, entry);
  }
  let parent = parent_of(name);
  while (parent !== undefined) {
    note_part(adopter.cache, parent, entry);
    parent = parent_of(parent);
  }
  const look_again = entry.lapsed !== undefined ? now + RECHECK_LAPSED : check_at;
  const slot: Slot = { entry, check_at: math.min(check_at, look_again, entry.expires) };
  recent.set(cache, name, slot);
  entry.loaded = stored.loaded;
  return entry;
}

export { adopt, can_expire };
