/** What Redis says about many names, in one round trip. */

import { Layout } from "../schema/layout";
import { Kind, RouteRecord } from "../schema/record";
import { Command, Reply, transaction } from "../store/redis";
import { add_commands, Answer, decode_first, has_changed_kind, Source } from "./read";

/** One of many names that are read together. */
export interface Asked {
  name: string;
  kind: Kind | undefined;
  /** What counted until now. */
  last: RouteRecord | undefined;
}

/** What was read with others; `false`: it must be read in another way. */
export type ReadTogether = Answer | false;

/** Whether there is such a name; who is not known by itself may still be a pattern's. */
function is_there(read: ReadTogether): boolean {
  return read !== false && read.record !== undefined;
}

function decode_one(layouts: Layout[], one: Asked, replies: Reply[], from: number): ReadTogether {
  const { name, kind, last } = one;
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
    add_commands(commands, source.layouts, one.name, one.kind);
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

export { is_there, read_many };
