/** What a route does with a request beside choosing its instance, made ready from `schema/policy`'s texts. */

import { parse_boolean, parse_list, parse_size, parse_time } from "../config/grammar";
import { Cidr, contains, parse_cidr } from "../net/address";
import { OPTIONS as CHECK_OPTIONS } from "../schema/check";
import {
  header_of,
  parse_hsts,
  parse_retry_on,
  PolicyTexts,
  REQUEST_HEADER,
  RESPONSE_HEADER,
} from "../schema/policy";
import { prefix_of } from "../schema/within";
import { Limits, make_limits } from "./limits";

/** Seconds that a client is told to wait for the end of a maintenance. */
const RETRY_AFTER = 60;
/** Addresses whose verdict a worker remembers per route; then it begins anew. */
const MOST_VERDICTS = 1000;

/** A header to set; without a value, to remove. A list of links, whose first one needs no loop. */
export interface HeaderChange {
  name: string;
  value: string | undefined;
  next: HeaderChange | undefined;
}

/** Who may come in. */
export interface Gate {
  /** Undefined: everybody who is not denied. */
  allow: Cidr[] | undefined;
  deny: Cidr[];
  /** By address as nginx writes it: looking through ranges costs more than all else of a request. */
  verdicts: LuaTable<string, boolean>;
  verdict_count: number;
}

export interface Policy {
  gate: Gate | undefined;
  https_redirect: boolean;
  /** What a client that came by TLS is told to remember; undefined: nothing. */
  hsts: string | undefined;
  /** What clients are told while nobody is served; empty: the router's own words. Undefined: the route is served. */
  maintenance: string | undefined;
  /** Seconds. */
  retry_after: number;
  /** Bytes; undefined: any. */
  max_body: number | undefined;
  /** The path prefix that the app does not see; undefined: it sees the path as it came. */
  prefix: string | undefined;
  /** The Host that the app sees; undefined: the one that came. */
  host: string | undefined;
  /** The app sees the address of the instance as Host. */
  host_of_instance: boolean;
  request_headers: HeaderChange | undefined;
  response_headers: HeaderChange | undefined;
  /** Statuses of an app after which another instance is tried, joined by `_`; undefined: none. */
  retry_on: string | undefined;
  /** Undefined: any number of requests may run. */
  limits: Limits | undefined;
}

function is_on(text: string | undefined): boolean {
  return text !== undefined && parse_boolean(text)[0] === true;
}

/** The good ones of a list of ranges. */
function ranges_of(text: string): Cidr[] {
  const ranges: Cidr[] = [];
  for (const word of parse_list(text)[0] ?? []) {
    const [range] = parse_cidr(word);
    if (range !== undefined) {
      ranges.push(range);
    }
  }
  return ranges;
}

function gate_of(texts: PolicyTexts): Gate | undefined {
  const allow = texts.allow_ips;
  const deny = texts.deny_ips;
  if (allow === undefined && deny === undefined) {
    return undefined;
  }
  return {
    allow: allow !== undefined ? ranges_of(allow) : undefined,
    deny: ranges_of(deny ?? ""),
    verdicts: new LuaTable(),
    verdict_count: 0,
  };
}

function non_empty(text: string | undefined): string | undefined {
  return text !== undefined && text !== "" ? text : undefined;
}

function headers_of(texts: PolicyTexts, start: string): HeaderChange | undefined {
  const options: string[] = [];
  for (const [option] of pairs(texts)) {
    if (header_of(option, start) !== undefined) {
      options.push(option);
    }
  }
  table.sort(options);
  let first: HeaderChange | undefined = undefined;
  for (const i of $range(options.length - 1, 0, -1)) {
    const option = options[i]!;
    first = { name: header_of(option, start)!, value: non_empty(texts[option]), next: first };
  }
  return first;
}

function maintenance_of(text: string | undefined): string | undefined {
  if (text === undefined || parse_boolean(text)[0] === false) {
    return undefined;
  }
  return is_on(text) ? "" : text;
}

/** Options that stand with these, and are no matter of the request's. */
const OF_INSTANCES = new LuaSet<string>();
OF_INSTANCES.add("eject");
for (const name of CHECK_OPTIONS) {
  OF_INSTANCES.add(name);
}

function is_of_instances_alone(texts: PolicyTexts): boolean {
  for (const [name] of pairs(texts)) {
    if (!OF_INSTANCES.has(name)) {
      return false;
    }
  }
  return true;
}

/**
 * @param texts the route's good options; undefined: it has none
 * @param name of the route
 */
function make_policy(texts: PolicyTexts | undefined, name: string): Policy | undefined {
  if (texts === undefined || is_of_instances_alone(texts)) {
    return undefined;
  }
  const host = texts.host_header;
  const max_body = texts.max_body !== undefined ? parse_size(texts.max_body)[0] : undefined;
  return {
    gate: gate_of(texts),
    https_redirect: is_on(texts.https_redirect),
    hsts: non_empty(texts.hsts !== undefined ? parse_hsts(texts.hsts)[0] : undefined),
    maintenance: maintenance_of(texts.maintenance),
    retry_after:
      (texts.retry_after !== undefined ? parse_time(texts.retry_after)[0] : undefined) ?? RETRY_AFTER,
    max_body,
    prefix: is_on(texts.strip_prefix) ? prefix_of(name) : undefined,
    host: host !== "preserve" && host !== "upstream" ? host : undefined,
    host_of_instance: host === "upstream",
    request_headers: headers_of(texts, REQUEST_HEADER),
    response_headers: headers_of(texts, RESPONSE_HEADER),
    retry_on: non_empty(texts.retry_on !== undefined ? parse_retry_on(texts.retry_on)[0] : undefined),
    limits: make_limits(texts),
  };
}

/** Whether a client may come in. */
function lets_in(gate: Gate, address: string): boolean {
  const known = gate.verdicts.get(address) as boolean | undefined;
  if (known !== undefined) {
    return known;
  }
  const verdict =
    !contains(gate.deny, address) && (gate.allow === undefined || contains(gate.allow, address));
  if (gate.verdict_count >= MOST_VERDICTS) {
    gate.verdicts = new LuaTable();
    gate.verdict_count = 0;
  }
  gate.verdicts.set(address, verdict);
  gate.verdict_count += 1;
  return verdict;
}

export { lets_in, make_policy };
