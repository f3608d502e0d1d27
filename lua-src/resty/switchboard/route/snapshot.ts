/**
 * The text of a snapshot: all routes that a node knows, to be read again by a node that starts without Redis.
 *
 *     switchboard-routes <format> <sum> <records> <frames> <Unix time>
 *     <whose routes: schema, key_format, …>
 *     <bytes> <crc32>                                    a frame: some records
 *     <kind><bytes of name> <bytes of text> <Unix time>
 *     <name><text>
 *
 * The text of a route is the one of the shared dict. A frame's checksum finds damage within it; the sum runs over those
 * of all frames and over the head, and finds a frame that is missing, twice, or of another file.
 */

import { Config } from "../config";

/** Another number whenever this layout, or that of route/codec, is another. */
const FORMAT = 2;
const MAGIC = "switchboard-routes";
/** Before the first frame. */
const NO_SUM = "00000000";

/** A route; its text is that of route/codec. */
const ROUTE = "R";
/** A host without a route of its own; its text is the pattern that has it. */
const MATCH = "M";

export type RecordKind = typeof ROUTE | typeof MATCH;

export interface Head {
  sum: string;
  count: number;
  frames: number;
  /** Unix seconds at which it was written. */
  time: number;
}

/** What becomes of each record. */
export type Visit = (this: void, kind: RecordKind, name: string, loaded: number, text: string) => void;

function checksum(text: string): string {
  return string.format("%08x", ngx.crc32_long(text));
}

/** Whose routes they are: those of another Redis layout or database are another's. */
function identity_of(config: Config): string {
  const { schema, server_schemas, key_format, legacy_prefix, redis_url } = config;
  return string.format(
    "schema=%s server_schemas=%s key_format=%s legacy_prefix=%s db=%d",
    table.concat(schema, ","),
    table.concat(server_schemas, ","),
    ngx.escape_uri(key_format),
    ngx.escape_uri(legacy_prefix),
    redis_url.db,
  );
}

/** As long whatever it says: it is written again when all of the rest is there. */
function numbers_of(count: number, frames: number, time: number): string {
  return string.format("%010d %010d %015.3f", count, frames, time);
}

function whole_sum(frames_sum: string, numbers: string, identity: string): string {
  return checksum(`${frames_sum} ${numbers} ${identity}`);
}

/** The first two lines. */
function head_text(head: Head, identity: string): string {
  const numbers = numbers_of(head.count, head.frames, head.time);
  return `${MAGIC} ${FORMAT} ${whole_sum(head.sum, numbers, identity)} ${numbers}\n${identity}\n`;
}

/**
 * Reads the first two lines. Its `sum` is over all, and to be compared by `is_whole` when the frames were read.
 *
 * @returns nil and why the file is of no use here
 */
function parse_head(
  first: string | undefined,
  second: string | undefined,
  identity: string,
): LuaMultiReturn<[Head, undefined] | [undefined, string]> {
  const [format, rest] = string.match(first ?? "", `^${string.gsub(MAGIC, "%-", "%%-")[0]} (%d+) (.*)$`);
  if (format === undefined) {
    return $multi(undefined, "it is no snapshot of routes");
  }
  if (format !== tostring(FORMAT)) {
    return $multi(undefined, `it is of format ${format}, this is ${FORMAT}`);
  }
  const [sum, count, frames, time] = string.match(rest!, "^(%x+) (%d+) (%d+) (%d+%.%d%d%d)$");
  if (sum === undefined || second === undefined) {
    return $multi(undefined, "its head is damaged");
  }
  if (second !== identity) {
    return $multi(undefined, `it has routes of ${second}, here it is ${identity}`);
  }
  return $multi(
    { sum, count: tonumber(count)!, frames: tonumber(frames)!, time: tonumber(time)! },
    undefined,
  );
}

/** Whether all that was read is what was written. */
function is_whole(head: Head, frames_sum: string, count: number, identity: string): boolean {
  const numbers = numbers_of(head.count, head.frames, head.time);
  return head.count === count && head.sum === whole_sum(frames_sum, numbers, identity);
}

function record_text(kind: RecordKind, name: string, loaded: number, text: string): string {
  return string.format("%s%d %d %.3f\n", kind, name.length, text.length, loaded) + name + text;
}

/** The line before the records of a frame. */
function frame_line(payload: string): string {
  return `${payload.length} ${checksum(payload)}\n`;
}

/** @returns how many bytes the frame's records have, and their checksum; nil when the line is none */
function parse_frame_line(line: string | undefined): LuaMultiReturn<[number | undefined, string]> {
  const [bytes, sum] = string.match(line ?? "", "^(%d+) (%x+)$");
  return $multi(tonumber(bytes), sum ?? "");
}

/** The running sum after one more frame. */
function next_sum(sum: string, frame_sum: string): string {
  return checksum(sum + frame_sum);
}

/**
 * Visits the records of a frame.
 *
 * @returns how many there were; nil when it is no frame
 */
function walk(payload: string, visit: Visit): number | undefined {
  let at = 1;
  let count = 0;
  while (at <= payload.length) {
    const [, line_end, kind, name_size, text_size, loaded] = string.find(
      payload,
      "^([RM])(%d+) (%d+) (%d+%.%d%d%d)\n",
      at,
    );
    if (line_end === undefined) {
      return undefined;
    }
    const name_end = line_end + tonumber(name_size)!;
    const text_end = name_end + tonumber(text_size)!;
    if (text_end > payload.length) {
      return undefined;
    }
    visit(
      kind as RecordKind,
      string.sub(payload, line_end + 1, name_end),
      tonumber(loaded)!,
      string.sub(payload, name_end + 1, text_end),
    );
    count += 1;
    at = text_end + 1;
  }
  return count;
}

export {
  checksum,
  frame_line,
  head_text,
  identity_of,
  is_whole,
  MATCH,
  next_sum,
  NO_SUM,
  parse_frame_line,
  parse_head,
  record_text,
  ROUTE,
  walk,
};
