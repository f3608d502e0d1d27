/** How the last try of a request ended, for the health of its instance. */

import { Peer } from "../balance/peer";
import { fail, succeed } from "../health/ward";
import { Entry } from "../route/entry";
import { Reason } from "./answer";
import { of_last_try } from "./last_try";

const SERVER_ERROR = 500;

/**
 * Called only where there is something to say: the request failed, the instance had failed before, or its errors count.
 *
 * @param status of the answer
 * @param reason why nginx answers by itself; undefined: the answer is the app's, or the client has left
 */
function hear_outcome(entry: Entry, peer: Peer, status: number, reason: Reason | undefined): void {
  if (reason !== undefined) {
    if (entry.ejects !== "off") {
      fail(peer.state, reason);
    }
    return;
  }
  // Without a header the client has left: that says nothing of the instance.
  if (of_last_try(ngx.var.upstream_header_time) === "-") {
    return;
  }
  if (entry.ejects === "5xx" && status >= SERVER_ERROR) {
    fail(peer.state, "5xx");
  } else if (peer.state.suspect) {
    succeed(peer.state);
  }
}

export { hear_outcome };
