/** The instances of a stored route, as they are shown. */

import { known_state } from "../balance/instances";
import { at_instance, taken_of } from "../balance/places";
import { ejection_of } from "../health/verdict";
import { Live, look_at, read_live } from "../observe/live";
import { Adopter, can_expire } from "../route/adopt";
import { Stored } from "../route/stored";
import { believes_marks, identity_of, left_out } from "../route/entry";
import { make_limits } from "../route/limits";
import { Instance, RouteRecord } from "../schema/record";
import { identity_of_short, short_of } from "./address";
import { seconds } from "./seconds";

/** What has numbers of all workers while somebody looks. */
interface Watched {
  address: string;
  /** Requests that run there. */
  running?: number;
  /** Requests that end there. */
  requests_per_second?: number;
}

export interface Member extends Watched {
  /** What the platform wrote, where it is a DNS name. */
  name?: string;
  state: "up" | "ejected" | "draining" | "backup";
  weight: number;
  /** Requests of this worker that run there. */
  in_flight: number;
  /** Where the route has `max_conns`: requests of this node there, of all routes that have it. */
  conns?: number;
  zone?: string;
  id?: string;
  /** Unix seconds. */
  ejected_until?: number;
  ejected_why?: string;
  /** Peak-weighted seconds, where the route balances by them. */
  latency?: number;
}

function state_of_member(instance: Instance, is_out: boolean): Member["state"] {
  if (is_out) {
    return "ejected";
  }
  if (instance.drain || instance.weight === 0) {
    return "draining";
  }
  return instance.backup === true ? "backup" : "up";
}

/** One instance under one of its addresses. */
function member_of(state: NgxSharedDict, instance: Instance, address: string, bounded: boolean): Member {
  const identity = identity_of(instance, address);
  const known = known_state(identity);
  const ejection = ejection_of(state, identity);
  const is_out = ejection !== undefined || known?.usable === false;
  return {
    address: short_of(identity),
    name: instance.addresses !== undefined ? `${instance.host}:${instance.port}` : undefined,
    state: state_of_member(instance, is_out),
    weight: instance.weight,
    in_flight: known !== undefined ? known.in_flight : 0,
    conns: bounded ? taken_of(at_instance(identity)) : undefined,
    zone: instance.zone,
    id: instance.id,
    ejected_until: ejection?.until,
    ejected_why: ejection?.reason,
    latency: known !== undefined && known.measured_at > 0 ? seconds(known.latency) : undefined,
  };
}

/** The instances that count, each under each of its addresses once. */
function members_of(adopter: Adopter, name: string, stored: Stored, record: RouteRecord): Member[] {
  const now = ngx.now();
  const expire = can_expire(adopter, stored);
  const believes = believes_marks(adopter.config, name, record);
  const limits = make_limits(record.options.policy ?? {});
  const bounded = limits !== undefined && limits.max_conns > 0;
  const seen = new LuaSet<string>();
  const found: Member[] = [];
  for (const instance of record.instances) {
    if (left_out(adopter.config, instance, now, expire, believes) === undefined) {
      for (const address of instance.addresses ?? [instance.host]) {
        const member = member_of(adopter.dicts.state, instance, address, bounded);
        if (!seen.has(member.address)) {
          seen.add(member.address);
          found.push(member);
        }
      }
    }
  }
  return found;
}

/** How many there are in each state. */
function tally_of(members: Member[]): Record<Member["state"], number> {
  const tally = { up: 0, ejected: 0, draining: 0, backup: 0 };
  for (const { state } of members) {
    tally[state] += 1;
  }
  return tally;
}

/** Says of each how busy it is over all workers, as far as these have been told that somebody looks; and tells them. */
function attach_live(dict: NgxSharedDict, members: Watched[]): void {
  const identities: string[] = [];
  const live = read_live(dict);
  for (const member of members) {
    const identity = identity_of_short(member.address);
    const known = live.get(identity) as Live | undefined;
    identities.push(identity);
    member.running = known?.running;
    member.requests_per_second = known?.rate;
  }
  look_at(dict, identities);
}

export { attach_live, members_of, tally_of };
