/** `GET /routes`: what this node knows, a page at a time. */

import { read_route } from "../route/dict";
import { Lookup } from "../route/lookup";
import { count } from "../route/names";
import { Admin, Asked } from "./context";
import { as_list } from "./json";
import { next_page } from "./page";
import { Pair, stranger, value_of, whole } from "./query";
import { Given, given, refused } from "./reply";
import { counts_of, look, show } from "./route";

const FEW = 100;
const MOST = 1000;
const META = "meta.";
const STATES = ["ok", "empty", "ejected"];
/** Routes that are written in one go. */
const SLICE = 50;
/** Seconds between two slices: stock nginx logs a warning at each sleep of none. */
const BREATH = 0.001;

function metas_of(query: Pair[]): Pair[] {
  const found: Pair[] = [];
  for (const pair of query) {
    if (string.sub(pair.name, 1, META.length) === META) {
      found.push({ name: string.sub(pair.name, META.length + 1), value: pair.value });
    }
  }
  return found;
}

function is_state(state: string): boolean {
  for (const one of STATES) {
    if (one === state) {
      return true;
    }
  }
  return false;
}

/** What a route must have to be listed, beside its name. */
function matches(lookup: Lookup, name: string, state: string | undefined, metas: Pair[]): boolean {
  const stored = read_route(lookup.dicts, name);
  if (stored === undefined) {
    return false;
  }
  const looked = look(lookup, name, stored);
  for (const meta of metas) {
    if (looked.record.options.meta?.[meta.name] !== meta.value) {
      return false;
    }
  }
  return state === undefined || (state === "ejected" ? looked.ejected : looked.state === state);
}

/** `GET /routes?limit=&after=&q=&state=&meta.<key>=` Yields. */
function routes(admin: Admin, asked: Asked): Given {
  const { query } = asked;
  const { lookup } = admin.router;
  const strange = stranger(query, ["limit", "after", "q", "state"], META);
  if (strange !== undefined) {
    return refused(400, "bad_query", `unknown parameter: ${strange}`);
  }
  const limit = whole(query, "limit", FEW, 1, MOST);
  if (limit === undefined) {
    return refused(400, "bad_query", `limit must be a whole number from 1 to ${MOST}`);
  }
  const state = value_of(query, "state");
  if (state !== undefined && !is_state(state)) {
    return refused(400, "bad_query", `state must be one of ${table.concat(STATES, ", ")}`);
  }
  const part = string.lower(value_of(query, "q") ?? "");
  const metas = metas_of(query);
  const page = next_page(
    lookup.dicts.names,
    value_of(query, "after") ?? "",
    limit,
    (name) => part === "" || string.find(name, part, 1, true)[0] !== undefined,
    state !== undefined || metas.length > 0 ? (name) => matches(lookup, name, state, metas) : undefined,
  );
  const counts = counts_of(admin);
  const shown: object[] = [];
  for (const i of $range(1, page.names.length)) {
    const name = page.names[i - 1]!;
    const stored = read_route(lookup.dicts, name);
    if (stored !== undefined) {
      shown.push(show(lookup, name, stored, look(lookup, name, stored), counts));
    }
    if (i % SLICE === 0) {
      ngx.sleep(BREATH);
    }
  }
  return given({
    total: page.total,
    known: count(lookup.dicts.names),
    next: page.more ? page.names[page.names.length - 1] : ngx.null,
    routes: as_list(shown),
  });
}

export { routes };
