/**
 * RESP2, the protocol of Redis, on a cosocket: https://redis.io/docs/latest/develop/reference/protocol-spec/.
 *
 * Bounded in what it takes into memory and in how long it waits: who answers may be no Redis, or a sick one.
 * lua-resty-redis reads whatever length is announced, and makes tables of whatever size.
 */

/** A command's words; or the command as it is sent, from who writes many of one form. */
export type Command = (string | number)[] | string;
/** What Redis answers; its error is [false, message]. */
export type Reply = string | number | NgxNull | [false, string] | Reply[];

export interface Wire {
  socket: NgxTcpSocket;
  /** What has come; from `at` on it was not read yet. */
  buffer: string;
  at: number;
  /** ngx.now() until which the answer must be there. */
  deadline: number;
  /** Bytes that the answer may still take. */
  room: number;
  /** A part of the answer was read. */
  begun: boolean;
}

type Answered<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

const NO_REDIS = "this is no Redis: it sent what is not RESP";
const TOO_LARGE = "its reply is too large";
const SILENT = "timeout";
const HALF = "timeout: a part of its reply came, and then nothing more";
/** Bytes that are asked for at once; nginx gives no more than its `lua_socket_buffer_size`. */
const CHUNK = 65536;
/** The longest first line of a value. */
const LONGEST_LINE = 16384;
/** What a value takes in memory beside its bytes. */
const VALUE_COST = 32;
/** Lists within lists. */
const DEEPEST = 8;
/** ngx_lua takes 0 for "no timeout at all". */
const SHORTEST_WAIT = 1;
/** Seconds after the deadline in which what has come meanwhile is still read: nginx may have been busy. */
const OVERTIME = 0.1;
const PLUS = 43;
const MINUS = 45;
const COLON = 58;
const DOLLAR = 36;
const ASTERISK = 42;
const ZERO = 48;
const NINE = 57;
const CR = 13;
const LF = 10;
const QUEUED = "+QUEUED\r\n";
/** What a number of one digit takes, or the head of a short list: a sign, the digit and the line end. */
const SHORT = 4;

function create(socket: NgxTcpSocket): Wire {
  return { socket, buffer: "", at: 1, deadline: 0, room: 0, begun: false };
}

/**
 * An answer is to come, maybe of several values.
 *
 * @param deadline ngx.now() until which it must be there
 * @param room bytes that it may take
 */
function expect(wire: Wire, deadline: number, room: number): void {
  wire.deadline = deadline;
  wire.room = room;
  wire.begun = false;
  wire.socket.settimeout(math.max(SHORTEST_WAIT, math.floor((deadline - ngx.now()) * 1000)));
}

/** Adds what comes next to the buffer. Yields. */
function fill(wire: Wire): string | undefined {
  const left = wire.deadline - ngx.now();
  if (left <= -OVERTIME) {
    return wire.begun ? HALF : SILENT;
  }
  wire.socket.settimeout(math.max(SHORTEST_WAIT, math.floor(left * 1000)));
  const [bytes, err] = wire.socket.receiveany(CHUNK);
  if (bytes === undefined) {
    // "error" is all that ngx_lua says of TLS that was broken off.
    return err === SILENT && wire.begun ? HALF : err === "error" ? "closed" : err;
  }
  wire.begun = true;
  wire.buffer = string.sub(wire.buffer, wire.at) + bytes;
  wire.at = 1;
  return undefined;
}

/** Waits until something has come. Yields. */
function wait(wire: Wire): string | undefined {
  return wire.at > wire.buffer.length ? fill(wire) : undefined;
}

/** The first line of a value. */
function read_line(wire: Wire): Answered<string> {
  while (true) {
    const [end] = string.find(wire.buffer, "\r\n", wire.at, true);
    if (end !== undefined) {
      const line = string.sub(wire.buffer, wire.at, end - 1);
      wire.at = end + 2;
      return $multi(line, undefined);
    }
    if (wire.buffer.length - wire.at > LONGEST_LINE) {
      return $multi(undefined, NO_REDIS);
    }
    const err = fill(wire);
    if (err !== undefined) {
      return $multi(undefined, err);
    }
  }
}

/** Reads `length` bytes and the line end behind them. */
function read_bytes(wire: Wire, length: number): Answered<string> {
  const whole = length + 2;
  if (wire.buffer.length - wire.at + 1 < whole) {
    const pieces = [string.sub(wire.buffer, wire.at)];
    let have = pieces[0]!.length;
    while (have < whole) {
      wire.buffer = "";
      const err = fill(wire);
      if (err !== undefined) {
        return $multi(undefined, err);
      }
      pieces.push(wire.buffer);
      have += wire.buffer.length;
    }
    wire.buffer = table.concat(pieces);
    wire.at = 1;
  }
  const end = wire.at + length;
  const bytes = string.sub(wire.buffer, wire.at, end - 1);
  const line_end = string.sub(wire.buffer, end, end + 1);
  wire.at = end + 2;
  if (line_end !== "\r\n") {
    return $multi(undefined, NO_REDIS);
  }
  return $multi(bytes, undefined);
}

/**
 * The next value, where it is a text of up to 99 bytes that is all there, as almost all are; undefined: `read_value` says
 * what it is.
 */
function read_word(wire: Wire): string | undefined {
  const { buffer, at } = wire;
  const [sign, first, second, third] = string.byte(buffer, at, at + 3);
  if (sign !== DOLLAR || third === undefined || first! < ZERO || first! > NINE) {
    return undefined;
  }
  let size = first! - ZERO;
  let from = at + 4;
  if (second !== CR) {
    if (second! < ZERO || second! > NINE || third !== CR) {
      return undefined;
    }
    size = size * 10 + second! - ZERO;
    from = at + 5;
  }
  const end = from + size;
  const lf = string.byte(buffer, from - 1);
  const [cr, last] = string.byte(buffer, end, end + 1);
  if (lf !== LF || cr !== CR || last !== LF) {
    return undefined;
  }
  wire.room -= size + VALUE_COST;
  if (wire.room < 0) {
    return undefined;
  }
  wire.at = end + 2;
  return string.sub(buffer, from, end - 1);
}

function read_list(wire: Wire, length: number, depth: number): Answered<Reply> {
  if (depth >= DEEPEST) {
    return $multi(undefined, NO_REDIS);
  }
  const list: Reply[] = [];
  for (const i of $range(1, length)) {
    const word = read_word(wire);
    if (word !== undefined) {
      list[i - 1] = word;
    } else {
      const [value, err] = read_value(wire, depth + 1);
      if (value === undefined) {
        return $multi(undefined, err);
      }
      list[i - 1] = value;
    }
  }
  return $multi(list, undefined);
}

/** A length of bytes or of a list; -1 is null. */
function length_of(text: string): number | undefined {
  const length = tonumber(text);
  return length !== undefined && length >= -1 && length % 1 === 0 ? length : undefined;
}

/** A number of one digit behind a sign, with its line end; undefined: it is not that, or not all there. */
function read_digit(wire: Wire): number | undefined {
  const [digit, cr, lf] = string.byte(wire.buffer, wire.at + 1, wire.at + SHORT - 1);
  if (lf !== LF || cr !== CR || digit! < ZERO || digit! > NINE) {
    return undefined;
  }
  wire.at += SHORT;
  wire.room -= VALUE_COST;
  return digit! - ZERO;
}

function read_value(wire: Wire, depth: number): Answered<Reply> {
  const silent = wait(wire);
  if (silent !== undefined) {
    return $multi(undefined, silent);
  }
  const sign = string.byte(wire.buffer, wire.at);
  if (sign === COLON || sign === ASTERISK) {
    const digit = read_digit(wire);
    if (digit !== undefined && wire.room < (sign === COLON ? 0 : digit * VALUE_COST)) {
      return $multi(undefined, TOO_LARGE);
    }
    if (digit !== undefined && sign === COLON) {
      return $multi(digit, undefined);
    }
    if (digit !== undefined) {
      return read_list(wire, digit, depth);
    }
  }
  if (sign !== DOLLAR && sign !== ASTERISK && sign !== PLUS && sign !== COLON && sign !== MINUS) {
    return $multi(undefined, NO_REDIS);
  }
  const [line, err] = read_line(wire);
  if (line === undefined) {
    return $multi(undefined, err);
  }
  wire.room -= line.length + VALUE_COST;
  if (wire.room < 0) {
    return $multi(undefined, TOO_LARGE);
  }
  const rest = string.sub(line, 2);
  if (sign === PLUS) {
    return $multi(rest, undefined);
  }
  if (sign === MINUS) {
    return $multi([false, rest], undefined);
  }
  const size = sign === COLON ? tonumber(rest) : length_of(rest);
  if (size === undefined) {
    return $multi(undefined, NO_REDIS);
  }
  if (sign === COLON) {
    return $multi(size, undefined);
  }
  if (size < 0) {
    return $multi(ngx.null, undefined);
  }
  const least = sign === DOLLAR ? size : size * VALUE_COST;
  if (least > wire.room) {
    return $multi(undefined, TOO_LARGE);
  }
  if (sign === DOLLAR) {
    wire.room -= size;
    return read_bytes(wire, size);
  }
  return read_list(wire, size, depth);
}

/** The next value of the answer. Yields. After a failure nothing more can be read. */
function read(wire: Wire): Answered<Reply> {
  return read_value(wire, 0);
}

/** Reads what a transaction says to each of its commands, if it is all there; false: `read` says what comes. */
function skip_queued(wire: Wire): boolean {
  if (string.sub(wire.buffer, wire.at, wire.at + QUEUED.length - 1) !== QUEUED) {
    return false;
  }
  wire.at += QUEUED.length;
  return true;
}

/** Whether all that came was read: what is left would answer another question. */
function is_drained(wire: Wire): boolean {
  return wire.at > wire.buffer.length;
}

/** Sends commands in one go. Yields. */
function send(wire: Wire, commands: Command[]): string | undefined {
  const words: string[] = [];
  let count = 0;
  for (const command of commands) {
    if (typeof command === "string") {
      words[count] = command;
      count += 1;
    } else {
      words[count] = `*${command.length}\r\n`;
      count += 1;
      for (const word of command) {
        const text = tostring(word);
        words[count] = `$${text.length}\r\n${text}\r\n`;
        count += 1;
      }
    }
  }
  const [sent, err] = wire.socket.send(words);
  return sent === undefined ? err : undefined;
}

/** The message of an error reply. */
function error_of(reply: Reply): string | undefined {
  const list = reply as [unknown, string];
  return type(reply) === "table" && list[0] === false ? list[1] : undefined;
}

export { create, error_of, expect, is_drained, NO_REDIS, read, send, skip_queued, TOO_LARGE, wait };
