/**
 * A bounded map that forgets what was not used for long.
 *
 * Two generations: what is used moves to the young one; when that is full it becomes the old one, and the
 * old one is dropped. A read of something young is one table lookup, where an exact LRU relinks a list at
 * every read.
 */

export interface Recent<T> {
  young: LuaTable<string, T>;
  old: LuaTable<string, T>;
  /** Values in the young generation. */
  count: number;
  /** Most values in one generation. */
  limit: number;
}

/** @param most values that are kept at least half of, and never more than */
function create<T>(most: number): Recent<T> {
  return { young: new LuaTable(), old: new LuaTable(), count: 0, limit: math.max(1, math.floor(most / 2)) };
}

function set<T>(recent: Recent<T>, key: string, value: T): void {
  if (!recent.young.has(key)) {
    if (recent.count >= recent.limit) {
      recent.old = recent.young;
      recent.young = new LuaTable();
      recent.count = 0;
    }
    recent.count += 1;
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
    set(recent, key, old);
  }
  return old;
}

function remove<T>(recent: Recent<T>, key: string): void {
  if (recent.young.has(key)) {
    recent.young.delete(key);
    recent.count -= 1;
  }
  recent.old.delete(key);
}

function clear<T>(recent: Recent<T>): void {
  recent.young = new LuaTable();
  recent.old = new LuaTable();
  recent.count = 0;
}

export { clear, create, get, remove, set };
