/** `Host: __ping__`, by which load balancers ask hipache and planb whether they live. */

import { Config } from "../config";
import { schema_of_server } from "./server_schema";

const PING = "__ping__";

function say(status: number, text: string): void {
  ngx.status = status;
  (ngx.header as Record<string, string | number>)["Content-Type"] = "text/plain";
  (ngx.header as Record<string, string | number>)["Content-Length"] = text.length;
  ngx.print(text);
  ngx.exit(ngx.HTTP_OK);
}

/**
 * Answers a ping that no route has, where `set $switchboard_ping on;` says that whoever reaches this server may ask.
 *
 * @param name that was asked for
 * @param reachable whether Redis answered for it
 * @returns whether it was one
 */
function answer_ping(config: Config, name: string, reachable: boolean): boolean {
  const schema = schema_of_server(config);
  if (name !== PING || (schema !== "hipache" && schema !== "planb") || ngx.var.switchboard_ping !== "on") {
    return false;
  }
  if (schema === "hipache") {
    say(200, "ok");
    return true;
  }
  if (ngx.var.uri !== "/") {
    return false;
  }
  say(reachable ? 200 : 500, reachable ? "OK" : "redis is unreachable");
  return true;
}

export { answer_ping };
