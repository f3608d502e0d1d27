/** The route of a request: its host's, or that of a path prefix within the host. */

import { Entry } from "./entry";
import { find, Found, Lookup } from "./lookup";
import { match, PathNode } from "./path";

/**
 * The route of a path within a host.
 *
 * A listed prefix has its paths even when it has no instance: the next wider route may be somebody else's app. Only
 * its own option `fallthrough` lets them go on to the next shorter prefix, and at last to the host.
 */
function find_below(lookup: Lookup, host: Entry, paths: PathNode, path: string): Found {
  let node = match(paths, path);
  while (node !== undefined) {
    const [entry, reason, detail] = find(lookup, node.name!);
    if (entry === undefined) {
      return $multi(undefined, reason === "unknown_route" ? "no_instances" : reason, detail);
    }
    if (entry.refusal === undefined || !entry.falls_through) {
      return $multi(entry, undefined, undefined);
    }
    node = node.shorter;
  }
  return $multi(host, undefined, undefined);
}

/**
 * The route of a request. Yields only when Redis must be waited for.
 *
 * @param name normalised
 * @returns the entry, which may still refuse; or nil, the reason, and what stood behind it
 */
function find_route(lookup: Lookup, name: string): Found {
  const [host, reason, detail] = find(lookup, name);
  if (host === undefined) {
    return $multi(undefined, reason, detail);
  }
  if (host.paths === undefined) {
    return $multi(host, undefined, undefined);
  }
  return find_below(lookup, host, host.paths, ngx.var.uri ?? "/");
}

export { find_route };
