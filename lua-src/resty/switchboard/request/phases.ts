/** The phases of a request around its tries: access, header filter, log. */

import { Config } from "../config";
import { count, series_of_status } from "../observe/counters";
import { printable, tell } from "../observe/journal";
import { find, Lookup } from "../route/lookup";
import { explain_failure, name_reason, Reason, refuse } from "./answer";
import { Ask, Asks, read_ask } from "./ask";
import { hear_end, is_kept, withdraw_cookie } from "./choose";
import { adopt_forwarded, has_passed } from "./forwarded";
import { begin, current, end, RequestState } from "./state";
import { reason_of_answer } from "./tries";

/** What the phases need; made once. */
export interface Router {
  config: Config;
  asks: Asks;
  lookup: Lookup;
  /** There are trusted proxies to listen to. */
  listens_to_proxies: boolean;
}

function refuse_and_tell(router: Router, reason: Reason, host: string, detail: string | undefined): void {
  if (reason !== "unknown_route" && reason !== "invalid_host") {
    tell(
      reason === "loop" ? ngx.WARN : ngx.ERR,
      `${reason} ${host}`,
      `${printable(host)}: ${reason}${detail !== undefined ? `: ${detail}` : ""}`,
    );
  }
  refuse(router.config, reason);
}

/** What almost no request needs. False: the request was answered. */
function attend(router: Router, ask: Ask, state: RequestState): boolean {
  const vars = ngx.var as Record<string, string>;
  if (ask.via !== "") {
    if (has_passed(ask.via, `${vars.hostname}:${vars.server_port}`)) {
      end(state);
      refuse_and_tell(router, "loop", ask.host, `Via: ${printable(ask.via)}`);
      return false;
    }
    vars.switchboard_via = `${ask.via}, `;
  }
  if (ask.upgrade !== "") {
    vars.switchboard_connection = "upgrade";
    state.upgrade = true;
  }
  if (ask.host_header !== undefined) {
    vars.switchboard_host_header = ask.host_header;
    vars.switchboard_forwarded_host = ask.host_header;
  }
  return true;
}

/** Finds the route of the request and prepares its tries, or answers it. */
function access(router: Router): void {
  const ask = read_ask(router.asks, ngx.var.switchboard_key ?? "");
  if (ask.name === undefined) {
    refuse(router.config, "invalid_host");
    return;
  }
  const [entry, reason, detail] = find(router.lookup, ask.name);
  if (entry === undefined) {
    refuse_and_tell(router, reason, ask.host, detail);
    return;
  }
  if (entry.refusal !== undefined && !is_kept(entry.choice)) {
    refuse_and_tell(router, entry.refusal, ask.host, undefined);
    return;
  }
  const state = begin(entry);
  if (ask.special && !attend(router, ask, state)) {
    return;
  }
  if (router.listens_to_proxies) {
    adopt_forwarded(router.config);
  }
}

/** Notes the status, and says why when the answer is nginx's own after failed tries. */
function header_filter(): void {
  const state = current();
  if (state === undefined) {
    return;
  }
  const status = ngx.status;
  state.status = status;
  if (status === 502 || status === 504) {
    state.reason ??= reason_of_answer(state, status);
    if (state.reason !== undefined) {
      name_reason(state.reason);
      if (state.entry.choice !== undefined) {
        withdraw_cookie(state.entry.choice);
      }
    }
  }
}

/** Takes the request off its instance and counts it. Other requests of the same nginx pass through. */
function log(): void {
  const state = current();
  if (state === undefined) {
    return;
  }
  const name = state.entry.name;
  const tries = state.tries;
  const reason = state.reason;
  // A client that left before any header has a status of nginx's own, 499.
  const status = state.status > 0 ? state.status : ngx.status;
  if (state.entry.choice !== undefined) {
    hear_end(state, state.entry.choice);
  }
  end(state);
  count(series_of_status(status), 1);
  count("switchboard_tries_total", tries);
  if (reason !== undefined) {
    count(`switchboard_answers_total{reason="${reason}"}`, 1);
    tell(ngx.ERR, `${reason} ${name}`, `${name}: ${reason} after ${tries} tries`);
  }
}

/** The body of a 502 or 504 after failed tries, for the location of errors.conf. */
function failed(router: Router): void {
  const state = current();
  const reason = state !== undefined ? (state.reason ?? reason_of_answer(state, ngx.status)) : undefined;
  if (reason !== undefined) {
    explain_failure(router.config, reason);
  } else {
    ngx.exit(ngx.status);
  }
}

export { access, failed, header_filter, log };
