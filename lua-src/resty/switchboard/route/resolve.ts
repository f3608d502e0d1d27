/** The addresses behind a record's instances: DNS names resolved, forbidden targets left out. */

import { Config } from "../config";
import { parse_ip } from "../net/address";
import { resolve } from "../net/dns";
import { is_own_listener } from "../net/listeners";
import { address_of, Instance, RouteRecord } from "../schema/record";
import { forbidden_address } from "./targets";

/** Names resolved side by side; more wait for their turn. */
const MOST_AT_ONCE = 16;

/** Why no request may go there; undefined: it may. */
function forbidden(config: Config, address: string, port: number): string | undefined {
  const forbidden_everywhere = forbidden_address(config.deny_instances, address);
  if (forbidden_everywhere === undefined && is_own_listener(address, port)) {
    return "this router's own listener";
  }
  return forbidden_everywhere;
}

/** Addresses of an instance in an earlier version of its route. */
function last_good(last: RouteRecord | undefined, instance: Instance): string[] | undefined {
  if (last !== undefined) {
    for (const before of last.instances) {
      if (before.host === instance.host && before.port === instance.port && before.addresses !== undefined) {
        return before.addresses.length > 0 ? before.addresses : undefined;
      }
    }
  }
  return undefined;
}

interface Lookup {
  ttl: number;
  /** Names that resolve, but to nothing that a request may be sent to. */
  refused: LuaSet<Instance>;
}

function note(record: RouteRecord, instance: Instance, reason: string): void {
  record.problems.push({ key: "", value: address_of(instance), reason });
}

function look_up(
  config: Config,
  record: RouteRecord,
  instance: Instance,
  last: RouteRecord | undefined,
  deadline: number,
  lookup: Lookup,
): void {
  const [addresses, ttl_or_err, stale_because] = resolve(instance.host, config, deadline);
  let found: string[];
  if (addresses !== undefined) {
    found = addresses;
    lookup.ttl = math.min(lookup.ttl, ttl_or_err);
    if (stale_because !== undefined) {
      note(record, instance, stale_because);
    }
  } else {
    // Asked again at the next refresh, and at once when there is nothing to go on with.
    found = last_good(last, instance) ?? [];
    lookup.ttl = math.min(lookup.ttl, 1);
    note(record, instance, ttl_or_err);
  }
  const allowed: string[] = [];
  for (const address of found) {
    const reason = forbidden(config, address, instance.port);
    if (reason !== undefined) {
      note(record, instance, `${address}: ${reason}`);
    } else {
      allowed.push(address);
    }
  }
  instance.addresses = allowed;
  if (found.length > 0 && allowed.length === 0) {
    lookup.refused.add(instance);
  }
}

function wait_for(threads: NgxThread[]): void {
  for (const thread of threads) {
    ngx.thread.wait(thread);
  }
}

/**
 * Fills `addresses` of named instances, and takes out instances that no request may be sent to, with a
 * problem for each. Yields.
 *
 * @param last the record that counted until now: its addresses stay when a name does not resolve
 * @param deadline ngx.now() at which the answer must stand
 * @returns seconds after which a name must be resolved again; math.huge without names
 */
function resolve_instances(
  config: Config,
  record: RouteRecord,
  last: RouteRecord | undefined,
  deadline: number,
): number {
  const lookup: Lookup = { ttl: math.huge, refused: new LuaSet() };
  const candidates: Instance[] = [];
  let threads: NgxThread[] = [];
  for (const instance of record.instances) {
    if (parse_ip(instance.host) === undefined) {
      candidates.push(instance);
      const [thread] = ngx.thread.spawn(look_up, config, record, instance, last, deadline, lookup);
      threads.push(thread);
      if (threads.length >= MOST_AT_ONCE) {
        wait_for(threads);
        threads = [];
      }
    } else {
      const reason = forbidden(config, instance.host, instance.port);
      if (reason !== undefined) {
        note(record, instance, reason);
      } else {
        candidates.push(instance);
      }
    }
  }
  wait_for(threads);
  const kept: Instance[] = [];
  for (const instance of candidates) {
    if (!lookup.refused.has(instance)) {
      kept.push(instance);
    }
  }
  record.instances = kept;
  return lookup.ttl;
}

export { resolve_instances };
