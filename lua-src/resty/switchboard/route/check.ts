/**
 * Visits all names after something may have been missed: each is read again, and only when all were is it
 * decided whether those that are gone are believed gone.
 *
 * In small batches, so that no request waits for longer than one of them takes.
 */

import { transaction } from "../store/redis";
import { epoch_of, evictions, note_complete } from "../store/trust";
import { names_of_key, prefixes_of } from "../schema/layout";
import { load_many, MOST_AT_ONCE } from "./bulk";
import { Loader } from "./loader";
import { walk } from "./walk";

/** Keys that Redis is asked to look at in one step of a SCAN. */
const SCAN_COUNT = 200;
/** Seconds that one name may take. */
const PATIENCE = 2;
/** Seconds between two batches. */
const BREATH = 0.001;
const AT = 64;

export interface Tally {
  known: number;
  gone: number;
  /** The look could not be ended. */
  failed: string | undefined;
}

/** Reads names together, and lets others run before the next. Yields. */
function read_batch(loader: Loader, batch: string[], tally: Tally): void {
  for (const { name, loaded, err } of load_many(loader, batch, PATIENCE)) {
    if (loaded === undefined) {
      tally.failed = err;
    } else if (string.byte(name) !== AT) {
      tally.known += 1;
      if (loaded.missing) {
        tally.gone += 1;
      }
    }
  }
  ngx.sleep(BREATH);
}

/**
 * Reads every known name again that was not read in this epoch. Yields.
 *
 * @param goes_on false once the worker that does this may no longer
 */
function check_all(loader: Loader, epoch: number, goes_on: (this: void) => boolean): Tally {
  const { dicts } = loader;
  const tally: Tally = { known: 0, gone: 0, failed: undefined };
  let batch: string[] = [];
  const read = (): boolean => {
    read_batch(loader, batch, tally);
    batch = [];
    if (!goes_on() || epoch_of(dicts.state) !== epoch) {
      tally.failed = "overtaken";
    }
    return tally.failed === undefined;
  };
  walk(dicts, read, (name, stored) => {
    if (stored.epoch === epoch) {
      tally.known += string.byte(name) === AT ? 0 : 1;
      return true;
    }
    batch.push(name);
    return batch.length < MOST_AT_ONCE || read();
  });
  if (tally.failed === undefined) {
    read_batch(loader, batch, tally);
  }
  return tally;
}

/** The names behind some keys that are not in the dict yet. */
function unread(loader: Loader, keys: string[]): string[] {
  const found: string[] = [];
  const seen = new LuaSet<string>();
  for (const key of keys) {
    for (const name of names_of_key(loader.layouts, key)) {
      if (!seen.has(name) && string.byte(name) !== AT) {
        seen.add(name);
        const [stored] = loader.dicts.routes.get(name);
        if (stored === undefined) {
          found.push(name);
        }
      }
    }
  }
  return found;
}

function read_names(loader: Loader, found: string[], tally: Tally): void {
  let batch: string[] = [];
  for (const name of found) {
    batch.push(name);
    if (batch.length >= MOST_AT_ONCE) {
      read_batch(loader, batch, tally);
      batch = [];
    }
  }
  read_batch(loader, batch, tally);
}

/**
 * Reads all routes that stand in Redis. Afterwards, as long as the epoch lasts, a name that is not in the
 * dict does not exist. Yields.
 *
 * @returns nil, or why it could not be done
 */
function read_everything(
  loader: Loader,
  epoch: number,
  goes_on: (this: void) => boolean,
): string | undefined {
  const tally: Tally = { known: 0, gone: 0, failed: undefined };
  const { state } = loader.dicts;
  const before = evictions(state);
  for (const prefix of prefixes_of(loader.layouts, [])) {
    const [literal] = string.gsub(prefix, "([%[%]*?\\])", "\\%1");
    let cursor = "0";
    do {
      const [replies, err] = transaction(
        loader.config,
        [["SCAN", cursor, "MATCH", `${literal}*`, "COUNT", SCAN_COUNT]],
        loader.config.redis_timeout,
      );
      const step = replies !== undefined ? (replies[0] as unknown as [string | false, string[]]) : undefined;
      if (step === undefined || step[0] === false) {
        return step !== undefined ? tostring(step[1]) : err;
      }
      cursor = tostring(step[0]);
      read_names(loader, unread(loader, step[1]), tally);
      if (!goes_on() || epoch_of(state) !== epoch) {
        return "overtaken";
      }
    } while (cursor !== "0" && tally.failed === undefined);
  }
  if (tally.failed !== undefined) {
    return tally.failed;
  }
  if (evictions(state) !== before) {
    return "switchboard_routes has no room for all routes: make its lua_shared_dict larger";
  }
  note_complete(state, epoch);
  return undefined;
}

export { check_all, read_everything };
