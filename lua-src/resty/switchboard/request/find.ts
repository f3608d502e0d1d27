/** The route of a request: its host's, that of a path prefix within the host, or of a pool that it is split over. */

import { count } from "../observe/counters";
import { compile_empty_path, Entry } from "../route/entry";
import { find, Found, Lookup, Refusal } from "../route/lookup";
import { match, PathNode } from "../route/path";
import { Arm, Split, take_turn } from "../route/split";
import { came_by_tls } from "./forwarded";

/** nginx's variables of a request. */
export type Vars = Record<string, string | undefined>;

type Sought = LuaMultiReturn<[Entry | undefined, Arm | undefined, Refusal | undefined, string | undefined]>;

/**
 * The route of a path within a host.
 *
 * A listed prefix has its paths even when it has no instance: the next wider route may be somebody else's app. Only
 * its own option `fallthrough` lets them go on to the next shorter prefix, and at last to the host.
 */
function find_below(lookup: Lookup, host: Entry, node: PathNode | undefined): Found {
  if (node === undefined) {
    return $multi(host, undefined, undefined);
  }
  const [entry, reason, detail] = find(lookup, node.name!);
  if (entry === undefined && reason === "unknown_route") {
    return $multi(compile_empty_path(host, node.name!), undefined, undefined);
  }
  if (entry === undefined) {
    return $multi(undefined, reason, detail);
  }
  if (entry.refusal === undefined || entry.split !== undefined || !entry.falls_through) {
    return $multi(entry, undefined, undefined);
  }
  return find_below(lookup, host, node.shorter);
}

function keep_client(split: Split, arm: Arm): void {
  const header = ngx.header as Record<string, string | string[] | undefined>;
  const secure = came_by_tls() ? "; Secure" : "";
  header["Set-Cookie"] = `${split.cookie}=${arm.mark}; Path=/; HttpOnly; SameSite=Lax${secure}`;
}

/**
 * The arm that the client's cookie means.
 *
 * @param vars of the request
 */
function kept_arm(split: Split, vars: Vars): Arm | undefined {
  const mark = split.cookie !== undefined ? vars[`cookie_${split.cookie}`] : undefined;
  return mark !== undefined ? (split.by_mark.get(mark) as Arm | undefined) : undefined;
}

/**
 * The first of the arms that has a usable instance: the one that the client is kept at, then those whose turn it is.
 *
 * @param passed takes the arms that had none
 * @returns its route, and which it is; nil without a reason: none has
 */
function seek_arm(lookup: Lookup, split: Split, kept: Arm | undefined, passed: Arm[]): Sought {
  let arm = kept ?? take_turn(split, passed);
  while (arm !== undefined) {
    const [entry, reason, detail] = find(lookup, arm.name);
    if (entry !== undefined && entry.refusal === undefined) {
      return $multi(entry, arm, undefined, undefined);
    }
    if (entry === undefined && reason === "store_unreachable" && passed.length === split.arms.length - 1) {
      return $multi(undefined, undefined, reason, detail);
    }
    passed.push(arm);
    arm = take_turn(split, passed);
  }
  return $multi(undefined, undefined, undefined, undefined);
}

/**
 * The route of one of the pools that a route is split over: where the client landed before, else by turns. A pool
 * without a usable instance leaves its share to the others.
 */
function find_arm(lookup: Lookup, whole: Entry, split: Split): Found {
  const passed: Arm[] = [];
  const kept = kept_arm(split, ngx.var as Vars);
  const [entry, arm, reason, detail] = seek_arm(lookup, split, kept, passed);
  if (passed.length > 0) {
    count("switchboard_split_passed_total", passed.length);
  }
  if (entry !== undefined) {
    if (split.cookie !== undefined && arm !== kept) {
      keep_client(split, arm!);
    }
    return $multi(entry, undefined, undefined);
  }
  if (reason !== undefined) {
    return $multi(undefined, reason, detail);
  }
  return $multi(whole, undefined, undefined);
}

/** The route of a host that leads on: by path, or to pools. */
function find_within(lookup: Lookup, host: Entry): Found {
  let entry: Entry | undefined = host;
  if (host.paths !== undefined) {
    const [below, reason, detail] = find_below(lookup, host, match(host.paths, ngx.var.uri ?? "/"));
    if (below === undefined) {
      return $multi(undefined, reason, detail);
    }
    entry = below;
  }
  // Under options a request may be refused, or go on to another location and be looked up anew: it takes no turn yet.
  if (entry.split !== undefined && entry.policy === undefined) {
    return find_arm(lookup, entry, entry.split);
  }
  return $multi(entry, undefined, undefined);
}

/**
 * The route of a request. Yields only when Redis must be waited for. Where a route with options is split it is that
 * route: once the request is under its options, `find_arm` finds the pool's.
 *
 * @param name normalised
 * @returns the entry, which may still refuse; or nil, the reason, and what stood behind it
 */
function find_route(lookup: Lookup, name: string): Found {
  const [host, reason, detail] = find(lookup, name);
  if (host === undefined) {
    return $multi(undefined, reason, detail);
  }
  if (host.leads_on) {
    return find_within(lookup, host);
  }
  return $multi(host, undefined, undefined);
}

export { find_arm, find_below, find_route, kept_arm, seek_arm };
