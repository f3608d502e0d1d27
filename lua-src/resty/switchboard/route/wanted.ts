/** The checks that a stored route wants: one of each address of its instances. */

import { Config } from "../config";
import { Wanted } from "../health/charts";
import { parse_ip } from "../net/address";
import { bracketed } from "../net/nameserver";
import { Check, check_of } from "../schema/check";
import { PolicyTexts } from "../schema/policy";
import { address_of, Instance, plain_entry, RouteRecord } from "../schema/record";
import { split_scope } from "../schema/scope";
import { least_of, Mark } from "./dead_marks";
import { end_of, identity_of } from "./entry";

export interface Wish {
  wanted: Wanted;
  /** Unix seconds at which the instance ends; math.huge: never. */
  ends: number;
  /** How other routers are told that it is dead; undefined: they are not. */
  mark: Mark | undefined;
  /** It is called dead already. */
  is_marked: boolean;
}

export interface Wishes {
  /** What they were made of. */
  text: string;
  /** Whether the route is asked for or not. */
  always: boolean;
  list: Wish[];
}

/** The host that a route's requests have, without a path; of a pattern what all of them end with. Undefined: any. */
function host_of(name: string): string | undefined {
  const [base] = split_scope(name);
  const [host] = string.match(base, "^%*?%.?([^/#@*]+)");
  return host !== undefined && parse_ip(host) !== undefined ? bracketed(host) : host;
}

/** What an instance is told as Host: as requests to it are. */
function told_host(policy: PolicyTexts, name: string, instance: Instance): string {
  const { host_header } = policy;
  if (host_header !== undefined && host_header !== "preserve" && host_header !== "upstream") {
    return host_header;
  }
  const [own] = string.gsub(address_of(instance), "^https://", "");
  return host_header === "upstream" ? own : (host_of(name) ?? own);
}

/** The name for SNI; undefined: there is none. */
function server_name_of(name: string, instance: Instance): string | undefined {
  const [host] = string.match(
    instance.addresses !== undefined ? instance.host : (host_of(name) ?? ""),
    "^[^:]*",
  );
  return instance.tls && host !== "" && parse_ip(host!) === undefined ? host : undefined;
}

/** undefined: the route stands in a layout whose dead are not marked. */
function mark_of(name: string, record: RouteRecord, instance: Instance): Mark | undefined {
  const { schema } = record;
  if (schema !== "hipache" && schema !== "planb") {
    return undefined;
  }
  const [host] = split_scope(name);
  const [list] = split_scope(record.under ?? name);
  return { name: list, host, entry: instance.entry ?? plain_entry(instance), least: least_of(schema) };
}

function add_wishes(
  config: Config,
  found: Wish[],
  name: string,
  policy: PolicyTexts,
  check: Check,
  record: RouteRecord,
  instance: Instance,
): void {
  for (const address of instance.addresses ?? [instance.host]) {
    const identity = identity_of(instance, address);
    const { check_status, check_body, check_timeout } = policy;
    const key = `${identity} ${check.label} ${check_status ?? ""} ${check_timeout ?? ""} ${check_body ?? ""}`;
    const patient = {
      identity,
      address: bracketed(address),
      port: instance.port,
      tls: instance.tls,
      server_name: server_name_of(name, instance),
      host: told_host(policy, name, instance),
    };
    found.push({
      wanted: { key, patient, check },
      ends: end_of(config, instance),
      mark: mark_of(name, record, instance),
      is_marked: instance.dead === true,
    });
  }
}

/**
 * @param text what the record was decoded from
 * @returns undefined: the route wants none
 */
function wishes_of(config: Config, name: string, text: string, record: RouteRecord): Wishes | undefined {
  const { policy } = record.options;
  const check = check_of(policy);
  if (policy === undefined || check === undefined) {
    return undefined;
  }
  const list: Wish[] = [];
  for (const instance of record.instances) {
    add_wishes(config, list, name, policy, check, record, instance);
  }
  return { text, always: check.always, list };
}

export { wishes_of };
