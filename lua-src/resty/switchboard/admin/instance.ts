/** `GET /instances/<addr>`: one instance, in whatever routes it stands. */

import { known_state } from "../balance/instances";
import { ejection_of } from "../health/verdict";
import { may_have } from "../route/codec";
import { read_route } from "../route/dict";
import { identity_of_text, short_of } from "./address";
import { Admin } from "./context";
import { as_list } from "./json";
import { attach_live } from "./members";
import { next_page } from "./page";
import { Given, given, refused } from "./reply";
import { look } from "./route";
import { seconds } from "./seconds";

/** Routes that are named; more are counted. */
const MOST_ROUTES = 100;

/** Why an address is refused. */
const BAD_ADDRESS = "must be address:port, [address]:port or https://address:port";

/** Whether a stored route has the instance. Its text says so first: decoding all would take long. */
function has(admin: Admin, name: string, host: string, port: number, address: string): boolean {
  const { lookup } = admin.router;
  const stored = read_route(lookup.dicts, name);
  if (stored === undefined || !may_have(stored.text, host, port)) {
    return false;
  }
  for (const member of look(lookup, name, stored).members) {
    if (member.address === address) {
      return true;
    }
  }
  return false;
}

/** Yields. */
function instance(admin: Admin, text: string): Given {
  const identity = identity_of_text(text);
  if (identity === undefined) {
    return refused(400, "bad_address", BAD_ADDRESS);
  }
  const { dicts } = admin.router.lookup;
  const address = short_of(identity);
  const [host, port] = string.match(identity, "^https?://(.*):(%d+)$");
  const page = next_page(
    dicts.names,
    "",
    MOST_ROUTES,
    (name) => name !== "",
    (name) => has(admin, name, host!, tonumber(port)!, address),
  );
  const known = known_state(identity);
  const ejection = ejection_of(dicts.state, identity);
  if (page.total === 0 && known === undefined && ejection === undefined) {
    return refused(404, "unknown_instance", "no route of this node has it");
  }
  const is_out = ejection !== undefined || known?.usable === false;
  const shown = {
    address,
    state: is_out ? "ejected" : "up",
    in_flight: known !== undefined ? known.in_flight : 0,
    latency: known !== undefined && known.measured_at > 0 ? seconds(known.latency) : undefined,
    ejected_until: ejection?.until,
    ejected_why: ejection?.reason,
    routes: as_list(page.names),
    routes_total: page.total,
  };
  attach_live(dicts.metrics, [shown]);
  return given(shown);
}

export { BAD_ADDRESS, instance };
