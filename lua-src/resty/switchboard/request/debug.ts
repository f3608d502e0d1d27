/**
 * The explanation of a request's own routing, as response headers, for who knows the token (`debug_token`).
 *
 * `X-Switchboard-Route`, `-Cache`, `-Instance`, `-Tries`, `-Times`. A header is set anew whenever more is known: what
 * comes after the response's header cannot be told.
 */

import { Config } from "../config";
import { Peer } from "../balance/peer";
import { Entry } from "../route/entry";
import { FoundIn } from "../route/lookup";
import { is_same_secret } from "./secret";

/** What is noted of a request that is explained. */
export interface Notes {
  /** One per try, with its end where that is known. */
  tries: string[];
  /** ngx.now() at which the last try began. */
  began: number;
  /** Milliseconds from the first byte of the request to its route. */
  lookup: number;
}

const HEADER = "X-Switchboard-Debug";

/** Whether a request may be explained. */
function may_see(config: Config, token: string): boolean {
  return config.debug_token !== "" && is_same_secret(token, config.debug_token);
}

function tell(name: string, value: string): void {
  (ngx.header as Record<string, string>)[`X-Switchboard-${name}`] = value;
}

function milliseconds(from: number): number {
  return math.max(0, math.floor((ngx.now() - from) * 1000 + 0.5));
}

/** No byte that could end a header: names of paths have any. */
function clean(text: string): string {
  return string.gsub(text, "[^\x21-\x7e]", "?")[0];
}

/**
 * Begins to explain a request. Call it when its route is known, or that it has none.
 *
 * @param token what the request has in X-Switchboard-Debug; the app does not get to see it
 * @param entry undefined: there is no route
 * @param found_in undefined: the worker's own cache
 * @returns undefined: the token is not right
 */
function explain(
  config: Config,
  token: string,
  entry: Entry | undefined,
  found_in: FoundIn | undefined,
): Notes | undefined {
  ngx.req.set_header(HEADER, undefined);
  if (!may_see(config, token)) {
    return undefined;
  }
  const lookup = milliseconds(ngx.req.start_time());
  tell("Route", entry !== undefined ? clean(entry.name) : "none");
  if (entry !== undefined) {
    const age = math.max(0, ngx.now() - entry.loaded);
    tell("Cache", string.format("%s; age=%.3f", found_in ?? "worker", age));
  }
  tell("Times", `lookup=${lookup}ms`);
  return { tries: [], began: 0, lookup };
}

/** A try begins. */
function explain_try(notes: Notes, peer: Peer): void {
  notes.began = ngx.now();
  notes.tries.push(peer.state.identity);
  tell("Instance", peer.state.identity);
  tell("Tries", table.concat(notes.tries, ", "));
  tell("Times", `lookup=${notes.lookup}ms; last_try_after=${milliseconds(ngx.req.start_time())}ms`);
}

/** The try that has just run failed. */
function explain_failure_of_try(notes: Notes, reason: string): void {
  const last = notes.tries.length - 1;
  notes.tries[last] = `${notes.tries[last]} ${reason} after ${milliseconds(notes.began)}ms`;
  tell("Tries", table.concat(notes.tries, ", "));
}

export { explain, explain_failure_of_try, explain_try };
