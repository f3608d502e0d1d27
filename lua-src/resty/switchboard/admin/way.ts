/**
 * The way that a supposed request takes to its route: what a request runs, run over the same caches.
 */

import { on_route, taken_of } from "../balance/places";
import { Reason, status_of } from "../request/answer";
import { prefer } from "../request/choose";
import { find_below, kept_arm, seek_arm } from "../request/find";
import { refusal_of, status_of_redirect } from "../request/obey";
import { decode } from "../route/codec";
import { Entry } from "../route/entry";
import { patterns } from "../route/host";
import { find, Lookup } from "../route/lookup";
import { match } from "../route/path";
import { Arm, Split } from "../route/split";
import { RouteRecord } from "../schema/record";
import { Admin } from "./context";
import { keys_of } from "./route";
import { Supposed } from "./supposed";

interface Answer {
  status: number;
  reason: string;
}

/** How far a request comes. */
export interface Way {
  /** The last route that it comes to; undefined: none. */
  entry: Entry | undefined;
  /** The route of its host or pattern. */
  site: Entry | undefined;
  answer: Answer | undefined;
  detail: string | undefined;
  /** It depends on the client's address, which was not said. */
  needs_client: boolean;
  /** The keys in Redis that say it, in the order in which they are read. */
  keys: string[];
  seen: LuaSet<string>;
}

/** The same caches, with counts of its own: nothing that is asked here is counted as a request's. */
function shadow_of(lookup: Lookup): Lookup {
  return {
    config: lookup.config,
    dicts: lookup.dicts,
    loader: lookup.loader,
    queue: lookup.queue,
    cache: lookup.cache,
    trust: lookup.trust,
    trust_tick: lookup.trust_tick,
    found_in: undefined,
    hits: 0,
    misses: 0,
    waits: 0,
  };
}

/** A split whose turns nobody misses. */
function copy_of(split: Split): Split {
  const arms: Arm[] = [];
  const by_mark = new LuaTable<string, Arm>();
  for (const arm of split.arms) {
    const same = { name: arm.name, mark: arm.mark, share: arm.share, standing: arm.standing };
    arms.push(same);
    by_mark.set(arm.mark, same);
  }
  return { arms, by_mark, cookie: split.cookie };
}

function record_of(entry: Entry): RouteRecord {
  return decode(entry.text);
}

function note_key(way: Way, key: string): void {
  if (!way.seen.has(key)) {
    way.seen.add(key);
    way.keys.push(key);
  }
}

/** The keys from which a name is read. */
function note_keys(way: Way, lookup: Lookup, name: string, record: RouteRecord | undefined): void {
  for (const key of keys_of(lookup.loader.layouts, name, record)) {
    note_key(way, key);
  }
}

/** Those of the patterns that were asked for until one was known. */
function note_patterns(way: Way, lookup: Lookup, name: string, known: string | undefined): void {
  for (const pattern of patterns(name)) {
    for (const layout of lookup.loader.layouts) {
      const command = layout.ask_known(pattern) ?? [];
      for (const i of $range(2, command.length)) {
        note_key(way, tostring(command[i - 1]));
      }
    }
    if (pattern === known) {
      return;
    }
  }
}

function refuse(way: Way, admin: Admin, reason: Reason, detail: string | undefined): void {
  way.answer = { status: status_of(admin.router.config, reason), reason };
  way.detail = detail;
}

/** Finds the route as a request does. Yields when Redis must be waited for. */
function find_site(way: Way, admin: Admin, lookup: Lookup, name: string, path: string): void {
  const [site, reason, detail] = find(lookup, name);
  note_keys(way, lookup, name, site !== undefined && site.name === name ? record_of(site) : undefined);
  if (site === undefined || site.name !== name) {
    note_patterns(way, lookup, name, site?.name);
  }
  if (site === undefined) {
    refuse(way, admin, reason, detail);
    return;
  }
  way.site = site;
  note_keys(way, lookup, site.name, record_of(site));
  if (site.paths === undefined) {
    way.entry = site;
    return;
  }
  const node = match(site.paths, path);
  let listed = node;
  const [below, no, because] = find_below(lookup, site, node);
  while (listed !== undefined) {
    const is_it = below !== undefined && listed.name === below.name;
    note_keys(way, lookup, listed.name!, is_it ? record_of(below) : undefined);
    listed = is_it ? undefined : listed.shorter;
  }
  way.entry = below;
  if (below === undefined) {
    refuse(way, admin, no, because);
  }
}

/** Puts it under the options of its route, as a request is. */
function enter(way: Way, admin: Admin, entry: Entry, supposed: Supposed): void {
  const { policy } = entry;
  const refused_by =
    policy !== undefined
      ? refusal_of(policy, false, supposed.vars.scheme === "https", supposed.vars)
      : undefined;
  if (refused_by === "to_https") {
    way.answer = { status: status_of_redirect(supposed.vars.request_method ?? ""), reason: "https_redirect" };
  } else if (refused_by !== undefined) {
    refuse(way, admin, refused_by, undefined);
  }
}

/** As many requests run on the route as may. */
function heed_limits(way: Way, admin: Admin, entry: Entry): void {
  const most = entry.policy?.limits?.max_inflight ?? 0;
  if (most > 0 && taken_of(on_route(entry.name)) >= most) {
    refuse(way, admin, "overloaded", `max_inflight: ${most} requests run`);
  }
}

/** Goes on to one of the pools that share the requests of the route. */
function find_pool(way: Way, admin: Admin, lookup: Lookup, whole: Entry, supposed: Supposed): void {
  if (whole.split === undefined) {
    return;
  }
  const split = copy_of(whole.split);
  const passed: Arm[] = [];
  const [entry, , reason, detail] = seek_arm(lookup, split, kept_arm(split, supposed.vars), passed);
  for (const arm of passed) {
    note_keys(way, lookup, arm.name, undefined);
  }
  if (reason !== undefined) {
    refuse(way, admin, reason, detail);
    return;
  }
  way.entry = entry ?? whole;
  if (entry !== undefined) {
    note_keys(way, lookup, entry.name, record_of(entry));
  }
}

/** The route says no, unless the request has the cookie of an instance that rests. */
function heed_refusal(way: Way, admin: Admin, entry: Entry, supposed: Supposed): void {
  if (entry.refusal === undefined) {
    return;
  }
  const kept = entry.choice !== undefined ? prefer(undefined, entry.choice, supposed.vars)[0] : undefined;
  if (kept === undefined) {
    refuse(way, admin, entry.refusal, undefined);
  }
}

/**
 * The way of a request, up to its route or to what it is answered. Yields when Redis must be waited for.
 *
 * @param lookup a shadow
 * @param key what its host is looked up by
 */
function find_way(admin: Admin, lookup: Lookup, key: string, supposed: Supposed): Way {
  const way: Way = {
    entry: undefined,
    site: undefined,
    answer: undefined,
    detail: undefined,
    needs_client: false,
    keys: [],
    seen: new LuaSet(),
  };
  const client_said = supposed.client !== undefined;
  find_site(way, admin, lookup, key, supposed.path);
  const whole = way.entry;
  if (whole === undefined) {
    return way;
  }
  way.needs_client = whole.policy?.gate !== undefined && !client_said;
  enter(way, admin, whole, supposed);
  if (way.answer === undefined) {
    find_pool(way, admin, lookup, whole, supposed);
  }
  if (way.answer === undefined) {
    heed_refusal(way, admin, way.entry!, supposed);
  }
  if (way.answer === undefined) {
    heed_limits(way, admin, whole);
  }
  if (way.answer === undefined && way.entry!.choice?.variable === "switchboard_client") {
    way.needs_client = !client_said;
  }
  return way;
}

export { find_way, record_of, shadow_of };
