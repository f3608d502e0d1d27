/** What Redis says about many names, in one round trip. */

import { Layout, Plain, Quick } from "../schema/layout";
import { Kind, RouteRecord } from "../schema/record";
import { Command, Reply, transaction } from "../store/redis";
import { add_commands, Answer, decode_first, has_changed_kind, Source } from "./read";

/** One of many names that are read together. */
export interface Asked {
  name: string;
  kind: Kind | undefined;
  /** Only whether it is plain is asked, the quick way; it has a kind then. */
  quickly: boolean;
  /** What counted until now. */
  last: RouteRecord | undefined;
}

/** What was read with others; `false`: it must be read in another way. */
export type ReadTogether = Answer | Plain | false;

function is_plain(read: Answer | Plain): read is Plain {
  return (read as Plain).instances !== undefined;
}

/** Whether there is such a name; who is not known by itself may still be a pattern's. */
function is_there(read: ReadTogether): boolean {
  return read !== false && (is_plain(read) || read.record !== undefined);
}

/** The quick way; undefined: there is none, as with several layouts. */
function quick_of(layouts: Layout[]): Quick | undefined {
  return layouts.length === 1 ? layouts[0]!.quick : undefined;
}

function ask_one(commands: Command[], layouts: Layout[], one: Asked): void {
  const quick = one.quickly ? quick_of(layouts) : undefined;
  if (quick === undefined || !quick.ask(commands, one.name, one.kind!)) {
    one.quickly = false;
    add_commands(commands, layouts, one.name, one.kind);
  }
}

function decode_one(layouts: Layout[], one: Asked, replies: Reply[], from: number): ReadTogether {
  const { name, kind, last } = one;
  if (one.quickly) {
    return quick_of(layouts)!.decode(kind!, replies, from) ?? false;
  }
  if (has_changed_kind(layouts, name, kind, replies, from)) {
    return false;
  }
  const [record, refused] = decode_first(layouts, name, kind, replies, from, last);
  const is_simple =
    record === undefined || (record.options.pool === undefined && record.instances.length > 0);
  if (refused !== undefined || !is_simple) {
    return false;
  }
  return { record, pattern: "", pool_stamp: 0, marked: undefined };
}

/**
 * Reads many names in one round trip: those that need no second one.
 *
 * @returns for each, in order, what was read
 */
function read_many(
  source: Source,
  asked: Asked[],
): LuaMultiReturn<[ReadTogether[], undefined] | [undefined, string]> {
  const commands: Command[] = [];
  const starts: number[] = [];
  for (const one of asked) {
    starts.push(commands.length);
    ask_one(commands, source.layouts, one);
  }
  const [replies, err] = transaction(source.config, commands, source.deadline - ngx.now());
  if (replies === undefined) {
    return $multi(undefined, err);
  }
  const found: ReadTogether[] = [];
  for (const i of $range(1, asked.length)) {
    found.push(decode_one(source.layouts, asked[i - 1]!, replies, starts[i - 1]!));
  }
  return $multi(found, undefined);
}

export { is_plain, is_there, quick_of, read_many };
