/**
 * The file of a snapshot. It is written beside its place and moved there when it is whole, so that a reader sees the old
 * one or the new one.
 *
 * No fsync: that would stop the worker and its requests for as long as the disk takes. A file that a power failure has
 * torn is refused for its checksum.
 */

import { C, cdef } from "ffi";
import {
  checksum,
  frame_line,
  Head,
  head_text,
  is_whole,
  next_sum,
  NO_SUM,
  parse_frame_line,
  parse_head,
  RecordKind,
  record_text,
  Visit,
  walk,
} from "./snapshot";
import { set_aside } from "./snapshot_before";

// A name of its own: other Lua may have declared `creat` in its own words.
cdef('int switchboard_creat(const char *path, unsigned int mode) __asm__("creat");');
cdef('int switchboard_close(int descriptor) __asm__("close");');
cdef(
  'int switchboard_sync_file_range(int descriptor, int64_t from, int64_t bytes, unsigned int flags) __asm__("sync_file_range");',
);

/** @noSelf */
interface Files {
  switchboard_creat(path: string, mode: number): number;
  switchboard_close(descriptor: number): number;
  switchboard_sync_file_range(descriptor: number, from: number, bytes: number, flags: number): number;
}

const files = C as Files;

/** What the declarations of these leave out. */
interface Closing {
  close(): LuaMultiReturn<[boolean | undefined, string | undefined]>;
}

/** @noSelf */
interface Opening {
  open(
    path: string,
    mode: string,
  ): LuaMultiReturn<[LuaFile | undefined, string | undefined, number | undefined]>;
}

/** Linux: asm-generic/errno-base.h. */
const ENOENT = 2;

/** Read and written by its owner alone. */
const MODE = 384;
/** Bytes after which the disk is given what it has not got yet. */
const PIECE = 1024 * 1024;
/** Linux, sync_file_range(2): begin to write, and wait for nothing. */
const SYNC_FILE_RANGE_WRITE = 2;
/** Larger ones are no frames of ours: reading them could take any memory. */
const LARGEST_FRAME = 64 * 1024 * 1024;

/** A snapshot as it stands in its place. */
export interface Written {
  /** Unix seconds. */
  time: number;
  bytes: number;
  count: number;
}

export interface Writer {
  path: string;
  identity: string;
  file: LuaFile;
  head: Head;
  bytes: number;
  /** The same file, for the kernel; -1: none. */
  descriptor: number;
  /** Bytes that the disk has been given. */
  given: number;
  /** Records of the frame that is being gathered. */
  records: string[];
}

function temporary(path: string): string {
  return `${path}.tmp`;
}

function close_descriptor(descriptor: number): void {
  if (descriptor >= 0) {
    files.switchboard_close(descriptor);
  }
}

/**
 * Gives the disk what was written, piece by piece: the rename over the old file would have ext4 do that with all of it at once,
 * and for a million routes the requests of this worker waited 13 ms for that.
 */
function give_to_disk(writer: Writer): void {
  const { descriptor, given, bytes } = writer;
  if (bytes - given >= PIECE) {
    // Where a disk cannot do so, it does it as it can.
    files.switchboard_sync_file_range(descriptor, given, bytes - given, SYNC_FILE_RANGE_WRITE);
    writer.given = bytes;
  }
}

/** Nothing of it is left. */
function abandon(writer: Writer): void {
  writer.file.close();
  close_descriptor(writer.descriptor);
  os.remove(temporary(writer.path));
}

/** Begins a snapshot. @returns nil and why it cannot be written */
function begin(path: string, identity: string): LuaMultiReturn<[Writer, undefined] | [undefined, string]> {
  const beside = temporary(path);
  // One that a killed worker has left may be open to others.
  os.remove(beside);
  const descriptor = files.switchboard_creat(beside, MODE);
  const [file, err] = io.open(beside, "w");
  if (file === undefined) {
    close_descriptor(descriptor);
    return $multi(undefined, err!);
  }
  const head: Head = { sum: NO_SUM, count: 0, frames: 0, time: 0 };
  const writer: Writer = { path, identity, file, head, bytes: 0, descriptor, given: 0, records: [] };
  const failed = put(writer, head_text(head, identity));
  if (failed !== undefined) {
    abandon(writer);
    return $multi(undefined, failed);
  }
  return $multi(writer, undefined);
}

function put(writer: Writer, text: string): string | undefined {
  const [ok, err] = writer.file.write(text);
  writer.bytes += text.length;
  return ok !== undefined ? undefined : err!;
}

/** One more record of the frame that is being gathered. */
function add(writer: Writer, kind: RecordKind, name: string, loaded: number, text: string): void {
  writer.records.push(record_text(kind, name, loaded, text));
  writer.head.count += 1;
}

/** Writes the frame. @returns nil, or why it could not be written */
function end_frame(writer: Writer): string | undefined {
  if (writer.records.length === 0) {
    return undefined;
  }
  const payload = table.concat(writer.records);
  writer.records = [];
  writer.head.frames += 1;
  writer.head.sum = next_sum(writer.head.sum, checksum(payload));
  const failed = put(writer, frame_line(payload) + payload);
  give_to_disk(writer);
  return failed;
}

/** Moves the whole snapshot to its place; call `let_go` of route/snapshot_before after that. @returns nil and why that failed; then nothing is left of it */
function end(writer: Writer, time: number): LuaMultiReturn<[Written, undefined] | [undefined, string]> {
  const { file, head, path } = writer;
  let failed = end_frame(writer);
  head.time = time;
  const bytes = writer.bytes;
  file.seek("set");
  failed = failed ?? put(writer, head_text(head, writer.identity));
  // What was only buffered may not fit on the disk.
  const [closed, err] = (file as unknown as Closing).close();
  close_descriptor(writer.descriptor);
  failed = failed ?? (closed !== undefined ? undefined : err!);
  if (failed === undefined) {
    set_aside(path);
    const [moved, problem] = os.rename(temporary(path), path);
    failed = moved ? undefined : problem;
  }
  if (failed !== undefined) {
    os.remove(temporary(path));
    return $multi(undefined, failed);
  }
  return $multi({ time, bytes, count: head.count }, undefined);
}

const DAMAGED = "it is damaged";
const SHORT = "it is cut short";

/** Reads all frames behind the head. @returns nil, or what is wrong with them */
function read_frames(file: LuaFile, head: Head, identity: string, visit: Visit): string | undefined {
  let sum = NO_SUM;
  let count = 0;
  for (const _ of $range(1, head.frames)) {
    const [size, frame_sum] = parse_frame_line(file.read("*l"));
    if (size === undefined || size > LARGEST_FRAME) {
      return size === undefined ? SHORT : DAMAGED;
    }
    const payload = file.read(size) ?? "";
    if (payload.length !== size) {
      return SHORT;
    }
    const records = frame_sum === checksum(payload) ? walk(payload, visit) : undefined;
    if (records === undefined) {
      return DAMAGED;
    }
    count += records;
    sum = next_sum(sum, frame_sum);
  }
  return file.read(1) === undefined && is_whole(head, sum, count, identity) ? undefined : DAMAGED;
}

function nothing(): void {
  // The first time it is only looked at.
}

function read_file(
  file: LuaFile,
  identity: string,
  oldest: number,
  visit: Visit,
): LuaMultiReturn<[Written, undefined] | [undefined, string]> {
  const [head, err] = parse_head(file.read("*l"), file.read("*l"), identity);
  if (head === undefined) {
    return $multi(undefined, err);
  }
  const start = file.seek()[0]!;
  const wrong = read_frames(file, head, identity, nothing);
  if (wrong !== undefined) {
    return $multi(undefined, wrong);
  }
  if (head.time < oldest) {
    return $multi(undefined, "it is older than snapshot_max_age");
  }
  const bytes = file.seek()[0]!;
  file.seek("set", start);
  const changed = read_frames(file, head, identity, visit);
  assert(changed === undefined, "the snapshot changed while it was read");
  return $multi({ time: head.time, bytes, count: head.count }, undefined);
}

/**
 * Reads a snapshot. Blocks: for the init phase.
 *
 * @param oldest Unix second before which it must not have been written
 * @param visit gets every record, and none unless all of the file is well
 * @returns nil and what is wrong with it; nil and nothing when there is none
 */
function read(
  path: string,
  identity: string,
  oldest: number,
  visit: Visit,
): LuaMultiReturn<[Written, undefined] | [undefined, string | undefined]> {
  const [file, err, code] = (io as unknown as Opening).open(path, "r");
  if (file === undefined) {
    return $multi(undefined, code === ENOENT ? undefined : err);
  }
  const [written, wrong] = read_file(file, identity, oldest, visit);
  file.close();
  if (written === undefined) {
    return $multi(undefined, wrong);
  }
  return $multi(written, undefined);
}

export { abandon, add, begin, end, end_frame, read };
