/** Questions to Redis: one transaction in one round trip, and fast failure while it cannot be reached. */

import { Config } from "../config";
import { open } from "./connection";
import { ask, Connection, discard, keep, say } from "./dial";
import { note } from "./questions";
import { explain } from "./refusal";
import { settled } from "./server";
import { Command, error_of, NO_REDIS, read, Reply, skip_queued } from "./wire";

export type { Command, Reply };

type Answered<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

/** A result, or nil, why there is none, and whether the connection is of no further use. */
type Done<T> = LuaMultiReturn<[T, undefined, undefined] | [undefined, string, boolean]>;

/** Seconds after a failed connect in which none is tried: else every request would wait for its own. */
const REST = 0.5;
/** A caller with fewer seconds left than this tells nothing about the server when they run out. */
const FAIR_WAIT = 0.05;
const MULTI = "*1\r\n$5\r\nMULTI\r\n";
const EXEC = "*1\r\n$4\r\nEXEC\r\n";
/** Commands that a list answers, or an error; of a command that is written out who wrote it looks himself. */
const LISTS: Record<string, true | undefined> = {
  HGETALL: true,
  LRANGE: true,
  SCAN: true,
  SMEMBERS: true,
  ZRANGE: true,
};

let last_failed = false;
let rest_until = 0;
let rest_because = "";
let rest_from = "";

/** How the server that is asked is called in messages. */
function name_of_server(config: Config): string {
  const server = settled(config);
  return server !== undefined ? server.label : config.redis_url.label;
}

function fail(config: Config, err: string): string {
  last_failed = true;
  return `could not ask ${name_of_server(config)}: ${err}`;
}

/** Whether a connection broke in the way of one that the server had closed while it was in the pool. */
function was_closed(err: string): boolean {
  return err === "closed" || err === "connection reset by peer" || err === "broken pipe";
}

function connect(config: Config, deadline: number, given: number): Answered<Connection> {
  const left = rest_until - ngx.now();
  // Another server is another matter.
  if (left > 0 && rest_from === name_of_server(config)) {
    return $multi(undefined, string.format("%s; not tried again for another %.1fs", rest_because, left));
  }
  const [connection, err] = open(config, deadline);
  if (connection === undefined) {
    if (given >= FAIR_WAIT) {
      rest_until = ngx.now() + REST;
      rest_because = err;
      rest_from = name_of_server(config);
    }
    return $multi(undefined, err);
  }
  return $multi(connection, undefined);
}

/** Does the work on a connection, on another one if a pooled one turns out to be closed. */
function work_on<T>(
  config: Config,
  timeout: number,
  work: (this: void, connection: Connection, commands: Command[], deadline: number) => Done<T>,
  commands: Command[],
): Answered<T> {
  // Where the worker was busy for long its clock stands still: the time would be over with the first answer.
  ngx.update_time();
  const deadline = ngx.now() + timeout;
  while (true) {
    if (ngx.now() >= deadline) {
      return $multi(undefined, fail(config, "timeout"));
    }
    const [connection, unreachable] = connect(config, deadline, timeout);
    if (connection === undefined) {
      return $multi(undefined, fail(config, unreachable));
    }
    const [result, err, broke] = work(connection, commands, deadline);
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

/** Whether each reply is one that its command can have: one of another type says nothing about routes. */
function fits(commands: Command[], reply: Reply): reply is Reply[] {
  if (type(reply) !== "table" || (reply as Reply[]).length !== commands.length) {
    return false;
  }
  for (const i of $range(1, commands.length)) {
    const one = (reply as Reply[])[i - 1];
    const command = commands[i - 1]!;
    if (typeof command !== "string" && LISTS[command[0]!] && type(one) !== "table") {
      return false;
    }
  }
  return true;
}

function run_transaction(connection: Connection, commands: Command[], deadline: number): Done<Reply[]> {
  const questions: Command[] = [];
  if (connection.reused) {
    questions.push(MULTI);
  } else {
    // A server that takes no more clients says so and closes: read its reason before asking more.
    const [begun, refused] = ask(connection, MULTI, deadline);
    if (begun === undefined) {
      return $multi(undefined, refused!, true);
    }
  }
  for (const command of commands) {
    questions.push(command);
  }
  questions.push(EXEC);
  const unsent = say(connection, questions, deadline);
  if (unsent !== undefined) {
    return $multi(undefined, unsent, true);
  }
  let refused: string | undefined = undefined;
  let last: Reply = "";
  for (const _ of questions) {
    if (!skip_queued(connection.wire)) {
      const [reply, err] = read(connection.wire);
      if (reply === undefined) {
        return $multi(undefined, err, true);
      }
      // What was refused before EXEC says why; EXEC itself only that something was.
      refused ??= error_of(reply);
      last = reply;
    }
  }
  if (refused !== undefined) {
    return $multi(undefined, refused, false);
  }
  if (!fits(commands, last)) {
    return $multi(undefined, NO_REDIS, true);
  }
  return $multi(last, undefined, undefined);
}

/** Whether the server answers questions about routes. Yields. */
function serves(connection: Connection, deadline: number): Done<true> {
  const [answer, err, broke] = ask(connection, ["PING"], deadline);
  if (answer === "PONG") {
    return $multi(true, undefined, undefined);
  }
  if (err === undefined) {
    return $multi(undefined, NO_REDIS, true);
  }
  const sign = string.sub(err, 1, 7);
  if (broke === true || (sign !== "NOPERM " && sign !== "MISCONF")) {
    return $multi(undefined, err, broke === true);
  }
  // Who may not ping, and a server that takes no writes, may do all that is needed.
  const [done, refused, broken] = run_transaction(connection, [], deadline);
  if (done === undefined) {
    return $multi(undefined, refused!, broken!);
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
  const [replies, err] = work_on(config, timeout, run_transaction, commands);
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
  return work_on(config, timeout, (connection, _, deadline) => serves(connection, deadline), []);
}

/** False from a failure until a success, as this worker sees it. */
function reachable(): boolean {
  return !last_failed;
}

export { ping, reachable, serves, transaction };
