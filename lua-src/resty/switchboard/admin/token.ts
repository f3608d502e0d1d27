/** Who may use the admin server. */

import { Config } from "../config";
import { is_loopback } from "../config/admin";
import { parse_ip } from "../net/address";
import { is_same_secret } from "../request/secret";
import { refused, Refused } from "./reply";

/**
 * Whether nobody but this machine can have meant the server by this name. Any other one may be a page's own, whose owner
 * lets it lead to a loopback address once the page runs in an operator's browser: the page could read what is told here.
 *
 * @param host as `$host` has it: in lower case, without port and last dot; empty where a client that is no browser sends none
 */
function is_own_name(host: string): boolean {
  const [inner] = string.match(host, "^%[(.*)%]$");
  return (
    host === "" ||
    host === "localhost" ||
    host === string.lower(ngx.var.server_name ?? "") ||
    parse_ip(inner ?? host) !== undefined
  );
}

/** Why a request without a token is refused where none is set. */
function unguarded_refusal(): Refused | undefined {
  // A listener that others reach and nobody guards: the start of nginx cannot see every `listen`.
  if (!is_loopback(ngx.var.server_addr ?? "")) {
    return refused(403, "token_needed", "set admin_token: this listener is reached from other machines")[1];
  }
  if (!is_own_name(ngx.var.host ?? "")) {
    return refused(
      403,
      "wrong_host",
      "ask for an IP address, localhost or the server_name of this server, or set admin_token",
    )[1];
  }
  return undefined;
}

/** Why a request is refused; undefined: it may go on. */
function refusal(config: Config, authorization: string | undefined): Refused | undefined {
  if (config.admin_token === "") {
    return unguarded_refusal();
  }
  const [token] = string.match(authorization ?? "", "^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)%s*$");
  if (is_same_secret(token ?? "", config.admin_token)) {
    return undefined;
  }
  return refused(401, "unauthorized", "Authorization: Bearer <admin_token> is needed")[1];
}

export { refusal };
