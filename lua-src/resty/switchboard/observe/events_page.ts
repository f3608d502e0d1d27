/** `/events`: the last changes as JSON, for insiders: it names routes. */

import { encode } from "cjson.safe";
import { last_event, latest_events } from "./events";

const MOST = 1000;

/** A query argument that is a whole number; anything else counts as not given. */
function whole(value: string | undefined, otherwise: number): number {
  const [digits] = string.match(value ?? "", "^%d+$");
  return digits !== undefined && digits.length < 16 ? tonumber(digits)! : otherwise;
}

/**
 * Answers with `{"last": n, "events": [{number, time, kind, subject, detail}, …]}`, newest first. `?after=n` leaves out
 * what the client has seen; `?limit=n` bounds the list.
 */
function events(): void {
  const header = ngx.header as Record<string, string | number>;
  header["Content-Type"] = "application/json; charset=utf-8";
  header["Cache-Control"] = "no-store";
  const last = last_event();
  const parts: string[] = [];
  for (const event of latest_events(whole(ngx.var.arg_after, 0), whole(ngx.var.arg_limit, MOST))) {
    parts.push(encode(event) ?? "null");
  }
  ngx.print(`{"last":${string.format("%d", last)},"events":[${table.concat(parts, ",\n")}]}\n`);
}

export { events };
