/** The grammar of `balance`, the same in the module's options and in a route's. */

import { Parsed } from "./grammar";

export interface Balance {
  algorithm: string;
  /** For `hash`: the nginx variable that holds the key. */
  variable: string | undefined;
}

const ALGORITHMS = new LuaSet<string>();
for (const name of ["round_robin", "least_conn", "ewma", "random"]) {
  ALGORITHMS.add(name);
}

const SOURCES: Record<string, string | undefined> = { header: "http_", cookie: "cookie_", query: "arg_" };
const PLAIN_SOURCES: Record<string, string | undefined> = { ip: "switchboard_client", uri: "request_uri" };

const MUST =
  "must be round_robin, least_conn, ewma, random or hash:header:<name>, hash:cookie:<name>, hash:query:<name>, hash:ip, hash:uri";

/** Reads `ewma`, `hash:header:X-User`, … */
function parse_balance(value: unknown): Parsed<Balance> {
  if (type(value) !== "string") {
    return $multi(undefined, MUST);
  }
  const text = value as string;
  if (ALGORITHMS.has(text)) {
    return $multi({ algorithm: text, variable: undefined }, undefined);
  }
  const [source, rest] = string.match(text, "^hash:(%l+)(.*)$");
  const plain = PLAIN_SOURCES[source ?? ""];
  if (plain !== undefined && rest === "") {
    return $multi({ algorithm: "hash", variable: plain }, undefined);
  }
  const prefix = SOURCES[source ?? ""];
  const [name] = string.match(rest ?? "", "^:([%w_-]+)$");
  if (prefix === undefined || name === undefined || name.length > 64) {
    return $multi(undefined, MUST);
  }
  // nginx's variables of headers have underscores for dashes; those of cookies and arguments do not.
  const spelled = prefix === "http_" ? string.gsub(name, "-", "_")[0] : name;
  return $multi({ algorithm: "hash", variable: prefix + string.lower(spelled) }, undefined);
}

export { parse_balance };
