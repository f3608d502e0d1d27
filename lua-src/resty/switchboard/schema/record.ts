/** What a schema makes of Redis replies: plain data, validated, free of the layout it came from. */

import { SchemaName } from "./layout";
import { PolicyTexts } from "./policy";
import { Words } from "./replies";

/** One instance of a route. Its identity is `scheme://host:port`; attributes never make another one. */
export interface Instance {
  /** `https://` in the member. */
  tls: boolean;
  /** IPv4, IPv6 without brackets, or a lower-case DNS name. */
  host: string;
  port: number;
  /** 0 to 65535; 0 takes no new requests. */
  weight: number;
  drain: boolean;
  /** Takes requests only while no other instance can. Undefined: false. */
  backup?: boolean;
  zone?: string;
  id?: string;
  /** Unix seconds until which a heart-beating instance counts; undefined: for ever. */
  until?: number;
  /** Dead by the marks that routers of other kinds share. Undefined: alive. */
  dead?: boolean;
  /** The entry as it stands in Redis, where it is not plainly scheme, host and port: marks name it. */
  entry?: string;
  /** Addresses of a DNS name, sorted; undefined for an IP address. Empty: it could not be resolved. */
  addresses?: string[];
}

/** The options of a route that have a good value. Undefined: the module's default. */
export interface RouteOptions {
  pool?: string;
  connect_timeout?: number;
  send_timeout?: number;
  read_timeout?: number;
  deadline?: number;
  tries?: number;
  /** As it was written: `config/balance`. */
  balance?: string;
  /** How many times the average load an instance may have with `hash`. */
  hash_bound?: number;
  /** The name of the session cookie. */
  sticky?: string;
  sticky_max_age?: number;
  slow_start?: number;
  prefer_zone?: boolean;
  /** Of a path: without an instance its requests go to the next shorter prefix, or to the host. */
  fallthrough?: boolean;
  /** As it was written: `schema/split`. The instances come from these pools. */
  split?: string;
  /** The name of the cookie that keeps a client at its pool. */
  split_cookie?: string;
  /** What it does with a request beside choosing an instance, as it was written: `schema/policy`. */
  policy?: PolicyTexts;
  /** `meta.<key>` by key: shown, never interpreted. */
  meta?: Record<string, string>;
}

/** A value that was skipped, for the operator. */
export interface Problem {
  key: string;
  value: string;
  reason: string;
}

/** The type of the key that holds the instances, once one was seen. */
export type Kind = "set" | "zset";

export interface RouteRecord {
  /** The layout that it stands in; undefined: native. */
  schema?: SchemaName;
  /** Only options and paths stand in native keys: instances may stand in another layout. Not kept. */
  options_only?: boolean;
  /** Indexes that are marked dead, and the entries that stood there when they were: `schema/dead`. */
  marks?: Record<string, string>;
  /** The entries of a list, in its order. Not kept. */
  entries?: string[];
  /** Marks of a name that has no list of its own: its pattern's is meant. Nothing else is known then. Not kept. */
  marks_alone?: Words;
  /** The pattern whose route this is but for marks of its own. */
  under?: string;
  kind?: Kind;
  /** Known only through its `paths:` key: its own `/` is nobody's. */
  paths_only: boolean;
  /** Path prefixes of the host that are routes of their own, sorted; undefined: none. */
  paths?: string[];
  /** Sorted by identity, without duplicates. */
  instances: Instance[];
  options: RouteOptions;
  problems: Problem[];
}

/** The other name from which a route has its instances; undefined: they are its own. */
export function part_of(record: RouteRecord): string | undefined {
  return record.options.pool ?? record.under;
}

/** How hipache and planb write an instance, unless somebody wrote it otherwise. */
export function plain_entry(instance: Instance): string {
  return instance.tls ? address_of(instance) : `http://${address_of(instance)}`;
}

/** `scheme://host:port` of an instance, IPv6 in brackets; the part before `//` is left out for http. */
export function address_of(instance: Instance): string {
  const host =
    string.find(instance.host, ":", 1, true)[0] !== undefined ? `[${instance.host}]` : instance.host;
  return instance.tls ? `https://${host}:${instance.port}` : `${host}:${instance.port}`;
}
