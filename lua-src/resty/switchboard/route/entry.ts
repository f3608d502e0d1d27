/** A route made ready for requests: what the balancer needs, and nothing that must be parsed again. */

import { absent } from "../absent";
import { Budget, create as create_budget } from "../balance/budget";
import { state_of } from "../balance/instances";
import { Peer } from "../balance/peer";
import { Pool } from "../balance/pool";
import { Config } from "../config";
import { Tally } from "../observe/tally";
import { SchemaName } from "../schema/layout";
import { address_of, Instance, plain_entry, RouteOptions, RouteRecord } from "../schema/record";
import { profile_of } from "../schema/scope";
import { parse_split } from "../schema/split";
import { Choice, make_balancing } from "./balancing";
import { encode } from "./codec";
import { create as create_paths, Paths } from "./path";
import { make_policy, Policy } from "./policy";
import { create as create_split, Split } from "./split";

/** Seconds. */
export interface Timeouts {
  connect: number;
  send: number;
  read: number;
  /** Of all tries together; math.huge: none. */
  deadline: number;
}

export interface Entry {
  name: string;
  /** What was counted of it lately; undefined: nothing yet. */
  tally: Tally | undefined;
  /** False once a newer version is known: whoever holds it must look again. */
  valid: boolean;
  /** The text it was compiled from. */
  text: string;
  /** ngx.now() when Redis was asked last for what it says. */
  loaded: number;
  /** Instances that take new requests; undefined with `refusal` set. */
  pool: Pool | undefined;
  /** What else the choice of an instance looks at; undefined: nothing, the pool is asked straight. */
  choice: Choice | undefined;
  /** Why no instance takes requests, but for those with the cookie of one that rests. */
  refusal: "unknown_route" | "no_instances" | "name_unresolved" | "all_dead" | undefined;
  /** What takes an instance out for a while: failed tries, or an app's 5xx too. */
  ejects: "off" | "failures" | "5xx";
  /** The layout that it stands in; undefined: native. */
  schema: SchemaName | undefined;
  /** The path prefixes that are routes of their own; undefined: none. */
  paths: Paths | undefined;
  /** The pools that share its requests; undefined: it has instances of its own. */
  split: Split | undefined;
  /** It has `paths` or a `split`: others skip both with one look. */
  leads_on: boolean;
  /** What it does with a request beside choosing an instance; undefined: nothing, as almost every route. */
  policy: Policy | undefined;
  /** A path without instances leaves its requests to the next shorter prefix. */
  falls_through: boolean;
  /** Most tries for one request. */
  tries: number;
  /** What bounds the retries of all its requests; handed on to the next version. */
  budget: Budget;
  /** Timeouts of a try, seconds, when they are not those of the conf. */
  timeouts: Timeouts | undefined;
  /** Unix seconds at which the next heart-beating instance ends; math.huge: none does. */
  expires: number;
  /** What became of instances whose time was over; undefined: there was none. */
  lapsed: "dropped" | "kept" | undefined;
}

const DEFAULT_TRIES = 3;

/** Seconds that handlers.conf and nginx's defaults give a try. What equals them costs no call per try. */
const CONF_CONNECT_TIMEOUT = 3;
const CONF_SEND_TIMEOUT = 60;
const CONF_READ_TIMEOUT = 60;

/** Undefined: those of the conf. */
function timeouts_of(config: Config, options: RouteOptions): Timeouts | undefined {
  const connect = options.connect_timeout ?? config.connect_timeout;
  const send = options.send_timeout ?? config.send_timeout;
  const read = options.read_timeout ?? config.read_timeout;
  const deadline = options.deadline ?? config.deadline;
  if (
    connect === CONF_CONNECT_TIMEOUT &&
    send === CONF_SEND_TIMEOUT &&
    read === CONF_READ_TIMEOUT &&
    deadline === 0
  ) {
    return undefined;
  }
  return { connect, send, read, deadline: deadline > 0 ? deadline : math.huge };
}

interface Peers {
  list: Peer[];
  identities: LuaSet<string>;
  /** How many take requests without a cookie. */
  takers: number;
}

/** An address as it stands before a port: nginx takes an IPv6 peer in brackets only. */
function bracketed(address: string): string {
  return string.find(address, ":", 1, true)[0] !== undefined ? `[${address}]` : address;
}

/** `http://10.0.0.5:8080`: what an instance is known by, under one of its addresses. */
function identity_of(instance: Instance, address: string): string {
  return `${instance.tls ? "https" : "http"}://${bracketed(address)}:${instance.port}`;
}

/** Two names that resolve to one address are one instance: it must not get two shares. */
function add_peer(
  peers: Peers,
  instance: Instance,
  address: string,
  named: boolean,
  entry: string | undefined,
): void {
  const identity = identity_of(instance, address);
  if (peers.identities.has(identity)) {
    return;
  }
  peers.identities.add(identity);
  const resting = instance.drain || instance.weight === 0;
  peers.takers += resting ? 0 : 1;
  peers.list.push({
    address: bracketed(address),
    port: instance.port,
    tls: instance.tls,
    entry,
    server_name: instance.tls && named ? instance.host : undefined,
    weight: instance.weight,
    zone: instance.zone,
    backup: instance.backup === true,
    resting,
    state: state_of(identity),
    share: 1,
    credit: 0,
    joined_at: 0,
  });
}

function add_peers(peers: Peers, instance: Instance, schema: SchemaName | undefined): void {
  const entry =
    schema === "hipache" || schema === "planb" ? (instance.entry ?? plain_entry(instance)) : undefined;
  if (instance.addresses === undefined) {
    add_peer(peers, instance, instance.host, false, entry);
  } else {
    for (const address of instance.addresses) {
      add_peer(peers, instance, address, true, entry);
    }
  }
}

/** Whether no instance that takes requests is alive by the marks of others. */
function all_are_dead(record: RouteRecord): boolean {
  let dead = false;
  for (const instance of record.instances) {
    if (instance.dead === true) {
      dead = true;
    } else if (!instance.drain && instance.weight > 0) {
      return false;
    }
  }
  return dead;
}

/** Seconds at which an instance ends; math.huge: never. */
function end_of(config: Config, instance: Instance): number {
  return instance.until !== undefined ? instance.until + config.clock_slack : math.huge;
}

/** Users of the other routers expect their answer where all are dead; a site of our own does better with a try. */
function believes_marks(config: Config, name: string, record: RouteRecord): boolean {
  return !all_are_dead(record) || profile_of(config.schema, name) !== "native";
}

/**
 * Why an instance of the record is no peer; undefined: it is one.
 *
 * @param expire false while Redis cannot be reached
 * @param believes what `believes_marks` says
 */
function left_out(
  config: Config,
  instance: Instance,
  now: number,
  expire: boolean,
  believes: boolean,
): "lapsed" | "dead" | undefined {
  if (expire && end_of(config, instance) <= now) {
    return "lapsed";
  }
  return instance.dead === true && believes ? "dead" : undefined;
}

/**
 * @param text what the record was decoded from
 * @param now Unix seconds
 * @param expire false while Redis cannot be reached: then no heart-beat is missed, it is only unheard
 * @param previous the entry that this one replaces; its rotation goes on
 */
function compile(
  config: Config,
  name: string,
  text: string,
  record: RouteRecord,
  now: number,
  expire: boolean,
  previous: Entry | undefined,
): Entry {
  const peers: Peers = { list: [], identities: new LuaSet(), takers: 0 };
  const dead = all_are_dead(record);
  const believes = believes_marks(config, name, record);
  let unresolved = false;
  let expires = math.huge;
  let lapsed: Entry["lapsed"] = undefined;
  for (const instance of record.instances) {
    const ends = end_of(config, instance);
    if (ends > now) {
      expires = math.min(expires, ends);
    } else {
      lapsed = expire ? "dropped" : "kept";
    }
    if (left_out(config, instance, now, expire, believes) === undefined) {
      unresolved = unresolved || (instance.addresses !== undefined && instance.addresses.length === 0);
      add_peers(peers, instance, record.schema);
    }
  }
  const count = peers.takers;
  const options = record.options;
  const wanted = options.tries ?? (config.tries > 0 ? config.tries : DEFAULT_TRIES);
  let refusal: Entry["refusal"] = undefined;
  if (count === 0) {
    refusal = record.paths_only
      ? "unknown_route"
      : dead
        ? "all_dead"
        : unresolved
          ? "name_unresolved"
          : "no_instances";
  }
  const policy = make_policy(options.policy, name);
  const { pool, choice } = make_balancing(
    config,
    name,
    options,
    (policy?.limits?.max_conns ?? 0) > 0,
    peers.list,
    count,
    previous?.pool,
    ngx.now(),
  );
  const [shares] = parse_split(options.split ?? "");
  const split = shares !== undefined ? create_split(name, shares, options.split_cookie) : undefined;
  return {
    name,
    tally: absent,
    valid: true,
    text,
    loaded: now,
    pool,
    choice,
    refusal,
    ejects: (options.policy?.eject as Entry["ejects"] | undefined) ?? config.eject,
    schema: record.schema,
    paths: record.paths !== undefined ? create_paths(name, record.paths) : undefined,
    split,
    leads_on: record.paths !== undefined || split !== undefined,
    policy,
    falls_through: options.fallthrough === true,
    tries: math.min(wanted, math.max(1, count)),
    budget: previous?.budget ?? create_budget(ngx.now()),
    timeouts: timeouts_of(config, options),
    expires,
    lapsed,
  };
}

/** For messages: how many instances stand in the record, and what takes none of them requests. */
function describe(record: RouteRecord): string {
  const words: string[] = [];
  for (const instance of record.instances) {
    const state = instance.drain || instance.weight === 0 ? " drains" : "";
    const unresolved =
      instance.addresses !== undefined && instance.addresses.length === 0 ? " unresolved" : "";
    words.push(`${address_of(instance)}${state}${unresolved}`);
  }
  return words.length > 0 ? table.concat(words, ", ") : "no members";
}

/**
 * The route of a listed path of which Redis has nothing else: without instances, under the options of its host, with
 * which it is counted.
 */
function compile_empty_path(host: Entry, name: string): Entry {
  const entry = {} as LuaTable<keyof Entry, unknown> & Entry;
  for (const [field, value] of pairs(host as unknown as LuaTable<keyof Entry, unknown>)) {
    entry.set(field, value);
  }
  entry.name = name;
  entry.text = encode({ paths_only: false, instances: [], options: {}, problems: [] });
  entry.pool = undefined;
  entry.choice = undefined;
  entry.split = undefined;
  entry.refusal = "no_instances";
  return entry;
}

export { believes_marks, compile, compile_empty_path, describe, end_of, identity_of, left_out };
