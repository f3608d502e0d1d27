/**
 * New request ids: 32 hexadecimal digits, as nginx's `$request_id` has.
 *
 * nginx asks OpenSSL for the random bytes of each, which costs 4,800 instructions. Here a worker draws twelve
 * bytes once and counts behind them: as unlikely to meet another's, and a request id is no secret. The digits are
 * written where they are sent from: a string of each would be made, and collected, for nothing.
 */

import { tohex } from "bit";
import { copy } from "ffi";
import { Cells, cells } from "./nginx";

const PREFIX_DIGITS = 24;
const DIGITS = 32;
/** Ids with one prefix: as many as the other eight digits can tell apart. */
const MOST_COUNTED = 4294967296;

let prefix = "";
/** The first request draws: workers begin as copies of one process, and must not share a prefix. */
let counted = MOST_COUNTED;

/** The two digits of each byte. */
const pairs_of = cells("uint16_t[?]", 256);
for (const byte of $range(0, 255)) {
  const digits = string.sub(tohex(byte), -2);
  const memory = cells("uint8_t[?]", 2);
  copy(memory, digits, 2);
  copy((pairs_of as unknown as number) + byte, memory, 2);
}

/** A place that ids are written to. */
export interface IdPlace {
  /** 16 pairs of digits. */
  pairs: Cells;
  /** What it begins with at the moment. */
  prefix: string;
}

function draw(): void {
  prefix = string.sub(ngx.var.request_id!, 1, PREFIX_DIGITS);
  counted = 0;
}

/** Writes an id that no other request of this router, or of another, has. */
function write_new_id(place: IdPlace): void {
  if (counted >= MOST_COUNTED) {
    draw();
  }
  const pairs = place.pairs;
  if (place.prefix !== prefix) {
    copy(pairs, prefix, PREFIX_DIGITS);
    place.prefix = prefix;
  }
  const id = counted;
  counted = id + 1;
  pairs.set(12, pairs_of.get((id >>> 24) & 255));
  pairs.set(13, pairs_of.get((id >>> 16) & 255));
  pairs.set(14, pairs_of.get((id >>> 8) & 255));
  pairs.set(15, pairs_of.get(id & 255));
}

/** The id that was written last. */
function last_id(): string {
  return prefix + tohex(counted - 1);
}

export { DIGITS, last_id, write_new_id };
