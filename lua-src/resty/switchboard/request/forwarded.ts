/**
 * What a proxy in front of us says about the client.
 *
 * The router's own view is the default of every forwarded header. Only what a trusted proxy sent takes its
 * place; from anybody else it could be made up.
 */

import { find_captured } from "../captured";
import { Config } from "../config";
import { contains, parse_ip } from "../net/address";
import { Ask } from "./ask";
import { Request } from "./nginx";
import { make_id, signature_of, tell, tell_with, told_id } from "./told";

const A_SIGNATURE = "([^,]+)";

/** The last address in X-Forwarded-For that is not a trusted proxy's; the first one when all are. */
function client_of(config: Config, forwarded_for: string): string | undefined {
  let client: string | undefined = undefined;
  let to = forwarded_for.length;
  while (to > 0) {
    let from = to;
    while (from > 0 && string.byte(forwarded_for, from) !== 44) {
      from -= 1;
    }
    const [word] = string.match(string.sub(forwarded_for, from + 1, to), "^%s*%[?(.-)%]?%s*$");
    const address = parse_ip(word ?? "");
    if (address === undefined) {
      return client;
    }
    client = address.text;
    if (!contains(config.trusted_proxies, client)) {
      return client;
    }
    to = from - 1;
  }
  return client;
}

/** Nothing that came over the wire can end the line that it is told in. */
function clean(value: string): string {
  return string.gsub(value, "[\r\n]", "")[0];
}

function line(name: string, value: string): string {
  return value !== "" ? `\r\n${name}: ${clean(value)}` : "";
}

/** The first one that says something. */
function either(given: string | undefined, own: string): string {
  return given !== undefined && given !== "" ? given : own;
}

/** The scheme that a proxy gives: in any case, and where several proxies have added theirs the first, the client's. */
function scheme_of(given: string): string {
  if (given === "https" || given === "http") {
    return given;
  }
  const [first] = string.match(string.lower(given), "^%s*([%w+.-]+)%s*,?");
  return first ?? "";
}

/**
 * Tells the app of a request that has passed other proxies, wants to speak another protocol, or names its host in the
 * request line.
 *
 * @param given the id that it came with; undefined: none
 */
function tell_the_way(config: Config, ask: Ask, given: string | undefined): void {
  const vars = ngx.var as Record<string, string | undefined>;
  const own_host = ask.host_header ?? vars.http_host ?? "";
  const peer = vars.remote_addr ?? "";
  let proto = vars.scheme ?? "";
  let host = own_host;
  let port = vars.server_port ?? "";
  if (contains(config.trusted_proxies, peer)) {
    proto = either(scheme_of(vars.http_x_forwarded_proto ?? ""), proto);
    host = either(vars.http_x_forwarded_host, host);
    port = either(vars.http_x_forwarded_port, port);
    vars.switchboard_client = either(client_of(config, vars.http_x_forwarded_for ?? ""), peer);
  }
  const id = given ?? told_id() ?? make_id(ask.place);
  const signed = signature_of(vars.server_port ?? "");
  vars.switchboard_told =
    clean(own_host) +
    line("X-Forwarded-Proto", proto) +
    line("X-Forwarded-Port", port) +
    line("Via", ask.via !== "" ? `${ask.via}, ${signed}` : signed) +
    line("X-Request-Id", id) +
    line("X-Forwarded-Host", host) +
    line("Connection", ask.upgrade !== "" ? "upgrade" : "") +
    line("Upgrade", ask.upgrade);
}

/** The Host is the first line of what the app is told. */
function tell_host(host: string): void {
  const told = ngx.var.switchboard_told ?? "";
  const [line_end] = string.find(told, "\r\n", 1, true);
  ngx.var.switchboard_told = host + (line_end !== undefined ? string.sub(told, line_end) : "");
}

/**
 * Tells the app of a request, as the router itself sees it.
 *
 * @param text of `$switchboard_key` without the id
 * @param given the id that it came with; undefined: none
 * @param again it was told of before, and redirected within nginx
 * @param host that the app is to see; undefined: the one that came
 */
function tell_app(
  config: Config,
  request: Request,
  ask: Ask,
  text: string,
  given: string | undefined,
  again: boolean,
  host: string | undefined,
): void {
  if (ask.special) {
    tell_the_way(config, ask, given);
    if (host !== undefined) {
      tell_host(host);
    }
  } else if (given === undefined && !again) {
    tell(request, ask.place, host ?? text, host !== undefined ? 1 : ask.host_at, text, ask.host_at);
  } else {
    const came = string.sub(text, ask.host_at);
    tell_with(ask.place, host ?? came, came, given ?? told_id() ?? make_id(ask.place));
  }
}

/**
 * Whether the request has passed this router before.
 *
 * @param via its Via header
 * @param node how this router signs: `$hostname:$server_port`
 */
function has_passed(via: string, node: string): boolean {
  let [, end, signature] = find_captured(via, A_SIGNATURE);
  while (end !== undefined) {
    const [by] = string.match(signature!, "^%s*%S+%s+(%S+)");
    if (by === node) {
      return true;
    }
    [, end, signature] = find_captured(via, A_SIGNATURE, end + 1);
  }
  return false;
}

/** Whether the client came over TLS, as the app is told, or will be: where there are proxies, it is told first. */
function came_by_tls(): boolean {
  const told = ngx.var.switchboard_told ?? "";
  if (told === "") {
    return ngx.var.scheme === "https";
  }
  // No pattern: LuaJIT compiles the search for a plain text only, and this is on the way of requests.
  return string.find(told, "\r\nX-Forwarded-Proto: https\r\n", 1, true)[0] !== undefined;
}

export { came_by_tls, has_passed, tell_app, tell_host, tell_the_way };
