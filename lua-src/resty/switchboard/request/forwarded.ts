/**
 * What a proxy in front of us says about the client.
 *
 * The router's own view is the default of every forwarded header. Only what a trusted proxy sent takes its
 * place; from anybody else it could be made up.
 */

import { Config } from "../config";
import { Ask } from "./ask";
import { contains, parse_ip } from "../net/address";

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
 * Writes what the app is told of the request and the way that it came: `$switchboard_told`, whose default in
 * headers.conf says the same of a request that needs nothing of this.
 */
function tell_the_way(config: Config, ask: Ask): void {
  const vars = ngx.var as Record<string, string | undefined>;
  const own_host = ask.host_header ?? vars.http_host ?? "";
  const peer = vars.remote_addr ?? "";
  let proto = vars.scheme ?? "";
  let host = own_host;
  let port = vars.server_port ?? "";
  let client = peer;
  if (contains(config.trusted_proxies, peer)) {
    proto = either(scheme_of(vars.http_x_forwarded_proto ?? ""), proto);
    host = either(vars.http_x_forwarded_host, host);
    port = either(vars.http_x_forwarded_port, port);
    client = either(client_of(config, vars.http_x_forwarded_for ?? ""), client);
    vars.switchboard_client = client;
  }
  const signed = `1.1 ${vars.hostname}:${vars.server_port}`;
  vars.switchboard_told =
    clean(own_host) +
    line("X-Forwarded-Proto", proto) +
    line("X-Forwarded-Host", host) +
    line("X-Forwarded-Port", port) +
    line("X-Real-IP", client) +
    line("Via", ask.via !== "" ? `${ask.via}, ${signed}` : signed) +
    line("Connection", ask.upgrade !== "" ? "upgrade" : "") +
    line("Upgrade", ask.upgrade);
}

/**
 * Whether the request has passed this router before.
 *
 * @param via its Via header
 * @param node how this router signs: `$hostname:$server_port`
 */
function has_passed(via: string, node: string): boolean {
  for (const [signature] of string.gmatch(via, "[^,]+")) {
    const [by] = string.match(signature!, "^%s*%S+%s+(%S+)");
    if (by === node) {
      return true;
    }
  }
  return false;
}

/** Whether the client came over TLS, as the app is told. */
function came_by_tls(): boolean {
  // No pattern: LuaJIT compiles the search for a plain text only, and this is on the way of requests.
  return (
    string.find(ngx.var.switchboard_told ?? "", "\r\nX-Forwarded-Proto: https\r\n", 1, true)[0] !== undefined
  );
}

export { came_by_tls, has_passed, tell_the_way };
