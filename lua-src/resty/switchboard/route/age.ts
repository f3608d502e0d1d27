/** How long what was read from Redis is served: by the clock, and much longer while Redis is watched. */

import { Config } from "../config";
import { Trust } from "../store/trust";

/** Seconds that a route is believed at most while the watch is healthy. */
const LONGEST_FRESH = 600;

/** What an age depends on. */
export interface Ages {
  config: Config;
  trust: Trust;
}

/** While the watch is healthy an entry ages slowly, and each at a time of its own. */
function watched_age(name: string, fresh: number): number {
  return fresh < LONGEST_FRESH ? fresh : fresh * (0.75 + (ngx.crc32_short(name) % 1000) / 2000);
}

/** ngx.now() until which what was read needs no second look. */
function fresh_until(ages: Ages, name: string, loaded: number, fresh: number, epoch: number): number {
  const trust = ages.trust;
  if (trust.healthy && epoch === trust.epoch) {
    return loaded + watched_age(name, fresh);
  }
  return loaded + math.min(ages.config.ttl, fresh);
}

/**
 * ngx.now() until which it is served while it is read again; later a request waits. What a watch had kept
 * until a moment ago is old only since then.
 */
function stale_until(ages: Ages, fresh_end: number, epoch: number): number {
  const { ttl, stale_while_refresh } = ages.config;
  const watched = epoch > 0 ? ages.trust.distrusted + ttl : 0;
  return math.max(fresh_end, watched) + stale_while_refresh;
}

export { fresh_until, LONGEST_FRESH, stale_until };
