/**
 * What a proxy in front of us says about the client.
 *
 * nginx's own variables are the default of every forwarded header (headers.conf). Only what a trusted proxy
 * sent takes their place; from anybody else it could be made up.
 */

import { Config } from "../config";
import { contains, parse_ip } from "../net/address";

function set(name: string, value: string | undefined): void {
  if (value !== undefined && value !== "") {
    (ngx.var as Record<string, string>)[name] = value;
  }
}

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

/** Takes over the forwarded headers of a trusted proxy; leaves everything as it is for anybody else. */
function adopt_forwarded(config: Config): void {
  const vars = ngx.var;
  const peer = vars.remote_addr ?? "";
  if (!contains(config.trusted_proxies, peer)) {
    return;
  }
  set("switchboard_forwarded_proto", vars.http_x_forwarded_proto);
  set("switchboard_forwarded_host", vars.http_x_forwarded_host);
  set("switchboard_forwarded_port", vars.http_x_forwarded_port);
  set("switchboard_client", client_of(config, vars.http_x_forwarded_for ?? ""));
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

export { adopt_forwarded, has_passed };
