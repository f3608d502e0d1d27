/** Questions to Redis: one transaction in one round trip, and fast failure while it cannot be reached. */

import { Config } from "../config";
import { call, Connection, discard, keep, open, wait_until } from "./connection";
import { note } from "./questions";
import { explain } from "./refusal";

/** A command's words. */
export type Command = (string | number)[];
/** What Redis answers; a command's own error inside of a transaction is [false, message]. */
export type Reply = string | number | NgxNull | [false, string] | Reply[];

type Answered<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

/** A result, or nil, why there is none, and whether the connection is of no further use. */
type Done<T> = LuaMultiReturn<[T, undefined, undefined] | [undefined, string, boolean]>;

/** Seconds after a failed connect in which none is tried: else every request would wait for its own. */
const REST = 0.5;
/** A caller with fewer seconds left than this tells nothing about the server when they run out. */
const FAIR_WAIT = 0.05;

let last_failed = false;
let rest_until = 0;
let rest_because = "";

function is_error(reply: unknown): reply is [false, string] {
  return type(reply) === "table" && (reply as [unknown])[0] === false;
}

function fail(config: Config, err: string): string {
  last_failed = true;
  return `could not ask ${config.redis_url.label}: ${err}`;
}

/** Whether a connection broke in the way of one that the server had closed while it was in the pool. */
function was_closed(err: string): boolean {
  return err === "closed" || err === "connection reset by peer" || err === "broken pipe";
}

function connect(config: Config, deadline: number, given: number): Answered<Connection> {
  const left = rest_until - ngx.now();
  if (left > 0) {
    return $multi(undefined, string.format("%s; not tried again for another %.1fs", rest_because, left));
  }
  const [connection, err] = open(config, deadline);
  if (connection === undefined) {
    if (given >= FAIR_WAIT) {
      rest_until = ngx.now() + REST;
      rest_because = err;
    }
    return $multi(undefined, err);
  }
  return $multi(connection, undefined);
}

/** Does the work on a connection, on another one if a pooled one turns out to be closed. */
function work_on<T>(
  config: Config,
  timeout: number,
  work: (this: void, connection: Connection) => Done<T>,
): Answered<T> {
  const deadline = ngx.now() + timeout;
  while (true) {
    if (ngx.now() >= deadline) {
      return $multi(undefined, fail(config, "timeout"));
    }
    const [connection, unreachable] = connect(config, deadline, timeout);
    if (connection === undefined) {
      return $multi(undefined, fail(config, unreachable));
    }
    wait_until(connection.client, deadline);
    const [result, err, broke] = work(connection);
    if (result !== undefined) {
      keep(connection);
      last_failed = false;
      rest_until = 0;
      return $multi(result, undefined);
    }
    if (broke === true) {
      discard(connection);
    } else {
      keep(connection);
    }
    // After a restart of Redis every pooled connection is dead; all that is asked may be asked twice.
    if (broke !== true || !connection.reused || !was_closed(err!)) {
      return $multi(undefined, fail(config, explain(err!)));
    }
  }
}

function run_transaction(connection: Connection, commands: Command[]): Done<Reply[]> {
  const client = connection.client;
  if (!connection.reused) {
    // A server that takes no more clients says so and closes: read its reason before asking more.
    const [begun, refused] = call(client, "multi");
    if (begun === undefined || begun === false) {
      return $multi(undefined, refused!, true);
    }
  }
  client.init_pipeline(commands.length + 2);
  if (connection.reused) {
    call(client, "multi");
  }
  for (const command of commands) {
    call(client, string.lower(command[0] as string), ...unpack(command, 2));
  }
  call(client, "exec");
  const [replies, err] = client.commit_pipeline();
  if (replies === undefined) {
    return $multi(undefined, err, true);
  }
  // What was refused before EXEC says why; EXEC itself only that something was.
  for (const reply of replies) {
    if (is_error(reply)) {
      return $multi(undefined, reply[1], false);
    }
  }
  return $multi(replies[replies.length - 1] as Reply[], undefined, undefined);
}

function run_ping(connection: Connection): Done<true> {
  const [answer, err] = call(connection.client, "ping");
  // Who may not ping was answered nevertheless.
  if (answer === undefined || (answer === false && string.sub(err!, 1, 6) !== "NOPERM")) {
    return $multi(undefined, err!, answer === undefined);
  }
  return $multi(true, undefined, undefined);
}

/**
 * Runs commands as one MULTI … EXEC, in one round trip on a connection that was used before. Yields.
 *
 * Everything is sent again when a pooled connection turns out to be closed: commands must only read.
 *
 * @param timeout seconds for the whole, connecting included
 * @returns the replies in order, a command's own error as [false, message]; nil and why there are none
 */
function transaction(config: Config, commands: Command[], timeout: number): Answered<Reply[]> {
  const began = ngx.now();
  const [replies, err] = work_on(config, timeout, (connection) => run_transaction(connection, commands));
  ngx.update_time();
  note(ngx.now() - began, replies !== undefined);
  if (replies === undefined) {
    return $multi(undefined, err!);
  }
  return $multi(replies, undefined);
}

/**
 * Whether Redis answers. Yields.
 *
 * @param timeout seconds for the whole, connecting included
 */
function ping(config: Config, timeout: number): Answered<true> {
  return work_on(config, timeout, run_ping);
}

/** False from a failure until a success, as this worker sees it. */
function reachable(): boolean {
  return !last_failed;
}

export { ping, reachable, transaction };
