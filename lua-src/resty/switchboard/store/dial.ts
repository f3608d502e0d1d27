/** One connection to one address: from the worker's pool, or made anew with TLS, AUTH and SELECT. */

import { Config } from "../config";
import { parse_ip } from "../net/address";
import { bracketed } from "../net/nameserver";
import { show } from "./certificate";
import { explain, redact } from "./refusal";
import { Command, create, error_of, expect, is_drained, read, Reply, send, Wire } from "./wire";

export interface Connection {
  wire: Wire;
  /** It was used before: the server may have closed it since. */
  reused: boolean;
}

/** Whom to connect to, and as whom. */
export interface Endpoint {
  /** An IP address, or `unix:` and a path. */
  address: string;
  /** 0 for a unix socket. */
  port: number;
  tls: boolean;
  /** How it was named: its certificate must say the same. */
  host: string;
  user: string | undefined;
  password: string | undefined;
  db: number;
  /** Connections of one pool can take each other's place. */
  pool: string;
}

type Opened = LuaMultiReturn<[Connection, undefined] | [undefined, string]>;
/** A reply; or nil, why there is none, and whether the connection is of no further use. */
export type Said = LuaMultiReturn<[Reply, undefined, undefined] | [undefined, string, boolean]>;

/** Milliseconds that an idle connection is kept. */
const KEPT_FOR = 60000;
/**
 * Connections a worker has to one server; who wants more waits in line. A flood of made-up hosts would
 * otherwise open one for each, which costs Redis more than the questions, and its `maxclients` in the end.
 */
const MOST_CONNECTIONS = 64;
/** Those in line. Their number is bounded by the requests of a worker. */
const MOST_IN_LINE = 65536;
/**
 * Bytes that one answer may take: some 50,000 instances. So a Redis that sends without end costs a worker no more than
 * this for each of its connections.
 */
const MOST_BYTES = 4194304;
/** The same of an answer to a single question, about the connection itself. */
const A_FEW_BYTES = 65536;
/** ngx_lua takes 0 for "no timeout at all". */
const SHORTEST_WAIT = 1;
const TRUST = "(name its CA by lua_ssl_trusted_certificate in http {}, or set redis_tls_verify=off)";
const WANTS_OURS =
  "TLS: the server broke off after the handshake (it may want a certificate of this node that it trusts: redis_tls_cert, redis_tls_key)";
const UNKNOWN_CA = [
  "unable to get local issuer certificate",
  "self-signed certificate",
  "self signed certificate",
];

/** Sends commands in one go; each has a reply to be read. Yields. */
function say(connection: Connection, commands: Command[], deadline: number): string | undefined {
  expect(connection.wire, deadline, MOST_BYTES);
  return send(connection.wire, commands);
}

/** Asks one small thing. Yields. */
function ask(connection: Connection, command: Command, deadline: number): Said {
  expect(connection.wire, deadline, A_FEW_BYTES);
  const unsent = send(connection.wire, [command]);
  if (unsent !== undefined) {
    return $multi(undefined, unsent, true);
  }
  const [reply, err] = read(connection.wire);
  if (reply === undefined) {
    return $multi(undefined, err, true);
  }
  const refused = error_of(reply);
  if (refused !== undefined) {
    return $multi(undefined, refused, false);
  }
  return $multi(reply, undefined, undefined);
}

function shake_hands(socket: NgxTcpSocket, config: Config, endpoint: Endpoint): string | undefined {
  const unset = show(socket);
  if (unset !== undefined) {
    return `TLS: ${unset}`;
  }
  // nginx does not compare addresses: of who has no name a certificate of a trusted authority is enough.
  const name = config.redis_tls_name ?? (parse_ip(endpoint.host) === undefined ? endpoint.host : undefined);
  const [ok, err] = socket.sslhandshake(false, name, config.redis_tls_verify);
  if (ok !== undefined) {
    // ngx_lua says true to a handshake that is through at once, also when it has just refused the
    // certificate; that it closed the connection for it is all there is to see.
    const [alive] = socket.getreusedtimes();
    return alive !== undefined ? undefined : `TLS: the certificate of the server was refused ${TRUST}`;
  }
  for (const sign of UNKNOWN_CA) {
    if (string.find(err, sign, 1, true)[0] !== undefined) {
      return `TLS: ${err} ${TRUST}`;
    }
  }
  return `TLS: ${err}`;
}

/** The server judges our certificate after the handshake: whatever it answers now, it has taken it. */
function is_let_in(connection: Connection, deadline: number): string | undefined {
  const [reply, err, broke] = ask(connection, ["PING"], deadline);
  return reply === undefined && broke ? (err === "timeout" ? err : `${WANTS_OURS}: ${err}`) : undefined;
}

function log_in(connection: Connection, endpoint: Endpoint, deadline: number): string | undefined {
  const { user, password, db } = endpoint;
  if (password !== undefined) {
    const words = user !== undefined ? ["AUTH", user, password] : ["AUTH", password];
    const [answer, err] = ask(connection, words, deadline);
    if (answer === undefined) {
      return explain(redact(err, password));
    }
  }
  if (db !== 0) {
    const [answer, err] = ask(connection, ["SELECT", db], deadline);
    if (answer === undefined) {
      return explain(err);
    }
  }
  return undefined;
}

/** Makes a fresh connection usable. */
function prepare(
  connection: Connection,
  config: Config,
  endpoint: Endpoint,
  deadline: number,
): string | undefined {
  if (endpoint.tls) {
    const refused = shake_hands(connection.wire.socket, config, endpoint);
    const shut_out = refused ?? is_let_in(connection, deadline);
    if (shut_out !== undefined) {
      return shut_out;
    }
  }
  return log_in(connection, endpoint, deadline);
}

/**
 * A connection that is ready for commands. Yields.
 *
 * @param deadline ngx.now() until which it must be there
 * @param alone a new one outside of the pool, for who keeps it for long; `discard` it, never `keep` it
 * @returns nil and why not, without secrets
 */
function dial(config: Config, endpoint: Endpoint, deadline: number, alone: boolean): Opened {
  const { address, port } = endpoint;
  const socket = ngx.socket.tcp();
  socket.settimeout(math.max(SHORTEST_WAIT, math.floor((deadline - ngx.now()) * 1000)));
  const pool = `${endpoint.pool} ${address} ${port}`;
  const options = alone
    ? { pool: `${pool} alone` }
    : { pool, pool_size: MOST_CONNECTIONS, backlog: MOST_IN_LINE };
  const [reached, problem] =
    port === 0 ? socket.connect(address, options) : socket.connect(bracketed(address), port, options);
  if (reached === undefined) {
    return $multi(undefined, problem);
  }
  const [times] = socket.getreusedtimes();
  const connection: Connection = { wire: create(socket), reused: times !== undefined && times > 0 };
  const refused = connection.reused ? undefined : prepare(connection, config, endpoint, deadline);
  if (refused !== undefined) {
    socket.close();
    return $multi(undefined, refused);
  }
  return $multi(connection, undefined);
}

/** Closes a connection on which something went wrong: what is still to come must not answer another question. */
function discard(connection: Connection): void {
  connection.wire.socket.close();
}

/** Gives a connection back, all of whose replies were read. */
function keep(connection: Connection): void {
  if (!is_drained(connection.wire)) {
    discard(connection);
    return;
  }
  const { socket } = connection.wire;
  const [kept] = socket.setkeepalive(KEPT_FOR, MOST_CONNECTIONS);
  if (kept === undefined) {
    // It was closed in the meantime; the next one is made anew.
    socket.close();
  }
}

export { ask, dial, discard, keep, say };
