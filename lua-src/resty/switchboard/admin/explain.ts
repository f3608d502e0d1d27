/**
 * `GET /explain`: where a request would go, and why.
 *
 * What a request runs is run here, over the same caches: the lookup, the turns of a split, the options, the choice of the
 * balancer. Only nothing is sent, and what a turn moves is put back.
 */

import { parse_ip } from "../net/address";
import { name_of } from "../request/ask";
import { prefer, prefer_fitting } from "../request/choose";
import { foresee } from "../balance/foresee";
import { Peer } from "../balance/peer";
import { pick } from "../balance/pool";
import { Entry } from "../route/entry";
import { Lookup } from "../route/lookup";
import { problems_of } from "../route/problems";
import { RouteRecord } from "../schema/record";
import { SchemaName } from "../schema/layout";
import { with_scope } from "../schema/scope";
import { prefix_of } from "../schema/within";
import { short_of } from "./address";
import { Admin, Asked } from "./context";
import { as_list } from "./json";
import { Pair, stranger, value_of, values_of } from "./query";
import { Given, given, Refused, refused } from "./reply";
import { seconds_since } from "./seconds";
import { is_full, standings } from "./standings";
import { suppose, Supposed } from "./supposed";
import { find_way, record_of, shadow_of, Way } from "./way";

const KNOWN = ["host", "path", "header", "client", "scheme", "method", "schema"];
const NONE: Peer[] = [];

interface Choice {
  peer: Peer | undefined;
  by_cookie: boolean;
}

/** Whether a request that is only supposed would have a place. */
function has_place(most: number, peer: Peer): boolean {
  return !is_full(most, peer);
}

/** Asks the balancer, as a request's first try does. */
function choose(entry: Entry, supposed: Supposed): Choice {
  const { pool, choice } = entry;
  const work = (): Choice => {
    if (choice === undefined) {
      return { peer: pick(pool!, 0, NONE), by_cookie: false };
    }
    const most = entry.policy?.limits?.max_conns ?? 0;
    const [peer, by_cookie] =
      most > 0
        ? prefer_fitting(pool, choice, supposed.vars, false, has_place, most)
        : prefer(pool, choice, supposed.vars);
    return { peer, by_cookie };
  };
  return pool !== undefined ? foresee(pool, work) : work();
}

function why_of(admin: Admin, entry: Entry, record: RouteRecord, chosen: Choice, supposed: Supposed): string {
  if (chosen.by_cookie) {
    return `the session cookie ${entry.choice!.sticky!.name} means it`;
  }
  const variable = entry.choice?.variable;
  if (variable !== undefined) {
    const key = supposed.vars[variable];
    return key !== undefined && key !== ""
      ? `hash of $${variable} = "${key}"`
      : `there is no $${variable} to hash: any instance may have it`;
  }
  const algorithm = balance_of(admin, record);
  const reasons: Record<string, string | undefined> = {
    round_robin: "its turn in this worker",
    least_conn: "fewer running requests for its weight, of two drawn in this worker",
    ewma: "quicker for its load, of two drawn in this worker",
    random: "drawn by weight in this worker",
  };
  return reasons[algorithm] ?? algorithm;
}

function balance_of(admin: Admin, record: RouteRecord): string {
  const { algorithm, variable } = admin.router.config.balance;
  return record.options.balance ?? (variable !== undefined ? `${algorithm}:$${variable}` : algorithm);
}

function read_query(query: Pair[]): LuaMultiReturn<[Supposed, undefined] | [undefined, Refused]> {
  const strange = stranger(query, KNOWN, "");
  if (strange !== undefined) {
    return refused(400, "bad_query", `unknown parameter: ${strange}`);
  }
  const client = value_of(query, "client");
  const ip = client !== undefined ? parse_ip(client) : undefined;
  if (client !== undefined && ip === undefined) {
    return refused(400, "bad_query", "client must be an IP address");
  }
  const scheme = value_of(query, "scheme") ?? "http";
  const method = value_of(query, "method") ?? "GET";
  if ((scheme !== "http" && scheme !== "https") || string.find(method, "^%u+$")[0] === undefined) {
    return refused(400, "bad_query", "scheme must be http or https, method a method");
  }
  const [supposed, wrong] = suppose(
    value_of(query, "host") ?? "",
    value_of(query, "path") ?? "/",
    values_of(query, "header"),
    ip?.text,
    scheme,
    method,
  );
  if (supposed === undefined) {
    return refused(400, "bad_query", wrong);
  }
  return $multi(supposed, undefined);
}

/** The layout that the server of the request has chosen; nil and why it cannot have. */
function schema_of(
  admin: Admin,
  query: Pair[],
): LuaMultiReturn<[SchemaName | undefined, Refused | undefined]> {
  const asked = value_of(query, "schema");
  for (const one of admin.router.config.server_schemas) {
    if (one === asked) {
      return $multi(one, undefined);
    }
  }
  if (asked === undefined) {
    return $multi(undefined, undefined);
  }
  return refused(400, "bad_query", "schema must be one of server_schemas");
}

/** What is told of the way that a request would take. */
function tell(admin: Admin, lookup: Lookup, way: Way, key: string, supposed: Supposed): object {
  const told: Record<string, unknown> = {
    host: supposed.host,
    path: supposed.path,
    host_key: key,
    keys_read: as_list(way.keys),
    matched: { pattern: way.site?.name ?? ngx.null, pool: ngx.null, prefix: ngx.null },
    route: ngx.null,
    cache: ngx.null,
    age: ngx.null,
    answer: way.answer,
    detail: way.detail,
    balance: ngx.null,
    instances: as_list([]),
    picked: ngx.null,
    why: way.answer !== undefined ? `answered by the router: ${way.answer.reason}` : ngx.null,
  };
  const entry = way.entry;
  if (entry === undefined) {
    return told;
  }
  const record = record_of(entry);
  const [, skipped] = problems_of(lookup.dicts, entry.name, entry.loaded);
  const may_go = way.answer === undefined;
  const chosen = may_go ? choose(entry, supposed) : { peer: undefined, by_cookie: false };
  const { state } = lookup.dicts;
  told.matched = {
    pattern: way.site?.name ?? ngx.null,
    pool: record.options.pool ?? ngx.null,
    prefix: prefix_of(entry.name) ?? ngx.null,
  };
  told.route = entry.name;
  told.cache = lookup.found_in ?? "worker";
  told.age = seconds_since(entry.loaded);
  told.balance = balance_of(admin, record);
  told.instances = as_list(standings(state, admin.router.config, entry, record, skipped));
  if (chosen.peer !== undefined) {
    told.picked = short_of(chosen.peer.state.identity);
    told.why = why_of(admin, entry, record, chosen, supposed);
  } else if (may_go) {
    told.why = "max_conns: no instance has a place, so it waits for one";
  }
  return told;
}

/** Yields when Redis must be waited for. */
function explain(admin: Admin, asked: Asked): Given {
  const [supposed, wrong] = read_query(asked.query);
  if (supposed === undefined) {
    return $multi(undefined, wrong);
  }
  const lookup = shadow_of(admin.router.lookup);
  const { host } = supposed;
  const [schema, unknown] = schema_of(admin, asked.query);
  if (unknown !== undefined) {
    return $multi(undefined, unknown);
  }
  const name = name_of(host, host, lookup.loader.with_ports);
  if (name === undefined) {
    return refused(400, "invalid_host", "no site can have this name");
  }
  const key = with_scope(name, schema);
  const way = find_way(admin, lookup, key, supposed);
  if (way.needs_client) {
    return refused(400, "client_needed", "this route goes by the client's address: say client=<address>");
  }
  return given(tell(admin, lookup, way, key, supposed));
}

export { explain };
