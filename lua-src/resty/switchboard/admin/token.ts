/** Who may use the admin server. */

import { Config } from "../config";
import { is_loopback } from "../config/admin";
import { is_same_secret } from "../request/secret";
import { refused, Refused } from "./reply";

/** Why a request is refused; undefined: it may go on. */
function refusal(config: Config, authorization: string | undefined): Refused | undefined {
  if (config.admin_token === "") {
    // A listener that others reach and nobody guards: the start of nginx cannot see every `listen`.
    return is_loopback(ngx.var.server_addr ?? "")
      ? undefined
      : refused(403, "token_needed", "set admin_token: this listener is reached from other machines")[1];
  }
  const [token] = string.match(authorization ?? "", "^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)%s*$");
  if (is_same_secret(token ?? "", config.admin_token)) {
    return undefined;
  }
  return refused(401, "unauthorized", "Authorization: Bearer <admin_token> is needed")[1];
}

export { refusal };
