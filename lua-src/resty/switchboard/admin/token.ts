/** Who may use the admin server. */

import { Config } from "../config";
import { is_loopback } from "../config/admin";
import { is_same_secret } from "../request/secret";
import { is_own_name } from "./own_name";
import { refused, Refused } from "./reply";

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
