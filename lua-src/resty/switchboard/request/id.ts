/**
 * New request ids: 32 hexadecimal digits, as nginx's `$request_id` has.
 *
 * nginx asks OpenSSL for the random bytes of each, which costs 4,800 instructions. Here a worker draws twelve
 * bytes once and counts behind them: as unlikely to meet another's, and a request id is no secret.
 */

import { tohex } from "bit";

const PREFIX_DIGITS = 24;
/** Ids with one prefix: as many as the other eight digits can tell apart. */
const MOST_COUNTED = 4294967296;

let prefix = "";
/** The first request draws: workers begin as copies of one process, and must not share a prefix. */
let counted = MOST_COUNTED;

/** An id that no other request of this router, or of another, has. */
function new_id(): string {
  if (counted >= MOST_COUNTED) {
    prefix = string.sub(ngx.var.request_id!, 1, PREFIX_DIGITS);
    counted = 0;
  }
  const id = prefix + tohex(counted);
  counted += 1;
  return id;
}

export { new_id };
