/**
 * A connection on which Redis tells which keys have changed.
 *
 * `CLIENT TRACKING ON REDIRECT <own id> BCAST PREFIX …` with `SUBSCRIBE __redis__:invalidate` on the same
 * RESP2 connection: https://redis.io/docs/latest/develop/reference/client-side-caching/. Where that is
 * refused, keyspace notifications.
 */

import { Config } from "../config";
import { BEAT, until_beat } from "./beat";
import { open } from "./connection";
import * as dial from "./dial";
import { Connection, discard } from "./dial";
import { cause_of, explain } from "./refusal";
import { Command, error_of, expect, is_drained, read, Reply, wait } from "./wire";

export type Mode = "tracking" | "notifications";

export interface Listener {
  connection: Connection;
  mode: Mode;
  /** ngx.now() of the last byte. */
  heard: number;
  closed: boolean;
  /** Another server is to be listened to. */
  outdated: boolean;
}

/** What a message says. `flushed`: everything may be gone. */
export interface Heard {
  keys: string[];
  flushed: boolean;
}

const CHANNEL = "__redis__:invalidate";
/** Seconds of silence after which Redis is asked whether it is still there. */
const PING_AFTER = 1.5;
/** Seconds of silence after which it is not, also in the middle of a message. */
const DEAF_AFTER = 4;
/** Bytes that one message may take: what a script changed at once stands in one. */
const MOST_BYTES = 67108864;

type Answered<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

/** Asks on a connection that is being made ready. */
function ask(connection: Connection, command: Command, config: Config): Answered<Reply> {
  const [reply, err] = dial.ask(connection, command, ngx.now() + config.redis_timeout);
  if (reply === undefined) {
    return $multi(undefined, explain(err));
  }
  return $multi(reply, undefined);
}

function begin_tracking(connection: Connection, config: Config, prefixes: string[]): string | undefined {
  const [id, no_id] = ask(connection, ["CLIENT", "ID"], config);
  if (id === undefined) {
    return no_id;
  }
  const words = ["CLIENT", "TRACKING", "ON", "REDIRECT", tostring(id), "BCAST"];
  for (const prefix of prefixes) {
    words.push("PREFIX");
    words.push(prefix);
  }
  const [on, refused] = ask(connection, words, config);
  if (on === undefined) {
    return refused;
  }
  const [subscribed, no_channel] = ask(connection, ["SUBSCRIBE", CHANNEL], config);
  return subscribed === undefined ? no_channel : undefined;
}

/** Whether the server sends notifications of all that changes a key of ours; unknown counts as no. */
function are_notified(connection: Connection, config: Config): string | undefined {
  const [setting, err] = ask(connection, ["CONFIG", "GET", "notify-keyspace-events"], config);
  if (setting === undefined) {
    return err;
  }
  const flags = tostring(type(setting) === "table" ? ((setting as string[])[1] ?? "") : setting);
  const all = string.find(flags, "A", 1, true)[0] !== undefined;
  let missing = "";
  for (const [flag] of string.gmatch("Kgshzxe", ".")) {
    if (!(all && flag !== "K") && string.find(flags, flag!, 1, true)[0] === undefined) {
      missing += flag!;
    }
  }
  return missing !== "" ? `notify-keyspace-events is "${flags}" and lacks ${missing}` : undefined;
}

function begin_notifications(connection: Connection, config: Config, prefixes: string[]): string | undefined {
  const off = are_notified(connection, config);
  if (off !== undefined) {
    return off;
  }
  const words = ["PSUBSCRIBE"];
  for (const prefix of prefixes) {
    const [literal] = string.gsub(prefix, "([%[%]*?\\])", "\\%1");
    words.push(`__keyspace@${config.redis_url.db}__:${literal}*`);
  }
  const [subscribed, refused] = ask(connection, words, config);
  if (subscribed === undefined) {
    return refused;
  }
  // One confirmation a pattern; the first was the answer.
  for (const _ of $range(2, prefixes.length)) {
    const [confirmed, err] = read(connection.wire);
    if (confirmed === undefined) {
      return err;
    }
  }
  return undefined;
}

function understand(message: unknown): Heard {
  const heard: Heard = { keys: [], flushed: false };
  if (type(message) !== "table") {
    return heard;
  }
  const parts = message as unknown[];
  if (parts[0] === "message" && parts[1] === CHANNEL) {
    if (type(parts[2]) === "table") {
      for (const key of parts[2] as unknown[]) {
        heard.keys.push(tostring(key));
      }
    } else {
      heard.flushed = true;
    }
  } else if (parts[0] === "pmessage") {
    const [name] = string.match(tostring(parts[2]), "^__keyspace@%d+__:(.*)$");
    if (name !== undefined) {
      heard.keys = [name];
    }
  }
  return heard;
}

/**
 * Opens a connection of its own and asks for the messages. Yields.
 *
 * @param prefixes of the keys; not empty, none of them the beginning of another
 * @returns the listener; or nil, why not, and whether Redis refuses that for good
 */
function listen(
  config: Config,
  prefixes: string[],
  mode: Mode,
): LuaMultiReturn<[Listener, undefined, undefined] | [undefined, string, boolean]> {
  const [connection, unreachable] = open(config, ngx.now() + config.redis_timeout, true);
  if (connection === undefined) {
    return $multi(undefined, unreachable, false);
  }
  const refused =
    mode === "tracking"
      ? begin_tracking(connection, config, prefixes)
      : begin_notifications(connection, config, prefixes);
  if (refused !== undefined) {
    discard(connection);
    const cause = cause_of(refused);
    return $multi(undefined, refused, cause === "noperm" || cause === "refused");
  }
  return $multi({ connection, mode, heard: ngx.now(), closed: false, outdated: false }, undefined, undefined);
}

/** Waits for a message. Yields. */
function hear(listener: Listener): Answered<Heard> {
  const { wire } = listener.connection;
  expect(wire, ngx.now() + DEAF_AFTER, MOST_BYTES);
  const silent = wait(wire);
  if (silent !== undefined) {
    return $multi(undefined, silent === "timeout" ? "nothing heard, and no answer to PING" : silent);
  }
  wire.deadline = ngx.now() + DEAF_AFTER;
  const [message, err] = read(wire);
  const refused = message !== undefined ? error_of(message) : undefined;
  if (message === undefined || refused !== undefined) {
    return $multi(undefined, err ?? explain(refused!));
  }
  listener.heard = ngx.now();
  return $multi(understand(message), undefined);
}

/** Whether more has come than was heard. */
function has_more(listener: Listener): boolean {
  return !is_drained(listener.connection.wire);
}

/**
 * Asks a silent server now and then whether it is still there; run it as a thread beside `hear`. One wait for
 * a message can therefore be long: nginx logs every one that ends without.
 *
 * @param goes_on false: a last question wakes who hears, so that he can see that too
 */
function keep_asking(listener: Listener, goes_on: (this: void) => boolean): void {
  const { socket } = listener.connection.wire;
  let asked = 0;
  let going = true;
  while (going && !listener.closed) {
    ngx.sleep(until_beat(BEAT));
    const now = ngx.now();
    going = goes_on();
    if (!listener.closed && (!going || now - math.max(listener.heard, asked) >= PING_AFTER)) {
      asked = now;
      socket.send("*1\r\n$4\r\nPING\r\n");
    }
  }
}

function close(listener: Listener): void {
  listener.closed = true;
  discard(listener.connection);
}

export { close, has_more, hear, keep_asking, listen };
