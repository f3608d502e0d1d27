/**
 * A connection on which Redis tells which keys have changed.
 *
 * `CLIENT TRACKING ON REDIRECT <own id> BCAST PREFIX …` with `SUBSCRIBE __redis__:invalidate` on the same
 * RESP2 connection: https://redis.io/docs/latest/develop/reference/client-side-caching/. Where that is
 * refused, keyspace notifications. lua-resty-redis makes the connection; the messages are read here, because
 * its old versions mix them up with replies to PING.
 */

import { Config } from "../config";
import { call, Connection, discard, open } from "./connection";
import { explain } from "./refusal";

export type Mode = "tracking" | "notifications";

export interface Listener {
  connection: Connection;
  mode: Mode;
  /** ngx.now() of the last byte. */
  heard: number;
  closed: boolean;
}

/** What a message says. `flushed`: everything may be gone. */
export interface Heard {
  keys: string[];
  flushed: boolean;
}

const CHANNEL = "__redis__:invalidate";
/** Seconds of silence after which Redis is asked whether it is still there. */
const PING_AFTER = 1;
/** Milliseconds of silence after which it is not. */
const DEAF_AFTER = 3000;
/** Seconds between two looks at the silence: so soon an exiting worker stops listening. */
const LOOK_EVERY = 0.2;
/** Keys in one message; a server that says more is no Redis. */
const MOST_KEYS = 10000000;

type Answered<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

function ask(connection: Connection, ...words: (string | number)[]): Answered<unknown> {
  const [answer, err] = call(connection.client, words[0] as string, ...unpack(words as string[], 2));
  if (answer === undefined || answer === false) {
    return $multi(undefined, explain(err!));
  }
  return $multi(answer, undefined);
}

function begin_tracking(connection: Connection, prefixes: string[]): string | undefined {
  const [id, no_id] = ask(connection, "client", "id");
  if (id === undefined) {
    return no_id;
  }
  const words: string[] = ["client", "tracking", "on", "redirect", tostring(id), "bcast"];
  for (const prefix of prefixes) {
    words.push("prefix");
    words.push(prefix);
  }
  const [on, refused] = ask(connection, ...words);
  if (on === undefined) {
    return refused;
  }
  const [subscribed, no_channel] = ask(connection, "subscribe", CHANNEL);
  return subscribed === undefined ? no_channel : undefined;
}

/** Whether the server sends notifications of all that changes a key of ours; unknown counts as no. */
function are_notified(connection: Connection): string | undefined {
  const [setting, err] = ask(connection, "config", "get", "notify-keyspace-events");
  if (setting === undefined) {
    return err;
  }
  const flags = tostring((setting as string[])[1] ?? "");
  const all = string.find(flags, "A", 1, true)[0] !== undefined;
  let missing = "";
  for (const [flag] of string.gmatch("Kgshzxe", ".")) {
    if (!(all && flag !== "K") && string.find(flags, flag!, 1, true)[0] === undefined) {
      missing += flag!;
    }
  }
  return missing !== "" ? `notify-keyspace-events is "${flags}" and lacks ${missing}` : undefined;
}

function begin_notifications(connection: Connection, prefixes: string[], db: number): string | undefined {
  const off = are_notified(connection);
  if (off !== undefined) {
    return off;
  }
  const words: string[] = ["psubscribe"];
  for (const prefix of prefixes) {
    const [literal] = string.gsub(prefix, "([%[%]*?\\])", "\\%1");
    words.push(`__keyspace@${db}__:${literal}*`);
  }
  const [subscribed, refused] = ask(connection, ...words);
  if (subscribed === undefined) {
    return refused;
  }
  // One confirmation a pattern; the first was the answer.
  for (const _ of $range(2, prefixes.length)) {
    const [confirmed, err] = read_message(connection.client._sock);
    if (confirmed === undefined) {
      return err;
    }
  }
  return undefined;
}

/** Reads `length` bytes and the line end behind them. */
function read_bytes(socket: NgxTcpSocket, length: number): Answered<string> {
  const [bytes, err] = socket.receive(length + 2);
  if (bytes === undefined) {
    return $multi(undefined, err);
  }
  return $multi(string.sub(bytes, 1, -3), undefined);
}

/** One RESP2 value behind its first line. `false` stands for null. */
function read_value(socket: NgxTcpSocket, line: string): Answered<unknown> {
  const sign = string.sub(line, 1, 1);
  const rest = string.sub(line, 2);
  if (sign === "+" || sign === ":") {
    return $multi(rest, undefined);
  }
  if (sign === "-") {
    return $multi(undefined, explain(rest));
  }
  const size = tonumber(rest);
  if ((sign !== "$" && sign !== "*") || size === undefined || size > MOST_KEYS) {
    return $multi(undefined, "this is no Redis: it sent what is not RESP");
  }
  if (size < 0) {
    return $multi(false, undefined);
  }
  if (sign === "$") {
    return read_bytes(socket, size);
  }
  const list: unknown[] = [];
  for (const i of $range(1, size)) {
    const [first, err] = socket.receive("*l");
    if (first === undefined) {
      return $multi(undefined, err);
    }
    const [value, wrong] = read_value(socket, first);
    if (value === undefined) {
      return $multi(undefined, wrong!);
    }
    list[i - 1] = value;
  }
  return $multi(list, undefined);
}

function read_message(socket: NgxTcpSocket): Answered<unknown> {
  const [line, err] = socket.receive("*l");
  if (line === undefined) {
    return $multi(undefined, err);
  }
  return read_value(socket, line);
}

function understand(message: unknown): Heard {
  const heard: Heard = { keys: [], flushed: false };
  if (type(message) !== "table") {
    return heard;
  }
  const parts = message as unknown[];
  if (parts[0] === "message" && parts[1] === CHANNEL) {
    if (type(parts[2]) === "table") {
      heard.keys = parts[2] as string[];
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
 * @returns the listener; or nil, why not, and whether Redis answered and refused
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
  connection.client.set_timeout(config.redis_timeout * 1000);
  const refused =
    mode === "tracking"
      ? begin_tracking(connection, prefixes)
      : begin_notifications(connection, prefixes, config.redis_url.db);
  if (refused !== undefined) {
    discard(connection);
    const gone = refused === "closed" || refused === "timeout" || refused === "connection reset by peer";
    return $multi(undefined, refused, !gone);
  }
  return $multi({ connection, mode, heard: ngx.now(), closed: false }, undefined, undefined);
}

/** Waits for a message. Yields. */
function hear(listener: Listener): Answered<Heard> {
  const socket = listener.connection.client._sock;
  socket.settimeout(DEAF_AFTER);
  const [message, err] = read_message(socket);
  if (message === undefined) {
    return $multi(undefined, err === "timeout" ? "nothing heard, and no answer to PING" : err!);
  }
  listener.heard = ngx.now();
  return $multi(understand(message), undefined);
}

/**
 * Asks a silent server now and then whether it is still there; run it as a thread beside `hear`. One wait for
 * a message can therefore be long: nginx logs every one that ends without.
 *
 * @param goes_on false: a last question wakes who hears, so that he can see that too
 */
function keep_asking(listener: Listener, goes_on: (this: void) => boolean): void {
  const socket = listener.connection.client._sock;
  let asked = 0;
  let going = true;
  while (going && !listener.closed) {
    ngx.sleep(LOOK_EVERY);
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

export { close, hear, keep_asking, listen };
