/** Which instances of a route may have a request, and why the others may not. */

import { Peer } from "../balance/peer";
import { at_instance, taken_of } from "../balance/places";
import { Pool } from "../balance/pool";
import { CHECK_FAILED, ejection_of } from "../health/verdict";
import { Config } from "../config";
import { believes_marks, Entry, identity_of, left_out } from "../route/entry";
import { Instance, Problem, RouteRecord } from "../schema/record";
import { short_of } from "./address";

/** Words that stay; `detail` is for people. */
export type Why =
  | "usable"
  | "warming_up"
  | "kept_in_need"
  | "ejected"
  | "check_failed"
  | "full"
  | "draining"
  | "weight_0"
  | "backup"
  | "other_zone"
  | "heartbeat_over"
  | "marked_dead"
  | "unresolved"
  | "duplicate"
  | "skipped";

export interface Standing {
  address: string;
  kept: boolean;
  reason: Why;
  detail: string;
}

function is_one_of(peers: Peer[], peer: Peer): boolean {
  for (const each of peers) {
    if (each === peer) {
      return true;
    }
  }
  return false;
}

function standing(address: string, reason: Why, detail: string): Standing {
  const kept = reason === "usable" || reason === "warming_up" || reason === "kept_in_need";
  return { address, kept, reason, detail };
}

function is_out(state: NgxSharedDict, address: string, peer: Peer): Standing {
  const ejection = ejection_of(state, peer.state.identity);
  if (ejection === undefined) {
    return standing(address, "ejected", "its time is over: one request tries it first");
  }
  if (ejection.reason === CHECK_FAILED) {
    return standing(address, CHECK_FAILED, ejection.detail);
  }
  // Never "for another 0.0 s": it is out until its time is over.
  const left = math.max(0.1, ejection.until - ngx.now());
  return standing(address, "ejected", string.format("%s; for another %.1f s", ejection.reason, left));
}

/** Whether all places at an instance are taken; `most` 0: it has any number. */
function is_full(most: number, peer: Peer): boolean {
  return most > 0 && taken_of(at_instance(peer.state.identity)) >= most;
}

/** Of a peer that takes requests without a cookie. */
function of_peer(state: NgxSharedDict, config: Config, entry: Entry, pool: Pool, peer: Peer): Standing {
  const address = short_of(peer.state.identity);
  const most = entry.policy?.limits?.max_conns ?? 0;
  if (is_one_of(pool.picker.peers, peer) && peer.share > 0) {
    if (is_full(most, peer)) {
      return standing(address, "full", `max_conns: ${most} requests run there`);
    }
    if (!peer.state.usable) {
      const why = "ejected, but fewer than half of them would be left: all are tried";
      return standing(address, "kept_in_need", why);
    }
    if (peer.share < 1) {
      const share = string.format("takes %.0f %% of its turns", peer.share * 100);
      return standing(address, "warming_up", share);
    }
    return standing(address, "usable", `weight ${peer.weight}`);
  }
  if (!peer.state.usable) {
    return is_out(state, address, peer);
  }
  if (peer.backup) {
    return standing(address, "backup", "takes requests only while no other instance can");
  }
  return standing(address, "other_zone", `instances of the router's own zone ${config.zone ?? ""} are there`);
}

function of_instance(instance: Instance, address: string): Standing {
  if (instance.drain) {
    return standing(address, "draining", "takes only requests with its session cookie");
  }
  return standing(address, "weight_0", "takes only requests with its session cookie");
}

function add_addresses(
  found: Standing[],
  state: NgxSharedDict,
  config: Config,
  instance: Instance,
  peers: LuaTable<string, Peer>,
  entry: Entry,
): void {
  const { pool } = entry;
  for (const address of instance.addresses ?? [instance.host]) {
    const identity = identity_of(instance, address);
    const peer = peers.get(identity) as Peer | undefined;
    peers.delete(identity);
    if (instance.drain || instance.weight === 0) {
      found.push(of_instance(instance, short_of(identity)));
    } else if (peer === undefined || pool === undefined) {
      found.push(standing(short_of(identity), "duplicate", "stands there under another name too"));
    } else {
      found.push(of_peer(state, config, entry, pool, peer));
    }
  }
}

/**
 * @param record what the entry was compiled from
 * @param skipped what was left out when it was read
 */
function standings(
  state: NgxSharedDict,
  config: Config,
  entry: Entry,
  record: RouteRecord,
  skipped: Problem[],
): Standing[] {
  const found: Standing[] = [];
  const believes = believes_marks(config, entry.name, record);
  const unresolved = new LuaTable<string, Standing>();
  const peers = new LuaTable<string, Peer>();
  for (const peer of entry.pool?.all ?? []) {
    peers.set(peer.state.identity, peer);
  }
  for (const instance of record.instances) {
    const out = left_out(config, instance, ngx.now(), entry.lapsed !== "kept", believes);
    const address = short_of(identity_of(instance, instance.host));
    if (out === "lapsed") {
      found.push(
        standing(address, "heartbeat_over", string.format("it counted until %.0f", instance.until!)),
      );
    } else if (out === "dead") {
      found.push(standing(address, "marked_dead", "a dead: mark of the layout says so"));
    } else if (instance.addresses !== undefined && instance.addresses.length === 0) {
      const lost = standing(address, "unresolved", "its name has no address that a request may be sent to");
      unresolved.set(address, lost);
      found.push(lost);
    } else {
      add_addresses(found, state, config, instance, peers, entry);
    }
  }
  for (const problem of skipped) {
    const known = unresolved.get(problem.value) as Standing | undefined;
    if (known !== undefined) {
      known.detail = problem.reason;
    } else {
      found.push(standing(problem.value, "skipped", problem.reason));
    }
  }
  return found;
}

export { is_full, standings };
