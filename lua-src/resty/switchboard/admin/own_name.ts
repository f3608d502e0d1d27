/** By which names somebody may ask for pages that no token guards. */

import { is_loopback } from "../config/admin";
import { parse_ip } from "../net/address";
import { send_refusal } from "./reply";

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

/** Whether a page of the internet could have this name: those have a dot. */
function may_be_of_the_internet(host: string): boolean {
  return !is_own_name(host) && string.find(host, ".", 1, true)[0] !== undefined;
}

/**
 * Whether a page for insiders may be read, as it may by anybody who reaches its listener; answers 403 where not. A loopback
 * address every web page leads its name to; on others a name with dots may be the one that a scraper knows the node by.
 */
function admit_insider(): boolean {
  if (!is_loopback(ngx.var.server_addr ?? "") || !may_be_of_the_internet(ngx.var.host ?? "")) {
    return true;
  }
  send_refusal({
    status: 403,
    error: "wrong_host",
    detail: "ask for an IP address, a name without dots or the server_name of this server",
  });
  return false;
}

export { admit_insider, is_own_name };
