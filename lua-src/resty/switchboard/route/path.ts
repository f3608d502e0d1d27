/**
 * Routes by path within a host: which of the listed prefixes has a path.
 *
 * The prefixes of a host stand in a tree of segments, so a match costs what the path is long, however many there are:
 * no list is gone through. Prefixes end at whole segments: `/foo` has `/foo` and `/foo/x`, not `/foobar`.
 */

/** A segment of a prefix; the root stands for `/`. */
export interface PathNode {
  children: LuaTable<string, PathNode> | undefined;
  /** The route of the prefix that ends here; undefined: none does. */
  name: string | undefined;
  /** The node of the next shorter prefix; undefined: the host itself has what this one leaves. */
  shorter: PathNode | undefined;
}

function child_of(node: PathNode, segment: string): PathNode {
  let children = node.children;
  if (children === undefined) {
    children = new LuaTable();
    node.children = children;
  }
  let child = children.get(segment);
  if (child === undefined) {
    child = { children: undefined, name: undefined, shorter: undefined };
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
function create(host: string, prefixes: string[]): PathNode {
  const root: PathNode = { children: undefined, name: undefined, shorter: undefined };
  for (const prefix of prefixes) {
    let node = root;
    for (const [segment] of string.gmatch(prefix, "[^/]+")) {
      node = child_of(node, segment!);
    }
    node.name = host + prefix;
  }
  link(root, undefined);
  return root;
}

/**
 * The longest prefix that has a path; undefined: none.
 *
 * @param path normalised and decoded, as nginx's `$uri`
 */
function match(root: PathNode, path: string): PathNode | undefined {
  let node: PathNode | undefined = root;
  let longest: PathNode | undefined = undefined;
  let from = 2;
  while (node !== undefined && node.children !== undefined) {
    const [slash] = string.find(path, "/", from, true);
    node = node.children.get(string.sub(path, from, slash !== undefined ? slash - 1 : -1));
    if (node !== undefined && node.name !== undefined) {
      longest = node;
    }
    if (slash === undefined) {
      return longest;
    }
    from = slash + 1;
  }
  return longest;
}

export { create, match };
