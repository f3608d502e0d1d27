/**
 * A bounded map that makes room by forgetting what was not used for long.
 *
 * Two generations: what is used moves to the young one; when nothing else is left the young one becomes the old one. What
 * is forgotten is any of the old: whoever was not used since; and at that change, where all were used, the one that the
 * hash has first. A read of something young is one table lookup, where an exact LRU relinks a list at every read; and who
 * goes round one value more than there is room for misses few of them, where an exact LRU has forgotten each just before it
 * is asked for.
 */

import { absent } from "../absent";

export interface Recent<T> {
  young: LuaTable<string, T>;
  old: LuaTable<string, T>;
  /** Values in both. */
  count: number;
  most: number;
  /** The last key that was forgotten of the old ones; those before it are gone. */
  cursor: string | undefined;
}

/** @param most values that are kept */
function create<T>(most: number): Recent<T> {
  return { young: new LuaTable(), old: new LuaTable(), count: 0, most: math.max(1, most), cursor: absent };
}

/** Nothing is ever added to the old ones, so that `next` may go on after a key that was deleted. */
function make_room<T>(recent: Recent<T>): void {
  let victim = next(recent.old, recent.cursor)[0] as string | undefined;
  if (victim === undefined) {
    recent.old = recent.young;
    recent.young = new LuaTable();
    victim = next(recent.old)[0] as string | undefined;
  }
  recent.old.delete(victim!);
  recent.cursor = victim;
  recent.count -= 1;
}

function set<T>(recent: Recent<T>, key: string, value: T): void {
  if (!recent.young.has(key)) {
    if (recent.old.has(key)) {
      recent.old.delete(key);
    } else {
      if (recent.count >= recent.most) {
        make_room(recent);
      }
      recent.count += 1;
    }
  }
  recent.young.set(key, value);
}

function get<T>(recent: Recent<T>, key: string): T | undefined {
  const young = recent.young.get(key);
  if (young !== undefined) {
    return young;
  }
  const old = recent.old.get(key);
  if (old !== undefined) {
    recent.old.delete(key);
    recent.young.set(key, old);
  }
  return old;
}

function remove<T>(recent: Recent<T>, key: string): void {
  if (recent.young.has(key)) {
    recent.young.delete(key);
    recent.count -= 1;
  } else if (recent.old.has(key)) {
    recent.old.delete(key);
    recent.count -= 1;
  }
}

function clear<T>(recent: Recent<T>): void {
  recent.young = new LuaTable();
  recent.old = new LuaTable();
  recent.count = 0;
  recent.cursor = undefined;
}

export { clear, create, get, remove, set };
