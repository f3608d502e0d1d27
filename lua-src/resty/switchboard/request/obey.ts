/** A request under the options of its route: what they refuse, and what they change on the way to the app and back. */

import { recreate_request } from "ngx.balancer";
import { Peer } from "../balance/peer";
import { tell } from "../observe/journal";
import { HeaderChange, lets_in, Policy } from "../route/policy";
import { came_by_tls, tell_host } from "./forwarded";
import { is_repeatable } from "./repeatable";

/** What a route's options refuse. */
export type PolicyReason = "forbidden" | "maintenance" | "body_too_large" | "length_required";

type Vars = Record<string, string | undefined>;
type Headers = Record<string, string | number | undefined>;

/** Some route of this worker has changed responses: only then is one looked at. */
let changes_responses = false;

/** Whether a body comes whose length nobody has said. */
function has_unmeasured_body(vars: Vars): boolean {
  if (vars.http_transfer_encoding !== undefined) {
    return true;
  }
  const method = vars.request_method;
  const has_body = method === "POST" || method === "PUT" || method === "PATCH";
  // HTTP/2 and 3 frame bodies themselves.
  return has_body && string.sub(vars.server_protocol ?? "", 1, 6) !== "HTTP/1";
}

/** Nobody but trusted proxies can say other than nginx how a client came. */
function is_secure(behind_proxies: boolean, own_view: boolean): boolean {
  return behind_proxies ? came_by_tls() : own_view;
}

function refusal_by_body(most: number, vars: Vars): PolicyReason | undefined {
  const length = tonumber(vars.content_length);
  if (length !== undefined) {
    return length > most ? "body_too_large" : undefined;
  }
  return has_unmeasured_body(vars) ? "length_required" : undefined;
}

/**
 * Why the request is not served. After `tell_the_way`, where there are trusted proxies: who the client is, and how it
 * came, is theirs to say.
 *
 * @param behind_proxies there are trusted proxies
 * @param by_tls the router itself was asked over TLS
 * @param vars of the request
 */
function refusal_of(
  policy: Policy,
  behind_proxies: boolean,
  by_tls: boolean,
  vars: Vars,
): PolicyReason | "to_https" | undefined {
  const gate = policy.gate;
  if (gate !== undefined) {
    const client = (behind_proxies ? vars.switchboard_client : vars.remote_addr) ?? "";
    if (!lets_in(gate, client)) {
      return "forbidden";
    }
  }
  if (policy.https_redirect && !is_secure(behind_proxies, by_tls)) {
    return "to_https";
  }
  if (policy.maintenance !== undefined) {
    return "maintenance";
  }
  return policy.max_body !== undefined ? refusal_by_body(policy.max_body, vars) : undefined;
}

/** Sends the client to the same place by TLS: 301, or where a body must not get lost 308. */
function send_to_https(): void {
  const vars = ngx.var as Vars;
  ngx.redirect(`https://${vars.host}${vars.request_uri}`, status_of_redirect(ngx.req.get_method()));
}

function status_of_redirect(method: string): number {
  return method === "GET" || method === "HEAD" ? 301 : 308;
}

/**
 * The location that can do what the one that runs cannot: `retry_on`, and changed response headers where no header
 * filter of ours runs. Undefined: none is needed.
 */
function location_for(policy: Policy, name: string): string | undefined {
  const vars = ngx.var as Vars;
  const needs_filter = policy.response_headers !== undefined && vars.switchboard_filters === undefined;
  // After a refused retry the app's answer is lost already: what may not be sent twice stays where nobody retries.
  const retries = policy.retry_on !== undefined && is_repeatable(vars);
  if (!retries && !needs_filter) {
    return undefined;
  }
  if ((vars.switchboard_prepared ?? "") === "") {
    const option = retries ? "retry_on" : "response_header";
    tell(
      ngx.WARN,
      `unprepared ${name}`,
      `${name}: ${option} is left out: include switchboard/prepared.conf in the server`,
    );
    return undefined;
  }
  return retries ? `@switchboard_retry_${policy.retry_on}` : "@switchboard_filtered";
}

function set_request_headers(first: HeaderChange): void {
  ngx.req.set_header(first.name, first.value);
  // LuaJIT leaves the trace of a request for every loop: one header costs none.
  let change = first.next;
  while (change !== undefined) {
    ngx.req.set_header(change.name, change.value);
    change = change.next;
  }
}

function strip(prefix: string, vars: Vars): void {
  const rest = string.sub(vars.uri ?? "", prefix.length + 1);
  ngx.req.set_uri(rest !== "" ? rest : "/", false);
  ngx.req.set_header("X-Forwarded-Prefix", prefix);
}

/** What the app gets to see. Once per request, after everything that could refuse it. */
function prepare(policy: Policy, behind_proxies: boolean, by_tls: boolean): void {
  if (policy.hsts !== undefined && is_secure(behind_proxies, by_tls)) {
    (ngx.header as Headers)["Strict-Transport-Security"] = policy.hsts;
  }
  if (policy.prefix !== undefined) {
    strip(policy.prefix, ngx.var as Vars);
  }
  if (policy.request_headers !== undefined) {
    set_request_headers(policy.request_headers);
  }
  changes_responses = changes_responses || policy.response_headers !== undefined;
}

/** For the balancer: the request is written anew, with the instance's own address as Host. */
function tell_instance_host(peer: Peer): void {
  const host = peer.server_name ?? peer.address;
  const usual = peer.tls ? 443 : 80;
  tell_host(peer.port === usual ? host : `${host}:${peer.port}`);
  recreate_request();
}

/** For the header filter: what the client gets to see of the app's response. */
function change_response(policy: Policy): void {
  let change = policy.response_headers;
  while (change !== undefined) {
    (ngx.header as Headers)[change.name] = change.value;
    change = change.next;
  }
}

/** Whether `change_response` may have anything to do. */
function may_change_responses(): boolean {
  return changes_responses;
}

export {
  change_response,
  location_for,
  may_change_responses,
  prepare,
  refusal_of,
  send_to_https,
  status_of_redirect,
  tell_instance_host,
};
