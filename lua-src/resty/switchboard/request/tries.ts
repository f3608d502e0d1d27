/**
 * The balancer phase: one call per try. It picks, and sets what nginx needs; it does no I/O and waits for
 * nothing.
 *
 * nginx decides whether to call again. It does so only while it believes in further tries, and those are
 * granted one by one, before the try they follow: refusing inside the next call would be too late to give
 * the client the right status on every build.
 */

import { get_last_failure, set_timeouts } from "ngx.balancer";
import { string as text_of } from "ffi";
import { redeem, reserve, spend } from "../balance/budget";
import { Peer } from "../balance/peer";
import { pick } from "../balance/pool";
import { Config } from "../config";
import { fail } from "../health/ward";
import { count } from "../observe/counters";
import { tell } from "../observe/journal";
import { observe_failed_try } from "../observe/tally";
import { Timeouts } from "../route/entry";
import { Reason } from "./answer";
import { choose, choose_again, hear_failure } from "./choose";
import { explain_failure_of_try, explain_try } from "./debug";
import { of_last_try } from "./last_try";
import { leave_instance } from "./hold";
import { tell_instance_host } from "./obey";
import { hear_death } from "./death";
import { cells, get_request, nginx, OK } from "./nginx";
import { is_repeatable } from "./repeatable";
import { current, NO_GRANT, release, RequestState, RESERVED, WITHHELD } from "./state";

/**
 * OpenResty's nginx takes a status from the balancer, and counts a try on a pooled connection that was found
 * closed. Stock nginx with ngx_lua does neither: a status becomes 500, and such a try is given back.
 */
const IS_OPENRESTY =
  string.find(ngx.config.nginx_configure(), "openresty", 1, true)[0] !== undefined ||
  string.find(ngx.config.nginx_configure(), "/ngx_lua-", 1, true)[0] !== undefined;

/** nginx's NGX_BUSY, which ngx_lua has no name for: no peer is left, a 502. */
const BUSY = -3;
const GATEWAY_TIMEOUT = 504;

const A_MILLISECOND = 0.001;
const MILLISECONDS = 1000;

/** Where nginx says what it does not like. */
const problem = cells("char *[?]", 1);

const NONE: Peer[] = [];

/** Why a try is followed by another. */
type Retried =
  | "connect_failed"
  | "tls_failed"
  | "bad_response"
  | "connect_timeout"
  | "read_timeout"
  | "http_502"
  | "http_503"
  | "http_504";

/** How the try that has just failed went. */
interface Failure {
  timed_out: boolean;
  connected: boolean;
  sent: boolean;
  /** nothing of a response had come */
  silent: boolean;
  /** It did not fail: the app answered with a status that the route tries again after. */
  answered: boolean;
}

function read_failure(status: number | undefined): Failure {
  const answered = of_last_try(ngx.var.upstream_header_time) !== "-";
  return {
    answered,
    timed_out: status === GATEWAY_TIMEOUT && !answered,
    connected: of_last_try(ngx.var.upstream_connect_time) !== "-",
    sent: (tonumber(of_last_try(ngx.var.upstream_bytes_sent)) ?? 0) > 0,
    silent: (tonumber(of_last_try(ngx.var.upstream_bytes_received)) ?? 0) === 0,
  };
}

function reason_of(failure: Failure, tls: boolean): Reason {
  if (failure.connected) {
    return failure.timed_out ? "read_timeout" : "bad_response";
  }
  if (failure.timed_out) {
    return "connect_timeout";
  }
  return tls ? "tls_failed" : "connect_failed";
}

/**
 * Why nginx answers so by itself; undefined when it is the app's answer.
 *
 * @param status of the response, 502 or 504
 */
function reason_of_answer(state: RequestState, status: number): Reason | undefined {
  if (of_last_try(ngx.var.upstream_header_time) !== "-") {
    return undefined;
  }
  return reason_of(read_failure(status), state.peer !== undefined && state.peer.tls);
}

/** Ends the request in the balancer with the answer that the last failure deserves. */
function give_up(state: RequestState, failure: Failure, tls: boolean): void {
  state.reason = reason_of(failure, tls);
  if (state.notes !== undefined) {
    explain_failure_of_try(state.notes, state.reason);
  }
  if (IS_OPENRESTY) {
    ngx.exit(failure.timed_out ? GATEWAY_TIMEOUT : 502);
  }
  ngx.exit(BUSY);
}

/**
 * Whether this worker's pool may hold a connection to the peer. A request that still sends its response to a
 * slow client has given its connection back already.
 */
function may_be_pooled(config: Config, peer: Peer): boolean {
  return peer.state.in_flight > 0 || ngx.now() - peer.state.answered_at <= config.keepalive_idle;
}

/**
 * Whether a further try may be granted where the route has `retry_on`. An app's answer is lost once nginx has turned to a
 * further try, so the budget must promise one before.
 */
function is_promised(config: Config, state: RequestState): boolean {
  if (state.grant !== RESERVED) {
    const granted = reserve(state.entry.budget, config.retry_budget, ngx.now());
    state.grant = granted ? RESERVED : WITHHELD;
  }
  return state.grant === RESERVED;
}

/** Takes a retry from the route's budget, where the failed try may have cost an app something. */
function may_retry(config: Config, state: RequestState, failure: Failure): boolean {
  if (!failure.connected) {
    return true;
  }
  const budget = state.entry.budget;
  if (state.grant === RESERVED) {
    redeem(budget);
    state.grant = NO_GRANT;
    return true;
  }
  const granted = spend(budget, config.retry_budget, ngx.now());
  state.grant = granted ? NO_GRANT : WITHHELD;
  return granted;
}

/** Seconds until the deadline of the request, never none: nginx takes that for its own default. */
function seconds_left(timeouts: Timeouts): number {
  if (timeouts.deadline === math.huge) {
    return math.huge;
  }
  return math.max(A_MILLISECOND, timeouts.deadline - (ngx.now() - ngx.req.start_time()));
}

function is_over(timeouts: Timeouts | undefined): boolean {
  return timeouts !== undefined && seconds_left(timeouts) <= A_MILLISECOND;
}

/** Sends a try to a peer. `fresh`: on a connection of its own. */
function send(config: Config, state: RequestState, peer: Peer, fresh: boolean): void {
  state.peer = peer;
  state.pooled = !fresh && may_be_pooled(config, peer);
  peer.state.in_flight += 1;
  if (state.notes !== undefined) {
    explain_try(state.notes, peer);
  }
  const request = get_request();
  // Always, and first: it is on by the conf's `proxy_pass https://…`, and SNI needs it set before the peer.
  nginx.ngx_http_lua_ffi_balancer_set_upstream_tls(request, peer.tls ? 1 : 0, problem);
  const address = peer.address;
  const server_name = peer.server_name;
  const result = nginx.ngx_http_lua_ffi_balancer_set_current_peer(
    request,
    address,
    address.length,
    peer.port,
    server_name,
    server_name !== undefined ? server_name.length : 0,
    problem,
  );
  if (result !== OK) {
    tell(
      ngx.ERR,
      `peer_refused ${peer.state.identity}`,
      `${state.entry.name}: could not use ${peer.state.identity}: ${text_of(problem.get(0))}`,
    );
    ngx.exit(BUSY);
  }
  if (!fresh) {
    nginx.ngx_http_lua_ffi_balancer_enable_keepalive(
      request,
      config.keepalive_idle * MILLISECONDS,
      config.keepalive_requests,
      problem,
    );
  }
  const policy = state.entry.policy;
  const retry_on = policy !== undefined ? policy.retry_on : undefined;
  let more = state.tries < state.entry.tries;
  if (more && retry_on !== undefined) {
    more = is_promised(config, state);
  }
  if (more || (IS_OPENRESTY && state.pooled && retry_on === undefined)) {
    nginx.ngx_http_lua_ffi_balancer_set_more_tries(request, 1, problem);
  }
  if (policy !== undefined && policy.host_of_instance) {
    tell_instance_host(peer);
  }
  const timeouts = state.entry.timeouts;
  if (state.upgrade) {
    set_timeouts(
      timeouts !== undefined ? timeouts.connect : config.connect_timeout,
      config.websocket_timeout,
      config.websocket_timeout,
    );
  } else if (timeouts !== undefined) {
    const left = seconds_left(timeouts);
    set_timeouts(
      math.min(timeouts.connect, left),
      math.min(timeouts.send, left),
      math.min(timeouts.read, left),
    );
  }
}

/** Tells everybody who has an interest in how the instance does. */
function hear_failed_try(config: Config, state: RequestState, peer: Peer, failure: Failure): void {
  const entry = state.entry;
  const reason = reason_of(failure, peer.tls);
  if (entry.ejects === "5xx" || (entry.ejects === "failures" && !failure.answered)) {
    fail(peer.state, failure.answered ? "5xx" : reason);
  }
  if (peer.entry !== undefined && !failure.answered) {
    hear_death(config, entry, peer.entry, reason);
  }
  if (entry.choice !== undefined) {
    hear_failure(entry.choice, peer);
  }
}

/** A further try, after one failed. */
function send_again(config: Config, state: RequestState): void {
  const [, status] = get_last_failure();
  const failure = read_failure(status);
  const peer = state.peer;
  if (peer === undefined) {
    // The last call raised before it had a peer; there is nothing to conclude from it.
    ngx.exit(BUSY);
    return;
  }
  release(state);
  // The instance may just have closed an idle connection: that is no failure of the instance.
  const stale = state.pooled && failure.connected && failure.silent && !failure.timed_out;
  if (!stale) {
    hear_failed_try(config, state, peer, failure);
  }
  if (failure.sent && !is_repeatable(ngx.var as Record<string, string | undefined>)) {
    observe_failed_try(peer.state);
    give_up(state, failure, peer.tls);
    return;
  }
  if (stale) {
    count("switchboard_stale_connections_total", 1);
    if (state.notes !== undefined) {
      explain_failure_of_try(state.notes, "stale_connection");
    }
    send(config, state, peer, true);
    return;
  }
  observe_failed_try(peer.state);
  if (state.hold !== undefined) {
    leave_instance(state.hold, state.entry.name);
  }
  state.tried[state.tried.length] = peer;
  const may_go_on = state.tries < state.entry.tries && !is_over(state.entry.timeouts);
  const untried = may_go_on && may_retry(config, state, failure) ? choose_again(state) : undefined;
  if (untried === undefined) {
    give_up(state, failure, peer.tls);
    return;
  }
  state.tries += 1;
  state.retry_reason = failure.answered ? `http_${status}` : reason_of(failure, peer.tls);
  if (state.notes !== undefined) {
    explain_failure_of_try(state.notes, state.retry_reason);
  }
  count(`switchboard_retries_total{reason="${state.retry_reason as Retried}"}`, 1);
  send(config, state, untried, false);
}

function refuse_unprepared(): void {
  tell(
    ngx.ERR,
    "unprepared",
    "the balancer was reached without a route: a location with proxy_pass to switchboard needs access() in its access phase (include switchboard/handlers.conf)",
  );
  ngx.exit(BUSY);
}

/** Picks where the request goes; called by nginx before each try. */
function balance(config: Config): void {
  const state = current();
  if (state === undefined) {
    refuse_unprepared();
    return;
  }
  if (state.tries > 0) {
    send_again(config, state);
    return;
  }
  const entry = state.entry;
  const peer = entry.choice === undefined ? pick(entry.pool!, 0, NONE) : choose(state, entry.choice);
  if (peer === undefined) {
    // The cookie that let it in means an instance that has gone since.
    ngx.exit(BUSY);
    return;
  }
  state.tries = 1;
  entry.budget.requests += 1;
  send(config, state, peer, false);
}

export { balance, reason_of_answer };
