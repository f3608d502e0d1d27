/** The worker that watches finds a server that answers, and has the whole node ask that one. */

import { Config } from "../config";
import { open_at } from "./connection";
import { discard, keep } from "./dial";
import { serves } from "./redis";
import { explain } from "./refusal";
import { candidates, is_same, Server, settle_on, settled } from "./server";

/** Why a server is of no use; undefined: it answers. */
function try_out(config: Config, server: Server): string | undefined {
  const deadline = ngx.now() + config.redis_timeout;
  const [connection, unreachable] = open_at(config, server, deadline, false);
  if (connection === undefined) {
    return unreachable;
  }
  const [up, err, broke] = serves(connection, deadline);
  if (up === undefined && broke === true) {
    discard(connection);
  } else {
    keep(connection);
  }
  return up === undefined ? explain(err!) : undefined;
}

/** Those that can be asked; the one that was asked until now before all others. */
function in_order(servers: Server[], before: Server | undefined): Server[] {
  const ordered: Server[] = [];
  for (const server of servers) {
    if (is_same(before, server)) {
      ordered.push(server);
    }
  }
  for (const server of servers) {
    if (!is_same(before, server)) {
      ordered.push(server);
    }
  }
  return ordered;
}

/**
 * Settles on a server, on the one of before if that answers. Only for the worker that watches. Yields.
 *
 * @returns the server, and whether it is another one than before; or nil and why none answers
 */
function settle(config: Config): LuaMultiReturn<[Server, boolean] | [undefined, string]> {
  const [servers, none] = candidates(config, ngx.now() + config.redis_timeout);
  if (servers === undefined) {
    return $multi(undefined, none);
  }
  const before = settled(config);
  const problems: string[] = [];
  for (const server of in_order(servers, before)) {
    const problem = try_out(config, server);
    if (problem === undefined) {
      settle_on(config, server);
      return $multi(server, before !== undefined && !is_same(before, server));
    }
    problems.push(servers.length > 1 ? `${server.label}: ${problem}` : problem);
  }
  return $multi(undefined, table.concat(problems, ", "));
}

export { settle };
