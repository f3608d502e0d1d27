/** What a route's instances and options make of its balancing. */

import { ALGORITHMS } from "../balance/algorithms";
import { Peer } from "../balance/peer";
import { create as create_pool, Pool } from "../balance/pool";
import { note_new } from "../balance/slow_start";
import { create as create_sticky, Sticky } from "../balance/sticky";
import { Config } from "../config";
import { Balance, parse_balance } from "../config/balance";
import { RouteOptions } from "../schema/record";
import { prefix_of } from "../schema/within";

/** What the choice of an instance looks at beside the pool. */
export interface Choice {
  /** The nginx variable that `hash` goes by. */
  variable: string | undefined;
  sticky: Sticky | undefined;
  /** The algorithm wants to hear how tries end. */
  listens: boolean;
}

export interface Balancing {
  /** Undefined: no instance takes requests. */
  pool: Pool | undefined;
  /** Undefined: the pool alone decides, as for almost every route. */
  choice: Choice | undefined;
}

/** Where a worker begins: apart from the other workers, and from itself on other routes. */
function start_of(name: string, count: number): number {
  const share = (ngx.worker.id() ?? 0) / math.max(1, ngx.worker.count());
  return math.floor(share * count) + (ngx.crc32_short(name) % count);
}

function balance_of(config: Config, options: RouteOptions): Balance {
  if (options.balance === undefined) {
    return config.balance;
  }
  const [balance] = parse_balance(options.balance);
  return balance ?? config.balance;
}

/**
 * @param bounded its instances have `max_conns`
 * @param peers all of the route, those that rest included
 * @param takers how many of them take requests without a cookie
 * @param previous pool of the route: its rotation goes on, and whoever is not in it is new
 * @param now ngx.now()
 */
function make_balancing(
  config: Config,
  name: string,
  options: RouteOptions,
  bounded: boolean,
  peers: Peer[],
  takers: number,
  previous: Pool | undefined,
  now: number,
): Balancing {
  const balance = balance_of(config, options);
  const slow_start = options.slow_start ?? 0;
  if (slow_start > 0) {
    note_new(peers, previous?.all, now);
  }
  const sticky =
    options.sticky !== undefined
      ? create_sticky(
          peers,
          config.sticky_secret,
          options.sticky,
          prefix_of(name) ?? "/",
          options.sticky_max_age,
        )
      : undefined;
  const listens = balance.algorithm === "ewma";
  const choice: Choice | undefined =
    sticky !== undefined || balance.variable !== undefined || listens || bounded
      ? { variable: balance.variable, sticky, listens }
      : undefined;
  if (takers === 0) {
    return { pool: undefined, choice };
  }
  const start = previous !== undefined ? previous.picker.position : start_of(name, takers);
  const pool = create_pool(
    peers,
    {
      make: ALGORITHMS[balance.algorithm]!,
      bound: options.hash_bound ?? 0,
      slow_start,
      zone: options.prefer_zone === false ? undefined : config.zone,
    },
    start,
    now,
  );
  return { pool, choice };
}

export { make_balancing };
