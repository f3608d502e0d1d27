/**
 * Marks of other routers feed ejection: whom they call dead is looked at.
 */

import { Config } from "../config";
import { hear_mark } from "../health/illness";
import { address_of, RouteRecord } from "../schema/record";
import { identity_of } from "./entry";

function dead_of(record: RouteRecord | undefined): LuaSet<string> {
  const dead = new LuaSet<string>();
  for (const instance of record?.instances ?? []) {
    if (instance.dead === true) {
      dead.add(address_of(instance));
    }
  }
  return dead;
}

/**
 * Has those looked at whom other routers call dead since the route was read last.
 *
 * @param last the route as it was then
 */
function hear_marks(config: Config, record: RouteRecord, last: RouteRecord | undefined): void {
  if (record.marks === undefined || (record.options.policy?.eject ?? config.eject) === "off") {
    return;
  }
  const known = dead_of(last);
  for (const instance of record.instances) {
    if (instance.dead === true && !known.has(address_of(instance))) {
      for (const address of instance.addresses ?? [instance.host]) {
        hear_mark(identity_of(instance, address));
      }
    }
  }
}

export { hear_marks };
