/** `GET /routes`: what this node knows, a page at a time or by name. */

import { read_route } from "../route/dict";
import { count } from "../route/names";
import { Admin, Asked } from "./context";
import { as_list } from "./json";
import { attach_live, Member } from "./members";
import { next_of, Page } from "./page";
import { Pair, stranger, value_of, values_of, whole } from "./query";
import { Given, given, refused, Refused } from "./reply";
import { counts_of, look, show, Shown } from "./route";
import { select } from "./selection";

const FEW = 100;
/** Instances of a route that are listed, unless asked for more, and at most. */
const FEW_INSTANCES = 100;
const MOST_INSTANCES = 1000;
/** Routes that are written in one go. */
const SLICE = 50;
/** Seconds between two slices: stock nginx logs a warning at each sleep of none. */
const BREATH = 0.001;

/** The routes that are asked for by their names, each once. */
function named(query: Pair[]): LuaMultiReturn<[Page, undefined] | [undefined, Refused]> {
  if (stranger(query, ["name", "instances"], "") !== undefined) {
    return refused(400, "bad_query", "with name nothing but instances may be said");
  }
  const seen = new LuaSet<string>();
  const names: string[] = [];
  for (const name of values_of(query, "name")) {
    if (!seen.has(name)) {
      seen.add(name);
      names.push(name);
    }
  }
  return $multi({ names, total: 0, more: false, bound: undefined }, undefined);
}

/** `GET /routes?name=&instances=` or `?limit=&after=&q=&state=&order=&meta.<key>=&instances=` Yields. */
function routes(admin: Admin, asked: Asked): Given {
  const { query } = asked;
  const { lookup } = admin.router;
  const by_name = value_of(query, "name") !== undefined;
  const [page, wrong] = by_name ? named(query) : select(admin, query, FEW, ["instances"]);
  if (page === undefined) {
    return $multi(undefined, wrong);
  }
  const most = whole(query, "instances", FEW_INSTANCES, 0, MOST_INSTANCES);
  if (most === undefined) {
    return refused(400, "bad_query", `instances must be a whole number from 0 to ${MOST_INSTANCES}`);
  }
  const counts = counts_of(admin);
  const shown: Shown[] = [];
  const members: Member[] = [];
  for (const i of $range(1, page.names.length)) {
    const name = page.names[i - 1]!;
    const stored = read_route(lookup.dicts, name);
    if (stored !== undefined) {
      const looked = look(lookup, name, stored);
      shown.push(show(lookup, name, stored, looked, counts, most));
      for (const k of $range(1, by_name ? math.min(most, looked.members.length) : 0)) {
        members.push(looked.members[k - 1]!);
      }
    }
    if (i % SLICE === 0) {
      ngx.sleep(BREATH);
    }
  }
  if (by_name) {
    attach_live(lookup.dicts.metrics, members);
  }
  return given({
    total: by_name ? shown.length : page.total,
    known: count(lookup.dicts.names),
    next: next_of(page) ?? ngx.null,
    routes: as_list(shown),
  });
}

export { routes };
