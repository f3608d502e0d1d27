/**
 * Which server this node asks, of several that it could.
 *
 * What the watch hears is worth something only of the server that the loads read. So the worker that watches settles on
 * one, and all workers ask that one until it settles on another.
 */

import { Config } from "../config";
import { label_of, Place, RedisTarget } from "../config/redis_url";
import { parse_ip } from "../net/address";
import { resolve } from "../net/dns";
import { find_master, Word } from "./sentinel";

export interface Server {
  /** As the URL or a sentinel names it; empty for a unix socket. */
  host: string;
  /** An IP address, or `unix:` and a path. */
  address: string;
  /** 0 for a unix socket. */
  port: number;
  /** For messages. */
  label: string;
  /** The number of the fail-over that made it the master, where a sentinel says so. */
  term: number | undefined;
}

/** Keys end with the URL: after a reload with another one old and new workers live side by side. */
const SERVER = "store:server ";
const TERM = "store:term ";

let shared: NgxSharedDict | undefined = undefined;

/** @param dict in which the workers of the node agree; without one there is nothing to settle on */
function open_servers(dict: NgxSharedDict): void {
  shared = dict;
}

function server_at(config: Config, place: Place, address: string, term: number | undefined): Server {
  return { host: place.host, address, port: place.port, label: label_of(config.redis_url, place), term };
}

/** Of URLs that were looked at: the one server that there is to ask; false: there may be a choice. */
const alone = new LuaTable<RedisTarget, Server | false>();

function look_at(config: Config): Server | false {
  const { path, servers, master, label } = config.redis_url;
  if (path !== undefined) {
    return { host: "", address: `unix:${path}`, port: 0, label, term: undefined };
  }
  const first = servers[0]!;
  if (servers.length > 1 || master !== undefined || parse_ip(first.host) === undefined) {
    return false;
  }
  return server_at(config, first, first.host, undefined);
}

/** The one server that there is to ask; undefined: there may be a choice. */
function only_one(config: Config): Server | undefined {
  let one = alone.get(config.redis_url) as Server | false | undefined;
  if (one === undefined) {
    one = look_at(config);
    alone.set(config.redis_url, one);
  }
  return one !== false ? one : undefined;
}

/** The one that this node has settled on; undefined: on none yet. */
function settled(config: Config): Server | undefined {
  const only = only_one(config);
  if (only !== undefined || shared === undefined) {
    return only;
  }
  const [text] = shared.get(SERVER + config.redis_url.label);
  const [host, address, port] = string.match(tostring(text ?? ""), "^(%S+) (%S+) (%d+)$");
  return host !== undefined
    ? server_at(config, { host, port: tonumber(port)! }, address!, undefined)
    : undefined;
}

/** Has all workers ask this one. */
function settle_on(config: Config, server: Server): void {
  if (shared === undefined || only_one(config) !== undefined) {
    return;
  }
  shared.set(SERVER + config.redis_url.label, `${server.host} ${server.address} ${server.port}`);
  if (server.term !== undefined) {
    shared.set(TERM + config.redis_url.label, server.term);
  }
}

function is_same(one: Server | undefined, other: Server): boolean {
  return one !== undefined && one.address === other.address && one.port === other.port;
}

/** The number of the master's last fail-over that this node has followed. */
function last_term(config: Config): number {
  if (shared === undefined) {
    return 0;
  }
  const [term] = shared.get(TERM + config.redis_url.label);
  return (term as number | undefined) ?? 0;
}

function is_outdated(word: Word, term: number): boolean {
  return word.term !== undefined && word.term < term;
}

/** The servers that can be asked, best first. Asks sentinels and the resolver. Yields. */
function candidates(
  config: Config,
  deadline: number,
): LuaMultiReturn<[Server[], undefined] | [undefined, string]> {
  const only = only_one(config);
  if (only !== undefined) {
    return $multi([only], undefined);
  }
  const found: Server[] = [];
  const problems: string[] = [];
  let places = config.redis_url.servers;
  let term: number | undefined = undefined;
  if (config.redis_url.master !== undefined) {
    const last = last_term(config);
    const [word, silent] = find_master(config, deadline, last);
    const known = settled(config);
    if (known !== undefined && (word === undefined || is_outdated(word, last))) {
      found.push(known);
    }
    if (word === undefined) {
      problems.push(silent);
    }
    places = word !== undefined ? [word.master] : [];
    term = word?.term;
  }
  for (const place of places) {
    const [addresses, unresolved] = resolve(place.host, config, deadline);
    if (addresses === undefined) {
      problems.push(unresolved);
    }
    // Of a name with IPv4 and IPv6 often one is listened on.
    for (const address of addresses ?? []) {
      found.push(server_at(config, place, address, term));
    }
  }
  if (found.length > 0) {
    return $multi(found, undefined);
  }
  return $multi(undefined, table.concat(problems, ", "));
}

/** Whether the sentinels name another master than the one that this node has settled on. Yields. */
function has_moved(config: Config, deadline: number): boolean {
  const known = settled(config);
  if (config.redis_url.master === undefined || known === undefined) {
    return false;
  }
  const last = last_term(config);
  const [word] = find_master(config, deadline, last);
  return (
    word !== undefined &&
    !is_outdated(word, last) &&
    (word.master.host !== known.host || word.master.port !== known.port)
  );
}

export { candidates, has_moved, is_same, open_servers, settle_on, settled };
