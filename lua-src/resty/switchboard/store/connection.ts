/** Connections to the server that this node asks. */

import { Config } from "../config";
import { Connection, dial } from "./dial";
import { candidates, Server, settled } from "./server";

type Opened = LuaMultiReturn<[Connection, undefined] | [undefined, string]>;

/**
 * A connection to a server of redis_url. Yields.
 *
 * @param deadline ngx.now() until which it must be there
 * @param alone see `dial`
 */
function open_at(config: Config, server: Server, deadline: number, alone: boolean): Opened {
  const { tls, user, password, db, pool } = config.redis_url;
  const { address, port, host } = server;
  return dial(config, { address, port, host, tls, user, password, db, pool }, deadline, alone);
}

/** Whichever server answers first, before the node has settled on one. */
function open_any(config: Config, deadline: number, alone: boolean): Opened {
  const [servers, none] = candidates(config, deadline);
  if (servers === undefined) {
    return $multi(undefined, none);
  }
  const problems: string[] = [];
  for (const i of $range(1, servers.length)) {
    const server = servers[i - 1]!;
    // A silent one must leave time for those behind it.
    const now = ngx.now();
    const share = now + (deadline - now) / (servers.length - i + 1);
    const [connection, err] = open_at(config, server, share, alone);
    if (connection !== undefined) {
      return $multi(connection, undefined);
    }
    problems.push(servers.length > 1 ? `${server.address}: ${err}` : err);
  }
  return $multi(undefined, table.concat(problems, ", "));
}

/**
 * A connection to the server that this node asks, ready for commands. Yields.
 *
 * @param deadline ngx.now() until which it must be there
 * @param alone a new one outside of the pool, for who keeps it for long; `discard` it, never `keep` it
 * @returns nil and why not, without secrets
 */
function open(config: Config, deadline: number, alone = false): Opened {
  const server = settled(config);
  if (server !== undefined) {
    return open_at(config, server, deadline, alone);
  }
  return open_any(config, deadline, alone);
}

export { open, open_at };
