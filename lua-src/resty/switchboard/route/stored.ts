/**
 * A route as it stands in the shared dict: when it was read, how long it counts, and what it says.
 *
 * What comes before its text is as short as can be. 32 bits of the time stand in the entry's flags, which take no room.
 */

import { LONGEST_FRESH } from "./age";
import { put, take } from "./varint";

export interface Stored {
  /** ngx.now() when the load that wrote it began. */
  loaded: number;
  /** Seconds after `loaded` for which it counts as fresh. */
  fresh: number;
  /** The last good instances, kept for a moment after Redis said that there are none. */
  held: boolean;
  /** The epoch in which the load began; see store/trust. */
  epoch: number;
  /** What route/fence said before the load began. */
  stamp: number;
  /** The page of the list of all names where its name stands; undefined or 0: in none. */
  page?: number;
  /** What it says: route/codec. Equal texts are equal routes. */
  text: string;
}

/** Of what is older than any age at which a route is served unasked. */
const LONG_AGO = -1e9;
/** How long a route is fresh: for the usual time, for one of its own, a held one for one of its own, not at all. */
const USUAL = 0;
const OWN = 1;
const HELD = 2;
const NEVER = 3;
const AGES = 4;
/** Times count milliseconds from the beginning of 2020. */
const BASE = 1577836800000;
const WORD = 2 ** 32;
/** What a route is put together of: one table for all, and one text instead of one for each part more. */
const PARTS: string[] = ["", "", "", "", "", ""];

/** How long it is fresh, as two bits beside the number of the page. */
function age_of(stored: Stored): number {
  if (stored.held) {
    return HELD;
  }
  if (stored.fresh < 0) {
    return NEVER;
  }
  return stored.fresh === LONGEST_FRESH ? USUAL : OWN;
}

/** @returns the entry and its flags, which are a signed number */
function pack(stored: Stored): LuaMultiReturn<[string, number]> {
  const age = age_of(stored);
  const time = math.max(0, math.floor(stored.loaded * 1000 + 0.5) - BASE);
  const own = age === OWN || age === HELD ? put(math.floor(stored.fresh * 1000 + 0.5)) : "";
  PARTS[0] = put((stored.page ?? 0) * AGES + age);
  PARTS[1] = put(math.floor(time / WORD));
  PARTS[2] = put(stored.epoch);
  PARTS[3] = put(stored.stamp);
  PARTS[4] = own;
  PARTS[5] = stored.text;
  return $multi(table.concat(PARTS), (time % WORD) | 0);
}

function unpack(entry: string, flags: number): Stored {
  const [first, after_first] = take(entry, 1);
  const [high, after_high] = take(entry, after_first);
  const [epoch, after_epoch] = take(entry, after_high);
  const [stamp, after_stamp] = take(entry, after_epoch);
  const age = first % AGES;
  let fresh = age === NEVER ? LONG_AGO : LONGEST_FRESH;
  let from = after_stamp;
  if (age === OWN || age === HELD) {
    const [milliseconds, after] = take(entry, after_stamp);
    fresh = milliseconds / 1000;
    from = after;
  }
  return {
    loaded: (BASE + high * WORD + (flags < 0 ? flags + WORD : flags)) / 1000,
    fresh,
    held: age === HELD,
    epoch,
    stamp,
    page: math.floor(first / AGES),
    text: string.sub(entry, from),
  };
}

/** The page of an entry. */
function page_in(entry: string): number {
  return math.floor(take(entry, 1)[0] / AGES);
}

/** What an entry says, without all that stands before it. */
function text_in(entry: string): string {
  const [first, after_first] = take(entry, 1);
  let [, from] = take(entry, after_first);
  [, from] = take(entry, from);
  [, from] = take(entry, from);
  const age = first % AGES;
  if (age === OWN || age === HELD) {
    [, from] = take(entry, from);
  }
  return string.sub(entry, from);
}

export { LONG_AGO, pack, page_in, text_in, unpack };
