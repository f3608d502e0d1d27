/** One connection to Redis: from the worker's pool, or made anew with TLS, AUTH and SELECT. */

import * as redis from "resty.redis";
import { Redis, RedisCommand } from "resty.redis";
import { Config } from "../config";
import { parse_ip } from "../net/address";
import { resolve } from "../net/dns";
import { bracketed } from "../net/nameserver";
import { explain, redact } from "./refusal";
import { RedisTarget } from "../config/redis_url";

export interface Connection {
  client: Redis;
  /** It was used before: the server may have closed it since. */
  reused: boolean;
}

type Opened = LuaMultiReturn<[Connection, undefined] | [undefined, string]>;

/** Milliseconds that an idle connection is kept. */
const KEPT_FOR = 60000;
/**
 * Connections a worker has to one server; who wants more waits in line. A flood of made-up hosts would
 * otherwise open one for each, which costs Redis more than the questions, and its `maxclients` in the end.
 */
const MOST_CONNECTIONS = 64;
/** Those in line. Their number is bounded by the requests of a worker. */
const MOST_IN_LINE = 65536;
/** ngx_lua takes 0 for "no timeout at all". */
const SHORTEST_WAIT = 1;
const TRUST = "(name its CA by lua_ssl_trusted_certificate in http {}, or set redis_tls_verify=off)";
const UNKNOWN_CA = [
  "unable to get local issuer certificate",
  "self-signed certificate",
  "self signed certificate",
];

/** From now on each wait for Redis ends at the deadline. */
function wait_until(client: Redis, deadline: number): void {
  client.set_timeout(math.max(SHORTEST_WAIT, math.floor((deadline - ngx.now()) * 1000)));
}

/** Calls one command, by its lower-case name. */
function call(
  client: Redis,
  name: string,
  ...words: (string | number)[]
): LuaMultiReturn<[unknown, string | undefined]> {
  const command = client[name] as RedisCommand;
  return command(client, ...words);
}

function shake_hands(client: Redis, config: Config): string | undefined {
  const host = config.redis_url.host;
  const server_name = parse_ip(host) === undefined ? host : undefined;
  const [ok, err] = client._sock.sslhandshake(false, server_name, config.redis_tls_verify);
  if (ok !== undefined) {
    // ngx_lua says true to a handshake that is through at once, also when it has just refused the
    // certificate; that it closed the connection for it is all there is to see.
    const [alive] = client.get_reused_times();
    return alive !== undefined ? undefined : `TLS: the certificate of the server was refused ${TRUST}`;
  }
  for (const sign of UNKNOWN_CA) {
    if (string.find(err, sign, 1, true)[0] !== undefined) {
      return `TLS: ${err} ${TRUST}`;
    }
  }
  return `TLS: ${err}`;
}

function is_refused(answer: unknown): boolean {
  return answer === undefined || answer === false;
}

function authenticate(
  client: Redis,
  user: string | undefined,
  password: string,
): LuaMultiReturn<[unknown, string | undefined]> {
  if (user !== undefined) {
    return call(client, "auth", user, password);
  }
  return call(client, "auth", password);
}

function log_in(client: Redis, target: RedisTarget): string | undefined {
  if (target.password !== undefined) {
    const [answer, err] = authenticate(client, target.user, target.password);
    if (is_refused(answer)) {
      return explain(redact(err!, target.password));
    }
  }
  if (target.db !== 0) {
    const [answer, err] = call(client, "select", target.db);
    if (is_refused(answer)) {
      return explain(err!);
    }
  }
  return undefined;
}

/** Makes a fresh connection usable; a pooled one is already. */
function prepare(client: Redis, config: Config, deadline: number): Opened {
  const [times] = client.get_reused_times();
  if (times !== undefined && times > 0) {
    return $multi({ client, reused: true }, undefined);
  }
  wait_until(client, deadline);
  let refused = config.redis_url.tls ? shake_hands(client, config) : undefined;
  refused = refused ?? log_in(client, config.redis_url);
  if (refused !== undefined) {
    client.close();
    return $multi(undefined, refused);
  }
  return $multi({ client, reused: false }, undefined);
}

/**
 * @param address of the server; undefined for its unix socket
 * @param alone see `open`
 */
function connect(config: Config, address: string | undefined, deadline: number, alone: boolean): Opened {
  const target = config.redis_url;
  const [client, err] = redis.new();
  if (client === undefined) {
    return $multi(undefined, err);
  }
  wait_until(client, deadline);
  const shared = { pool: target.pool, pool_size: MOST_CONNECTIONS, backlog: MOST_IN_LINE };
  const options = alone ? { pool: `${target.pool} alone` } : shared;
  if (address === undefined) {
    const [reached, problem] = client.connect(`unix:${target.path!}`, options);
    if (reached === undefined) {
      return $multi(undefined, problem);
    }
  } else {
    const [reached, problem] = client.connect(bracketed(address), target.port, options);
    if (reached === undefined) {
      return $multi(undefined, problem);
    }
  }
  return prepare(client, config, deadline);
}

/** Tries each address of the server's name in turn: of a name with IPv4 and IPv6 often one is listened on. */
function connect_by_name(config: Config, deadline: number, alone: boolean): Opened {
  const [addresses, unresolved] = resolve(config.redis_url.host, config, deadline);
  if (addresses === undefined) {
    return $multi(undefined, unresolved);
  }
  const problems: string[] = [];
  for (const i of $range(1, addresses.length)) {
    // A silent address must leave time for those behind it.
    const now = ngx.now();
    const share = now + (deadline - now) / (addresses.length - i + 1);
    const [connection, err] = connect(config, addresses[i - 1]!, share, alone);
    if (connection !== undefined) {
      return $multi(connection, undefined);
    }
    problems.push(addresses.length > 1 ? `${addresses[i - 1]}: ${err}` : err);
  }
  return $multi(undefined, table.concat(problems, ", "));
}

/**
 * A connection that is ready for commands. Yields.
 *
 * @param deadline ngx.now() until which it must be there
 * @param alone a new one outside of the pool, for who keeps it for long; `discard` it, never `keep` it
 * @returns nil and why not, without secrets
 */
function open(config: Config, deadline: number, alone = false): Opened {
  if (config.redis_url.path !== undefined) {
    return connect(config, undefined, deadline, alone);
  }
  return connect_by_name(config, deadline, alone);
}

/** Gives a connection back, all of whose replies were read. */
function keep(connection: Connection): void {
  const [kept] = connection.client.set_keepalive(KEPT_FOR, MOST_CONNECTIONS);
  if (kept === undefined) {
    // It was closed in the meantime; the next one is made anew.
    connection.client.close();
  }
}

/** Closes a connection on which something went wrong: what is still to come must not answer another question. */
function discard(connection: Connection): void {
  connection.client.close();
}

export { call, discard, keep, open, wait_until };
