/**
 * The compact text of a route in the shared dict.
 *
 * A dict entry of up to 60 bytes (key and value) takes one 128-byte slab slot, and a route with three IPv4 instances
 * must stay below: no JSON, no defaults written out, addresses as bytes. It has no lines and no end marks, and is read
 * from the front:
 *
 *     [LIVES, size, the lives of heart-beating instances]
 *     kind, and whether it is known by paths alone and has options
 *     [size, options in words]
 *     any number of:
 *         how many plain instances, each as six bytes
 *         INSTANCE, size, an instance in words
 *         PREFIX, size, a path prefix
 *
 * The lives stand apart: they move with every heart-beat, and what follows them, the body, tells two versions of a route
 * from one another.
 */

import { string as text_of } from "ffi";
import { Bytes, FREE, pack, SIZE, unpack } from "../schema/plain";
import { Instance, Kind, RouteRecord } from "../schema/record";
import { Life, pack_lives, unpack_lives } from "./lives";
import { put, take } from "./varint";
import { decode_instance, decode_options, encode_instance, encode_options, part_in } from "./words";

/** No body begins with it. */
const LIVES = 255;
const SET = 1;
const ZSET = 2;
const PATHS_ONLY = 4;
const OPTIONS = 8;

/** Plain instances that stand together; a larger number says what else follows. */
const MOST_IN_RUN = 200;
const INSTANCE = 201;
const PREFIX = 202;

function sized(mark: number, text: string): string {
  return string.char(mark) + put(text.length) + text;
}

/**
 * The body of a route that is nothing but plain instances.
 *
 * @param packed their bytes in order, behind some that are free; others may use them afterwards
 * @param count 1 to MOST_IN_RUN
 */
function encode_plain(kind: Kind, packed: Bytes, count: number): string {
  packed[0] = kind === "zset" ? ZSET : SET;
  packed[1] = count;
  return text_of(packed, FREE + count * SIZE);
}

function add_plain(parts: string[], instances: string[]): void {
  for (const from of $range(1, instances.length, MOST_IN_RUN)) {
    const last = math.min(from + MOST_IN_RUN - 1, instances.length);
    parts.push(string.char(last - from + 1));
    parts.push(table.concat(instances, "", from, last));
  }
}

/** Everything that makes two versions of a route differ: its body. */
function encode(record: RouteRecord): string {
  const options = encode_options(record);
  const kind = record.kind === "zset" ? ZSET : record.kind === "set" ? SET : 0;
  const first = kind + (record.paths_only ? PATHS_ONLY : 0);
  const parts: string[] = [options === "" ? string.char(first) : sized(first + OPTIONS, options)];
  let plain: string[] = [];
  for (const instance of record.instances) {
    const text = encode_instance(instance);
    const bytes = pack(text);
    if (bytes !== undefined) {
      plain.push(bytes);
    } else {
      add_plain(parts, plain);
      plain = [];
      parts.push(sized(INSTANCE, text));
    }
  }
  add_plain(parts, plain);
  for (const prefix of record.paths ?? []) {
    parts.push(sized(PREFIX, prefix));
  }
  return table.concat(parts);
}

/** The lives of heart-beating instances, in the order of the instances; empty without any. */
function encode_lives(record: RouteRecord): string {
  const lives: Life[] = [];
  if (record.kind === "zset") {
    for (const instance of record.instances) {
      lives.push(instance.until ?? false);
    }
  }
  return pack_lives(lives);
}

/** The whole text of a route. */
function join(lives: string, body: string): string {
  return lives === "" ? body : sized(LIVES, lives) + body;
}

/** Where the body begins. */
function start_of(text: string): number {
  if (string.byte(text) !== LIVES) {
    return 1;
  }
  const [size, from] = take(text, 2);
  return from + size;
}

/** The other way round: @returns the lives and the body */
function split(text: string): LuaMultiReturn<[string, string]> {
  if (string.byte(text) !== LIVES) {
    return $multi("", text);
  }
  const [size, from] = take(text, 2);
  return $multi(string.sub(text, from, from + size - 1), string.sub(text, from + size));
}

/** Whether instances may end by themselves. */
function has_lives(text: string): boolean {
  return string.byte(text) === LIVES;
}

function kind_of(first: number): Kind | undefined {
  const kind = first % PATHS_ONLY;
  return kind === ZSET ? "zset" : kind === SET ? "set" : undefined;
}

/** The kind of set of a route that has no options, so is likely nothing but plain instances; undefined: another one. */
function kind_if_plain(text: string): Kind | undefined {
  const first = string.byte(text, start_of(text));
  return first < PATHS_ONLY ? kind_of(first) : undefined;
}

/** The options, in words, and where the instances begin. */
function options_of(text: string): LuaMultiReturn<[string, number]> {
  const start = start_of(text);
  if (string.byte(text, start) < OPTIONS) {
    return $multi("", start + 1);
  }
  const [size, from] = take(text, start + 1);
  return $multi(string.sub(text, from, from + size - 1), from + size);
}

/** What `part_of` of schema/record says of a route. */
function part_of(text: string): string | undefined {
  const [options] = options_of(text);
  return options !== "" ? part_in(options) : undefined;
}

/** Whether there is more than options: instances or paths. */
function has_members(text: string): boolean {
  const [, from] = options_of(text);
  return from <= text.length;
}

/** False: the route has no instance of this address and port. */
function may_have(text: string, address: string, port: number): boolean {
  const bytes = pack(`${address}:${port}`);
  return (
    (bytes !== undefined && string.find(text, bytes, 1, true)[0] !== undefined) ||
    string.find(text, `:${port}`, 1, true)[0] !== undefined
  );
}

function plain_instance(body: string, at: number): Instance {
  const [host, port] = unpack(body, at);
  return { tls: false, host, port, weight: 1, drain: false };
}

function decode_members(body: string, from: number, record: RouteRecord): void {
  let at = from;
  while (at <= body.length) {
    const mark = string.byte(body, at);
    at += 1;
    if (mark <= MOST_IN_RUN) {
      for (const _ of $range(1, mark)) {
        record.instances.push(plain_instance(body, at));
        at += SIZE;
      }
    } else {
      let size: number;
      [size, at] = take(body, at);
      const text = string.sub(body, at, at + size - 1);
      at += size;
      if (mark === PREFIX) {
        record.paths ??= [];
        record.paths.push(text);
      } else {
        record.instances.push(decode_instance(text));
      }
    }
  }
}

/** What a text says. Problems are not kept. */
function decode(text: string): RouteRecord {
  const [lives] = split(text);
  const [options, from] = options_of(text);
  const first = string.byte(text, start_of(text));
  const record: RouteRecord = {
    kind: kind_of(first),
    paths_only: first % OPTIONS >= PATHS_ONLY,
    instances: [],
    options: {},
    problems: [],
  };
  decode_options(options, record);
  decode_members(text, from, record);
  const untils = unpack_lives(lives);
  for (const i of $range(0, untils.length - 1)) {
    const until = untils[i]!;
    record.instances[i]!.until = until !== false ? until : undefined;
  }
  return record;
}

export {
  decode,
  encode,
  encode_lives,
  encode_plain,
  has_lives,
  has_members,
  join,
  kind_if_plain,
  may_have,
  part_of,
  split,
};
