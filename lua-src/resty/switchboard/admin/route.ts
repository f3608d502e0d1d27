/** One route as it is shown. */

import { in_queue, on_route, taken_of } from "../balance/places";
import { begin as begin_breath } from "../observe/breath";
import { read_counts } from "../observe/counters";
import { Sheet } from "../observe/sheet";
import { responses_of } from "../observe/summary";
import { rate_of } from "../observe/top";
import { decode } from "../route/codec";
import { read_route } from "../route/dict";
import { Stored } from "../route/stored";
import { held } from "../route/guard";
import { make_limits } from "../route/limits";
import { Lookup } from "../route/lookup";
import { problems_of } from "../route/problems";
import { has_ready } from "../route/worker_cache";
import { Layout } from "../schema/layout";
import { part_of, RouteRecord } from "../schema/record";
import { parse_split } from "../schema/split";
import { arm_name } from "../schema/within";
import { epoch_of } from "../store/trust";
import { Admin } from "./context";
import { as_list, List } from "./json";
import { attach_live, Member, members_of, tally_of } from "./members";
import { Given, given, refused } from "./reply";
import { seconds_since } from "./seconds";

export type RouteState = "ok" | "empty" | "degraded" | "held";

/** Instances that are listed of one route. */
const MOST_INSTANCES = 1000;

/** What a list of routes can be narrowed by. */
export interface Looked {
  record: RouteRecord;
  members: Member[];
  state: RouteState;
  /** Some instance is ejected. */
  ejected: boolean;
}

export interface Shown {
  name: string;
  schema: string;
  version: string;
  age: number;
  state: RouteState;
  cache: "worker" | "shared";
  tally: Record<Member["state"], number>;
  instances: List;
  meta?: object;
  requests_per_second?: number;
  responses?: Record<string, number>;
  problems: number;
}

/** A split route has no instances of its own: those of its pools take its requests. */
function has_takers(record: RouteRecord, members: Member[]): boolean {
  for (const member of members) {
    if (member.state !== "draining") {
      return true;
    }
  }
  return record.options.split !== undefined;
}

/** Whether it is gone from Redis and served on. */
function is_held(state: NgxSharedDict, stored: Stored): boolean {
  return stored.held || (held(state) !== undefined && stored.epoch < epoch_of(state));
}

/** What there is to know of a stored route. */
function look(lookup: Lookup, name: string, stored: Stored): Looked {
  const record = decode(stored.text);
  const members = members_of(lookup, name, stored, record);
  let ejected = false;
  for (const member of members) {
    ejected = ejected || member.state === "ejected";
  }
  let state: RouteState = ejected ? "degraded" : "ok";
  if (!has_takers(record, members)) {
    state = "empty";
  }
  if (is_held(lookup.dicts.state, stored)) {
    state = "held";
  }
  return { record, members, state, ejected };
}

/** The counts of requests; undefined: none are counted. */
function counts_of(admin: Admin): Sheet | undefined {
  return admin.router.config.observe !== "off" ? read_counts(begin_breath()) : undefined;
}

/** The first so many. */
function first_of(members: Member[], most: number): List {
  const found: Member[] = [];
  for (const i of $range(1, math.min(most, members.length))) {
    found.push(members[i - 1]!);
  }
  return as_list(found);
}

/**
 * A route as lists have it.
 *
 * @param most instances that are listed
 */
function show(
  lookup: Lookup,
  name: string,
  stored: Stored,
  looked: Looked,
  counts: Sheet | undefined,
  most: number,
): Shown {
  const { record } = looked;
  const section = counts?.sections[0];
  const [problems] = problems_of(lookup.dicts, name, stored.loaded);
  return {
    name,
    schema: record.schema ?? "native",
    // The same text is the same version, on every node.
    version: string.sub(ngx.md5(stored.text), 1, 12),
    age: seconds_since(stored.loaded),
    state: looked.state,
    cache: has_ready(lookup.cache, name, ngx.now()) ? "worker" : "shared",
    tally: tally_of(looked.members),
    instances: first_of(looked.members, most),
    meta: record.options.meta,
    requests_per_second: section !== undefined ? rate_of(section, name) : undefined,
    responses: section !== undefined ? responses_of(section, name) : undefined,
    problems,
  };
}

/** The keys that a name is read from, each once. */
function keys_of(layouts: Layout[], name: string, record: RouteRecord | undefined): string[] {
  const seen = new LuaSet<string>();
  const keys: string[] = [];
  const part = record !== undefined ? part_of(record) : undefined;
  const names = part !== undefined ? [name, part] : [name];
  for (const each of names) {
    for (const layout of layouts) {
      for (const command of layout.read(each, undefined)) {
        const key = tostring(command[1]);
        if (!seen.has(key)) {
          seen.add(key);
          keys.push(key);
        }
      }
    }
  }
  return keys;
}

function shares_of(name: string, split: string | undefined): List {
  const found: object[] = [];
  const [shares] = parse_split(split ?? "");
  for (const { pool, share } of shares ?? []) {
    found.push({ pool, share, route: arm_name(name, pool) });
  }
  return as_list(found);
}

/** Those that are no list or table of their own. */
function plain_options(record: RouteRecord): object {
  const options = new LuaTable<string, unknown>();
  for (const [option, value] of pairs(record.options as Record<string, unknown>)) {
    if (option !== "policy" && option !== "meta" && option !== "split") {
      options.set(option, value);
    }
  }
  return options;
}

/** The limits of a route, and how near it is to them; undefined: it has none. */
function limits_of(name: string, record: RouteRecord): object | undefined {
  const limits = make_limits(record.options.policy ?? {});
  if (limits === undefined) {
    return undefined;
  }
  return {
    max_conns: limits.max_conns,
    max_inflight: limits.max_inflight,
    queue: limits.queue,
    queue_timeout: limits.queue_timeout,
    in_flight: limits.max_inflight > 0 ? taken_of(on_route(name)) : undefined,
    waiting: taken_of(in_queue(name)),
  };
}

/** `GET /routes/<name>` */
function route(admin: Admin, name: string): Given {
  const { lookup } = admin.router;
  const stored = read_route(lookup.dicts, name);
  if (stored === undefined) {
    return refused(404, "unknown_route", "this node has no such route; /explain?host= looks into Redis too");
  }
  const looked = look(lookup, name, stored);
  const { record } = looked;
  const [, skipped] = problems_of(lookup.dicts, name, stored.loaded);
  const counts = counts_of(admin);
  attach_live(lookup.dicts.metrics, looked.members);
  const shown = show(lookup, name, stored, looked, counts, MOST_INSTANCES) as unknown as Record<
    string,
    unknown
  >;
  shown.options = plain_options(record);
  shown.policy = record.options.policy ?? {};
  shown.limits = limits_of(name, record);
  shown.split = shares_of(name, record.options.split);
  shown.paths = as_list(record.paths ?? []);
  shown.source_keys = as_list(keys_of(lookup.loader.layouts, name, record));
  shown.skipped = as_list(skipped);
  return given(shown);
}

export { counts_of, keys_of, look, route, show };
