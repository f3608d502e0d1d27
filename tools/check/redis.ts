/** The tool's connection to Redis: questions in batches, answers as bytes, and errors that name their remedy. */

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { Redis, type RedisOptions } from "ioredis";
import { Failure, type Value } from "./wire.ts";

/** Where Redis is, as the module's own option parser has it. */
export interface Target {
  /** The servers, best first; with `master` the sentinels. */
  servers: { host: string; port: number }[];
  master?: string;
  path?: string;
  tls: boolean;
  user?: string;
  password?: string;
  db: number;
  /** Without user and password. */
  label: string;
}

export interface Secure {
  /** Whether the certificate of a `rediss://` server is checked. */
  verify: boolean;
  /** What it must say instead of the name in the URL. */
  name?: string;
  /** A file of certificates to trust instead of the system's. */
  authority?: string;
  /** Files with the certificate to show, and its key. */
  cert?: string;
  key?: string;
}

/** As whom sentinels are asked. */
export interface SentinelUser {
  user?: string;
  /** Empty: none. */
  password: string;
}

/** The tool could not do its work; the message says what would help. */
export class CannotCheck extends Error {}

export type Command = (string | number)[];

/** A connected Redis. Texts are bytes: one character is one byte. */
export interface Store {
  /** Sends the commands in one go. An error reply is a Failure. */
  ask: (commands: Command[]) => Promise<Value[]>;
  /** The same as one transaction: nobody else's write comes between. */
  askAtOnce: (commands: Command[]) => Promise<Value[]>;
  close(): void;
}

const RIGHTS =
  "-@all +scan +dbsize +ping +select +multi +exec +exists +type and those of the README's ACL line";

/** What a message of Redis or of the system means to who typed the command. */
function remedy(message: string): string {
  if (/WRONGPASS|invalid username-password/.test(message)) {
    return "Redis refuses this user or password: check them in --redis, or in the variable SWITCHBOARD_REDIS_URL";
  }
  if (/NOAUTH/.test(message)) {
    return "Redis wants a password: redis://:password@host, or redis://user:password@host for an ACL user";
  }
  if (/NOPERM/.test(message)) {
    return `Redis refuses a command or key to this user: ${message}; it needs ${RIGHTS}`;
  }
  if (/DB index is out of range/.test(message)) {
    return "Redis has no such database: check the number at the end of the URL";
  }
  if (/LOADING|BUSY |MASTERDOWN/.test(message)) {
    return `Redis is not ready: ${message}; try again later`;
  }
  if (/MOVED|CROSSSLOT/.test(message)) {
    return `this is a Redis Cluster (${message}); check each of its servers by itself, with a key_format whose {name} is in braces`;
  }
  if (/certificate|self.signed|altnames/i.test(message)) {
    return `the server's certificate is not trusted (${message}): give its authority with --tls-ca <file>, or --tls-insecure to go on without`;
  }
  if (/EPROTO|wrong version number|packet length/i.test(message)) {
    return `no TLS is spoken there (${message}): is it redis:// instead of rediss://?`;
  }
  if (/ECONNREFUSED|ENOENT|EHOSTUNREACH|ENETUNREACH/.test(message)) {
    return `nobody listens there (${message}): check host and port, or the socket's path, in --redis`;
  }
  if (/ENOTFOUND|EAI_AGAIN/.test(message)) {
    return `its name does not resolve (${message}): check the host in --redis`;
  }
  if (/EACCES/.test(message)) {
    return `this user may not open the socket (${message})`;
  }
  if (/All sentinels are unreachable/.test(message)) {
    return `no sentinel names such a master (${message}): check the sentinels and the name behind them in --redis`;
  }
  if (/ETIMEDOUT|timed out|closed|ECONNRESET/i.test(message)) {
    return `it does not answer, or closed the connection (${message}): check that it is a Redis (rediss:// when it wants TLS), or give it more time with --timeout`;
  }
  return message;
}

function answer(reply: unknown): Value {
  if (Buffer.isBuffer(reply)) {
    return reply.toString("latin1");
  }
  if (reply instanceof Error) {
    return new Failure(reply.message);
  }
  if (Array.isArray(reply)) {
    return reply.map(answer);
  }
  return typeof reply === "number" || typeof reply === "string" ? reply : null;
}

/** @param option that names the file */
function fileOf(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (err) {
    throw new CannotCheck(`could not read the file that ${option} names: ${(err as Error).message}`);
  }
}

/** @param host that its certificate must name; undefined: not known before a sentinel says it */
function tlsOf(secure: Secure, host: string | undefined): NonNullable<RedisOptions["tls"]> {
  const name = secure.name ?? host;
  return {
    // RFC 6066: an address is no server name.
    ...(name !== undefined && isIP(name) === 0 ? { servername: name } : {}),
    rejectUnauthorized: secure.verify,
    ...(secure.authority === undefined ? {} : { ca: fileOf(secure.authority, "--tls-ca") }),
    ...(secure.cert === undefined ? {} : { cert: fileOf(secure.cert, "redis_tls_cert") }),
    ...(secure.key === undefined ? {} : { key: fileOf(secure.key, "redis_tls_key") }),
  };
}

/** The way to one of the servers, or by all sentinels to the master. */
function wayTo(
  target: Target,
  server: Target["servers"][number] | undefined,
  secure: Secure,
  sentinel: SentinelUser,
): RedisOptions {
  if (target.master !== undefined) {
    return {
      sentinels: target.servers,
      name: target.master,
      ...(sentinel.user === undefined ? {} : { sentinelUsername: sentinel.user }),
      ...(sentinel.password === "" ? {} : { sentinelPassword: sentinel.password }),
      sentinelRetryStrategy: () => null,
      ...(target.tls
        ? {
            enableTLSForSentinelMode: true,
            sentinelTLS: tlsOf(secure, undefined),
            tls: tlsOf(secure, undefined),
          }
        : {}),
    };
  }
  const where = server === undefined ? { path: target.path! } : { host: server.host, port: server.port };
  return { ...where, ...(target.tls ? { tls: tlsOf(secure, server?.host) } : {}) };
}

function optionsOf(target: Target, way: RedisOptions, timeout: number): RedisOptions {
  return {
    ...way,
    ...(target.user === undefined ? {} : { username: target.user }),
    ...(target.password === undefined ? {} : { password: target.password }),
    db: target.db,
    connectTimeout: timeout,
    commandTimeout: timeout,
    // RESP3 nests the pairs of ZRANGE; the router speaks RESP2.
    protocol: 2,
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  };
}

function readWays(target: Target, secure: Secure, sentinel: SentinelUser): RedisOptions[] {
  const servers = target.master === undefined && target.path === undefined ? target.servers : [undefined];
  return servers.map((server) => wayTo(target, server, secure, sentinel));
}

/**
 * Connects, to the first server that answers.
 *
 * @param timeout milliseconds for connecting and for each answer
 * @throws CannotCheck
 */
export async function connect(
  target: Target,
  secure: Secure,
  sentinel: SentinelUser,
  timeout: number,
): Promise<Store> {
  let last: unknown;
  for (const way of readWays(target, secure, sentinel)) {
    try {
      return await connectBy(target, optionsOf(target, way, timeout));
    } catch (err) {
      last = err;
    }
  }
  throw last;
}

async function connectBy(target: Target, options: RedisOptions): Promise<Store> {
  const client = new Redis(options);
  const fail = (err: unknown): never => {
    client.disconnect();
    throw new CannotCheck(`could not ask ${target.label}: ${remedy((err as Error).message)}`);
  };
  let last: Error | undefined;
  client.on("error", (err: Error) => {
    last = err;
  });
  const pipe = async (commands: Command[], transaction: boolean): Promise<Value[]> => {
    const batch = transaction ? client.multi() : client.pipeline();
    for (const [name, ...words] of commands) {
      batch.callBuffer(String(name), ...words.map((word) => Buffer.from(String(word), "latin1")));
    }
    const replies = await batch.exec().catch((err: unknown) => fail(last ?? err));
    return (replies ?? []).map(([err, reply]) => {
      if (err !== null && !/^[A-Z]+ /.test(err.message)) {
        fail(last ?? err); // not an answer, but the want of one
      }
      return answer(err ?? reply);
    });
  };
  await client.connect().catch((err: unknown) => fail(last ?? err));
  // A refused SELECT or password only shows in the next answer.
  const [pong] = await pipe([["PING"]], false);
  if (pong instanceof Failure) {
    fail(pong);
  }
  if (last !== undefined) {
    fail(last);
  }
  return {
    ask: async (commands) => pipe(commands, false),
    askAtOnce: async (commands) => pipe(commands, true),
    close: () => client.disconnect(),
  };
}

/** A reply that must not be an error. */
export function must(reply: Value | undefined, label: string): Value {
  if (reply instanceof Failure) {
    throw new CannotCheck(`could not ask ${label}: ${remedy(reply.message)}`);
  }
  return reply ?? null;
}
