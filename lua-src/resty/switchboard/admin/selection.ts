/** Which of the known routes are asked for: a page of their names. */

import { busiest } from "../observe/top";
import { read_route } from "../route/dict";
import { Lookup } from "../route/lookup";
import { Admin } from "./context";
import { next_page, Page, page_of } from "./page";
import { Pair, stranger, value_of, whole } from "./query";
import { refused, Refused } from "./reply";
import { counts_of, look } from "./route";

const MOST = 1000;
const META = "meta.";
const STATES = ["ok", "empty", "ejected", "held"];
const ORDERS = ["name", "busiest"];

function metas_of(query: Pair[]): Pair[] {
  const found: Pair[] = [];
  for (const pair of query) {
    if (string.sub(pair.name, 1, META.length) === META) {
      found.push({ name: string.sub(pair.name, META.length + 1), value: pair.value });
    }
  }
  return found;
}

/** Why a query asks for nothing that there is; undefined: it does. */
function complaint(query: Pair[], more: string[]): string | undefined {
  const strange = stranger(query, ["limit", "after", "q", "state", "order", ...more], META);
  if (strange !== undefined) {
    return `unknown parameter: ${strange}`;
  }
  const choices: [string, string[]][] = [
    ["state", STATES],
    ["order", ORDERS],
  ];
  for (const [name, words] of choices) {
    const value = value_of(query, name);
    if (value !== undefined && !has(words, value)) {
      return `${name} must be one of ${table.concat(words, ", ")}`;
    }
  }
  if (value_of(query, "order") === "busiest" && value_of(query, "after") !== undefined) {
    return "order=busiest has one page: it takes no after";
  }
  return undefined;
}

function has(words: string[], word: string): boolean {
  for (const one of words) {
    if (one === word) {
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
  if (state === undefined && metas.length === 0) {
    return true;
  }
  const looked = look(lookup, name, stored);
  for (const meta of metas) {
    if (looked.record.options.meta?.[meta.name] !== meta.value) {
      return false;
    }
  }
  return state === undefined || (state === "ejected" ? looked.ejected : looked.state === state);
}

/**
 * A page of the names that a query asks for. Yields.
 *
 * @param few names of a page unless the query says how many
 * @param more parameters that the query may have besides
 */
function select(
  admin: Admin,
  query: Pair[],
  few: number,
  more: string[],
): LuaMultiReturn<[Page, undefined] | [undefined, Refused]> {
  const { lookup } = admin.router;
  const wrong = complaint(query, more);
  if (wrong !== undefined) {
    return refused(400, "bad_query", wrong);
  }
  const limit = whole(query, "limit", few, 1, MOST);
  if (limit === undefined) {
    return refused(400, "bad_query", `limit must be a whole number from 1 to ${MOST}`);
  }
  const state = value_of(query, "state");
  const part = string.lower(value_of(query, "q") ?? "");
  const metas = metas_of(query);
  const wants = (name: string): boolean => part === "" || string.find(name, part, 1, true)[0] !== undefined;
  const has_all = (name: string): boolean => matches(lookup, name, state, metas);
  if (value_of(query, "order") === "busiest") {
    const counts = counts_of(admin);
    const names = counts !== undefined ? busiest(counts.sections[0]!) : [];
    return $multi(page_of(names, limit, wants, has_all), undefined);
  }
  const is_dear = state !== undefined || metas.length > 0;
  const after = value_of(query, "after") ?? "";
  return $multi(next_page(lookup.dicts.names, after, limit, wants, is_dear ? has_all : undefined), undefined);
}

export { select };
