/**
 * Routes by path within a host: which of the listed prefixes has a path.
 *
 * The prefixes of a host stand in a tree of segments, so a match costs what the path is long, however many there are:
 * no list is gone through. Prefixes end at whole segments: `/foo` has `/foo` and `/foo/x`, not `/foobar`.
 */

import { absent } from "../absent";
import { find_captured } from "../captured";
import { create as create_recent, get, Recent, set } from "./recent";

/** A segment of a prefix; the root stands for `/`. */
export interface PathNode {
  children: LuaTable<string, PathNode> | undefined;
  /** The route of the prefix that ends here; undefined: none does. */
  name: string | undefined;
  /** The node of the next shorter prefix; undefined: the host itself has what this one leaves. */
  shorter: PathNode | undefined;
}

/** The prefixes of a host. */
export interface Paths {
  root: PathNode;
  /** Matches by path: most requests of a site ask for what others have asked for. False: the host has it. */
  matched: Recent<PathNode | false>;
}

/** Paths whose match is remembered, per host; longer ones (bytes) are matched each time. */
const MOST_MATCHED = 256;
const LONGEST_MATCHED = 256;
const A_SEGMENT = "([^/]+)";

function child_of(node: PathNode, segment: string): PathNode {
  let children = node.children;
  if (children === undefined) {
    children = new LuaTable();
    node.children = children;
  }
  let child = children.get(segment);
  if (child === undefined) {
    child = { children: absent, name: absent, shorter: absent };
    children.set(segment, child);
  }
  return child;
}

function link(node: PathNode, shorter: PathNode | undefined): void {
  node.shorter = shorter;
  if (node.children === undefined) {
    return;
  }
  const above = node.name !== undefined ? node : shorter;
  for (const [, child] of pairs(node.children)) {
    link(child, above);
  }
}

/**
 * @param host the name that the prefixes belong to: a host or a pattern
 * @param prefixes good ones
 */
function create(host: string, prefixes: string[]): Paths {
  const root: PathNode = { children: absent, name: absent, shorter: absent };
  for (const prefix of prefixes) {
    let node = root;
    let [, end, segment] = find_captured(prefix, A_SEGMENT);
    while (end !== undefined) {
      node = child_of(node, segment!);
      [, end, segment] = find_captured(prefix, A_SEGMENT, end + 1);
    }
    node.name = host + prefix;
  }
  link(root, undefined);
  return { root, matched: create_recent(MOST_MATCHED) };
}

/** The node of the segment that begins at `from`, and where the next segment begins; nil: there is no such. */
function step(
  node: PathNode,
  path: string,
  from: number,
): LuaMultiReturn<[PathNode | undefined, number | undefined]> {
  if (node.children === undefined) {
    return $multi(undefined, undefined);
  }
  const [slash] = string.find(path, "/", from, true);
  if (slash === undefined) {
    return $multi(node.children.get(string.sub(path, from)), undefined);
  }
  return $multi(node.children.get(string.sub(path, from, slash - 1)), slash + 1);
}

/** The prefix that ends here, or the next shorter one. */
function prefix_at(node: PathNode): PathNode | undefined {
  return node.name !== undefined ? node : node.shorter;
}

function match_deeper(start: PathNode, path: string, start_from: number): PathNode | undefined {
  let node = start;
  let from: number | undefined = start_from;
  while (from !== undefined) {
    const [child, next] = step(node, path, from);
    if (child === undefined) {
      return prefix_at(node);
    }
    node = child;
    from = next;
  }
  return prefix_at(node);
}

/**
 * The first two segments, which is all that most prefixes have, are looked at without a loop: LuaJIT leaves the trace
 * of a request for every loop.
 */
function work_out(root: PathNode, path: string): PathNode | undefined {
  const [first, second_from] = step(root, path, 2);
  if (first === undefined) {
    return undefined;
  }
  if (second_from === undefined) {
    return prefix_at(first);
  }
  const [second, third_from] = step(first, path, second_from);
  if (second === undefined) {
    return prefix_at(first);
  }
  if (third_from === undefined || second.children === undefined) {
    return prefix_at(second);
  }
  return match_deeper(second, path, third_from);
}

/**
 * The longest prefix that has a path; undefined: none.
 *
 * @param path normalised and decoded, as nginx's `$uri`
 */
function match(paths: Paths, path: string): PathNode | undefined {
  const known = get(paths.matched, path);
  if (known !== undefined) {
    return known !== false ? known : undefined;
  }
  const node = work_out(paths.root, path);
  if (path.length <= LONGEST_MATCHED) {
    set(paths.matched, path, node ?? false);
  }
  return node;
}

export { create, match };
