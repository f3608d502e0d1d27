/**
 * Visits all names after something may have been missed: each is read again, and only when all were is it
 * decided whether those that are gone are believed gone.
 *
 * In small batches, so that no request waits for longer than one of them takes.
 */

import { transaction } from "../store/redis";
import { cause_of } from "../store/refusal";
import { epoch_of, evictions, note_complete } from "../store/trust";
import { names_of_keys, prefixes_of } from "../schema/layout";
import { load_quickly, load_rest, Outcome } from "./bulk";
import { Loader } from "./loader";
import { batch_of, begin, finish, Pace, piece_of, rest } from "./pace";
import { is_pool } from "./remember";
import { walk } from "./walk";

/** Batches for which a step of a SCAN looks for keys; where few of them are ours it looks at more. */
const BATCHES = 4;
const MOST_SCANNED = 1024;
/** Of so many names that are likely new one is looked for. */
const SAMPLE = 8;
/** Seconds that one name may take. */
const PATIENCE = 2;

export interface Tally {
  known: number;
  gone: number;
  /** The look could not be ended. */
  failed: string | undefined;
  /** A name that nobody can read while others are read: why. It is not gone. */
  unreadable: string | undefined;
}

function new_tally(): Tally {
  return { known: 0, gone: 0, failed: undefined, unreadable: undefined };
}

function note(tally: Tally, { name, loaded, err }: Outcome): void {
  if (loaded === undefined && cause_of(err!) === "too_large") {
    // That is its own fault: it hurts itself alone.
    tally.unreadable = `${name}: ${err}`;
  } else if (loaded === undefined) {
    tally.failed = err;
    return;
  }
  if (!is_pool(name)) {
    tally.known += 1;
    tally.gone += loaded?.missing === true ? 1 : 0;
  }
}

/** Reads names together. Yields. */
function read_batch(loader: Loader, batch: string[], piece: number, are_new: boolean, tally: Tally): void {
  const left = load_quickly(loader, batch, PATIENCE, piece, are_new);
  tally.known += batch.length - left.length;
  load_rest(loader, left, PATIENCE, (outcome) => note(tally, outcome));
}

/** @param are_new see `load_quickly` */
function begin_batch(pace: Pace, batch: string[], are_new: boolean, tally: Tally): void {
  if (batch.length > 0) {
    begin(pace, read_batch, pace.loader, batch, piece_of(pace), are_new, tally);
  }
}

/** Reads every known name again that was not read in this epoch. Yields. */
function check_all(pace: Pace, epoch: number): Tally {
  const { dicts } = pace.loader;
  const tally = new_tally();
  let batch: string[] = [];
  const read = (): boolean => {
    const some = batch;
    batch = [];
    begin_batch(pace, some, false, tally);
    if (!pace.goes_on() || epoch_of(dicts.state) !== epoch) {
      tally.failed = "overtaken";
    }
    return tally.failed === undefined;
  };
  walk(dicts, read, (name, stored) => {
    if (stored.epoch === epoch) {
      tally.known += is_pool(name) ? 0 : 1;
      return true;
    }
    batch.push(name);
    return batch.length < batch_of(pace) || read();
  });
  if (tally.failed === undefined) {
    begin_batch(pace, batch, false, tally);
  }
  finish(pace);
  return tally;
}

/**
 * Adds the names behind some keys that are not in the dict yet. Where none of the last ones was it is looked for a few of
 * them, and the others are taken for new as well: a look in a dict of a million is slow.
 *
 * @param all_new what it returned last
 * @returns whether none of those that were looked for is in the dict
 */
function add_unread(loader: Loader, keys: string[], found: string[], all_new: boolean): boolean {
  const seen = new LuaSet<string>();
  const { routes } = loader.dicts;
  let [known, count] = [0, 0];
  for (const name of names_of_keys(loader.layouts, keys)) {
    if (!seen.has(name) && !is_pool(name)) {
      seen.add(name);
      const looks = !all_new || known > 0 || count % SAMPLE === 0;
      count += 1;
      if (looks && routes.get(name)[0] !== undefined) {
        known += 1;
      } else {
        found.push(name);
      }
    }
  }
  return known === 0;
}

/** Reads what was found, but for a rest that makes no batch. @returns the rest */
function read_names(pace: Pace, found: string[], tally: Tally): string[] {
  let batch: string[] = [];
  for (const name of found) {
    batch.push(name);
    if (batch.length >= batch_of(pace)) {
      begin_batch(pace, batch, true, tally);
      batch = [];
    }
  }
  return batch;
}

/** One step of a SCAN. @returns the keys and where to go on; or nil and why there are none */
function scan(
  loader: Loader,
  prefix: string,
  cursor: string,
  most: number,
): LuaMultiReturn<[string[], string] | [undefined, string]> {
  const [literal] = string.gsub(prefix, "([%[%]*?\\])", "\\%1");
  const [replies, err] = transaction(
    loader.config,
    [["SCAN", cursor, "MATCH", `${literal}*`, "COUNT", most]],
    loader.config.redis_timeout,
  );
  if (replies === undefined) {
    return $multi(undefined, err);
  }
  const step = replies[0] as unknown as [string | false, string[]];
  if (step[0] === false) {
    return $multi(undefined, tostring(step[1]));
  }
  return $multi(step[1], step[0]);
}

function keys_of_step(pace: Pace): number {
  return batch_of(pace) * (pace.busy ? 1 : BATCHES);
}

/** Reads all routes whose keys begin in one way. @returns why it could not be done */
function read_prefix(pace: Pace, epoch: number, prefix: string, tally: Tally): string | undefined {
  const { loader } = pace;
  let cursor = "0";
  let most = keys_of_step(pace);
  let found: string[] = [];
  let all_new = false;
  do {
    const [keys, next] = scan(loader, prefix, cursor, most);
    if (keys === undefined) {
      return next;
    }
    cursor = next;
    most = keys.length < most / BATCHES ? math.min(most * 2, MOST_SCANNED) : keys_of_step(pace);
    rest(pace);
    all_new = add_unread(loader, keys, found, all_new);
    rest(pace);
    found = read_names(pace, found, tally);
    if (!pace.goes_on() || epoch_of(loader.dicts.state) !== epoch) {
      return "overtaken";
    }
  } while (cursor !== "0" && tally.failed === undefined);
  begin_batch(pace, found, true, tally);
  return undefined;
}

/**
 * Reads all routes that stand in Redis. Afterwards, as long as the epoch lasts, a name that is not in the
 * dict does not exist. Yields.
 *
 * @returns nil, or why it could not be done
 */
function read_everything(pace: Pace, epoch: number): string | undefined {
  const { loader } = pace;
  const tally = new_tally();
  const { state } = loader.dicts;
  const before = evictions(state);
  for (const prefix of prefixes_of(loader.layouts, [])) {
    const err = read_prefix(pace, epoch, prefix, tally);
    finish(pace);
    const failed = err ?? tally.failed;
    if (failed !== undefined) {
      return failed;
    }
  }
  if (evictions(state) !== before) {
    return "switchboard_routes has no room for all routes: make its lua_shared_dict larger";
  }
  if (tally.unreadable === undefined) {
    note_complete(state, epoch);
  }
  return tally.unreadable;
}

export { check_all, read_everything };
