/**
 * The marks by which hipache, planb and their health checkers tell each other of dead backends: `dead:<host>`, a set of
 * 0-based indexes into the list of `frontend:<host>`.
 *
 * An index is a bad name: an `LREM` moves all behind it, and a mark then means a backend that is well. So the entry
 * that stood at an index when its mark was first seen is remembered with the route, and a mark whose index has another
 * entry by now means nobody.
 */

import { plain_entry, RouteRecord } from "./record";
import { Words } from "./replies";

/** By index, as text. */
export type Marks = Record<string, string>;

/** More would be no list of backends any more. */
const MOST_MARKS = 1000;

/**
 * What the marks mean.
 *
 * @param entries of the list, without its id
 * @param members of the set, any texts: what is no index into the list means nothing
 * @param before what was remembered when the route was read last
 * @returns the marks to remember, undefined for none, and the entries that are dead
 */
function read_marks(
  entries: string[],
  members: Words,
  before: Marks | undefined,
): LuaMultiReturn<[Marks | undefined, LuaSet<string>]> {
  const dead = new LuaSet<string>();
  const marks: Marks = {};
  let count = 0;
  for (const member of members) {
    const text = tostring(member);
    const digits = string.find(text, "^%d+$")[0] !== undefined && text.length <= 6 ? text : undefined;
    const entry = digits !== undefined ? entries[tonumber(digits)!] : undefined;
    if (entry !== undefined && count < MOST_MARKS) {
      count += 1;
      const index = string.format("%d", tonumber(digits)!);
      const meant = before?.[index] ?? entry;
      marks[index] = meant;
      if (meant === entry) {
        dead.add(entry);
      }
    }
  }
  return $multi(count > 0 ? marks : undefined, dead);
}

/**
 * Gives a host the route of its pattern, under marks of its own: hipache's routers leave theirs under the host that was
 * asked for. Both sets count.
 *
 * @param record of the pattern, which becomes the host's
 * @param before what was remembered of the host's marks
 * @returns false: its marks mean nobody, and it has no route but the pattern's
 */
function put_under_marks(
  record: RouteRecord,
  pattern: string,
  members: Words,
  before: Marks | undefined,
): boolean {
  const [marks, dead] = read_marks(record.entries ?? [], members, before);
  if (marks === undefined) {
    return false;
  }
  for (const instance of record.instances) {
    if (dead.has(instance.entry ?? plain_entry(instance))) {
      instance.dead = true;
    }
  }
  record.marks = marks;
  record.under = pattern;
  return true;
}

export { put_under_marks, read_marks };
