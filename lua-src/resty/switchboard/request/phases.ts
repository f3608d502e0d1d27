/** The phases of a request around its tries: access, header filter, log. */

import { Config } from "../config";
import { count } from "../observe/counters";
import { printable, tell } from "../observe/journal";
import { observe } from "../observe/tally";
import { Entry } from "../route/entry";
import { Lookup } from "../route/lookup";
import { Policy } from "../route/policy";
import {
  count_refusal,
  explain_failure,
  name_reason,
  Reason,
  refuse,
  refuse_for_now,
  status_of,
} from "./answer";
import { Ask, Asks, given_id, read_ask, without_id } from "./ask";
import { hear_end, is_kept, withdraw_cookie } from "./choose";
import { explain } from "./debug";
import { hear_death } from "./death";
import { hear_outcome } from "./outcome";
import { fill_in, fill_in_route } from "./fields";
import { find_arm, find_route } from "./find";
import { has_passed, tell_app, tell_host, tell_the_way } from "./forwarded";
import { take_places } from "./limits";
import { get_request, nginx } from "./nginx";
import {
  change_response,
  location_for,
  may_change_responses,
  prepare,
  refusal_of,
  send_to_https,
  status_of_redirect,
} from "./obey";
import { answer_ping } from "./ping";
import { name_on_server } from "./server_schema";
import { begin, current, end, RequestState } from "./state";
import { reason_of_answer } from "./tries";

const LINE_END = 10;

/** What the phases need; made once. */
export interface Router {
  config: Config;
  asks: Asks;
  lookup: Lookup;
  /** There are trusted proxies to listen to. */
  listens_to_proxies: boolean;
  /** Servers may have a layout of their own. */
  chooses_schema: boolean;
  /** Requests may ask how they are routed: `debug_token`. */
  explains: boolean;
}

/** @param entry the route; undefined: it has none */
function refuse_and_tell(
  router: Router,
  reason: Reason,
  ask: Ask,
  detail: string | undefined,
  entry: Entry | undefined,
): void {
  const host = ask.host;
  const token = router.explains ? ngx.var.http_x_switchboard_debug : undefined;
  if (token !== undefined) {
    explain(router.config, token, entry, undefined);
  }
  if (reason !== "unknown_route" && reason !== "invalid_host") {
    tell(
      reason === "loop" ? ngx.WARN : ngx.ERR,
      `${reason} ${host}`,
      `${printable(host)}: ${reason}${detail !== undefined ? `: ${detail}` : ""}`,
    );
  }
  refuse(router.config, entry, reason);
}

/** What almost no request needs. False: the request was answered. */
function attend(router: Router, ask: Ask, state: RequestState): boolean {
  if (ask.via !== "" && has_passed(ask.via, `${ngx.var.hostname}:${ngx.var.server_port}`)) {
    end(state);
    refuse_and_tell(router, "loop", ask, `Via: ${printable(ask.via)}`, state.entry);
    return false;
  }
  // Read only where somebody may ask: a header that is not there costs more than all else that access() reads.
  const token = router.explains ? ngx.var.http_x_switchboard_debug : undefined;
  if (token !== undefined) {
    state.notes = explain(router.config, token, state.entry, state.found_in);
  }
  state.upgrade = ask.upgrade !== "";
  return true;
}

/** Puts a request under the options of its route. False: it was answered, or went on to another location. */
function admit(router: Router, ask: Ask, entry: Entry, policy: Policy, prepared: boolean): boolean {
  const refused = refusal_of(policy, router.listens_to_proxies, ask.place.secure, ngx.var);
  if (refused === undefined) {
    const location = prepared ? undefined : location_for(policy, entry.name);
    if (location !== undefined) {
      ngx.exec(location);
    }
    return location === undefined;
  }
  fill_in_route(entry.name);
  if (refused === "to_https") {
    count_refusal(entry, status_of_redirect(ngx.req.get_method()), false);
    send_to_https();
  } else if (refused === "maintenance") {
    refuse_for_now(router.config, entry, policy.maintenance!, policy.retry_after);
  } else {
    refuse(router.config, entry, refused);
  }
  return false;
}

/** The route that has the requests to one with options. Undefined: the request was answered, or went on. */
function enter(router: Router, ask: Ask, whole: Entry, policy: Policy, prepared: boolean): Entry | undefined {
  if (!admit(router, ask, whole, policy, prepared)) {
    return undefined;
  }
  if (whole.split === undefined) {
    return whole;
  }
  const [arm, reason, detail] = find_arm(router.lookup, whole, whole.split);
  if (arm === undefined) {
    router.lookup.found_in = undefined;
    refuse_and_tell(router, reason, ask, detail, whole);
  }
  return arm;
}

/**
 * Finds the route of the request and prepares its tries, or answers it.
 *
 * @param prepared it runs in one of the locations of prepared.conf
 */
function access(router: Router, prepared: boolean): void {
  const request = get_request();
  let text = ngx.var.switchboard_key ?? "";
  let given: string | undefined = undefined;
  if (string.byte(text) !== LINE_END) {
    text = without_id(text);
    given = given_id();
  }
  const ask = read_ask(router.asks, text, router.lookup.loader.with_ports);
  if (ask.name === undefined) {
    refuse(router.config, undefined, "invalid_host");
    return;
  }
  const behind_proxies = router.listens_to_proxies;
  if (behind_proxies) {
    // First: who the client is, and how it came, is theirs to say.
    tell_the_way(router.config, ask, given);
  }
  const name = router.chooses_schema ? name_on_server(router.config, ask.name) : ask.name;
  const [found, reason, detail] = find_route(router.lookup, name);
  let found_in = router.lookup.found_in;
  if (found_in !== undefined) {
    router.lookup.found_in = undefined;
  }
  if (found === undefined) {
    if (answer_ping(router.config, ask.name, reason !== "store_unreachable")) {
      return;
    }
    refuse_and_tell(router, reason, ask, detail, undefined);
    return;
  }
  const policy = found.policy;
  let entry = found;
  if (policy !== undefined) {
    const entered = enter(router, ask, found, policy, prepared);
    if (entered === undefined) {
      return;
    }
    if (entered !== found) {
      found_in = router.lookup.found_in ?? found_in;
      router.lookup.found_in = undefined;
      entry = entered;
    }
  }
  if (entry.refusal !== undefined && !is_kept(entry.choice, ngx.var)) {
    fill_in_route(entry.name);
    refuse_and_tell(router, entry.refusal, ask, undefined, entry);
    return;
  }
  const [state, again] = begin(request, entry);
  state.found_in = found_in;
  if ((ask.special || router.explains) && !attend(router, ask, state)) {
    return;
  }
  const host = policy !== undefined ? policy.host : undefined;
  if (!behind_proxies) {
    tell_app(router.config, request, ask, text, given, again, host);
  } else if (host !== undefined) {
    tell_host(host);
  }
  if (policy !== undefined) {
    const full =
      policy.limits !== undefined ? take_places(router.lookup, found, state, policy.limits) : undefined;
    if (full !== undefined) {
      end(state);
      fill_in_route(found.name);
      refuse_and_tell(router, "overloaded", ask, full, found);
      return;
    }
    prepare(policy, behind_proxies, ask.place.secure);
  }
}

/** Why nginx answers by itself after failed tries; undefined when the answer is an app's, or none of these. */
function failure_of(state: RequestState, status: number): Reason | undefined {
  if (status === 502 || status === 504) {
    state.reason ??= reason_of_answer(state, status);
  }
  return state.reason;
}

/** The same for a response whose header is still to be sent: what stands in it for the answer of an app goes. */
function failure_to_tell(status: number): Reason | undefined {
  const state = current();
  const reason = state !== undefined ? failure_of(state, status) : undefined;
  if (reason !== undefined && state!.entry.choice !== undefined) {
    withdraw_cookie(state!.entry.choice);
  }
  return reason;
}

/**
 * Says why when the answer is nginx's own after failed tries, and changes headers where a route wants that. Every
 * response comes through here.
 */
function header_filter(config: Config): void {
  if (may_change_responses()) {
    const policy = current()?.entry.policy;
    if (policy !== undefined) {
      change_response(policy);
    }
  }
  const status = ngx.status;
  if (status === 502 || status === 504) {
    const reason = failure_to_tell(status);
    if (reason !== undefined) {
      // Stock nginx makes a 502 of what the balancer refuses, whatever status it names.
      ngx.status = status_of(config, reason);
      name_reason(config, reason);
    }
  }
}

/** Takes the request off its instance and counts it. Other requests of the same nginx pass through. */
function log(config: Config): void {
  const state = current();
  if (state === undefined) {
    return;
  }
  const entry = state.entry;
  const peer = state.peer;
  const tries = state.tries;
  const request = get_request();
  const status = nginx.ngx_http_lua_ffi_get_resp_status(request);
  const reason = failure_of(state, status);
  if (state.entry.choice !== undefined) {
    hear_end(state, state.entry.choice);
  }
  if (peer !== undefined && (reason !== undefined || peer.state.suspect || entry.ejects === "5xx")) {
    hear_outcome(entry, peer, status, reason);
  }
  fill_in(state);
  observe(
    entry,
    peer,
    nginx.ngx_http_lua_ffi_req_start_time(request),
    status,
    tries,
    reason !== undefined ? 1 : 0,
  );
  end(state);
  if (reason !== undefined) {
    // Where neither reasons.conf nor errors.conf is included nobody has said it yet.
    ngx.var.switchboard_error = reason;
    count(`switchboard_answers_total{reason="${reason}"}`, 1);
    if (peer?.entry !== undefined) {
      hear_death(config, entry, peer.entry, reason);
    }
    tell(ngx.ERR, `${reason} ${entry.name}`, `${entry.name}: ${reason} after ${tries} tries`);
  }
}

/** The answer to a request whose tries have failed, for the location of errors.conf. */
function failed(router: Router): void {
  const reason = failure_to_tell(ngx.status);
  if (reason !== undefined) {
    explain_failure(router.config, reason);
  } else {
    ngx.exit(ngx.status);
  }
}

export { access, failed, header_filter, log };
