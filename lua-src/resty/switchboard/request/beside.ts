/** What each worker does beside its requests: it sends what it has counted, and one asks whether Redis is there. */

import { Config } from "../config";
import { count, send_counts, send_last_counts, Series } from "../observe/counters";
import { note_redis } from "../observe/health";
import { tell } from "../observe/journal";
import { tell_live } from "../observe/live";
import { send_after_each } from "../observe/tally";
import { tick } from "../observe/ticks";
import { Lookup } from "../route/lookup";
import { take as take_questions } from "../store/questions";
import { ping } from "../store/redis";
import { cause_of } from "../store/refusal";
import { in_flight } from "./state";

/** Seconds between two flushes of the counters, and between two looks at Redis. */
const TICK = 1;
/** The same for a worker that had no request meanwhile, and asks nobody. */
const IDLE_TICK = 2;

/** Sends what this worker has counted. @returns whether it had something to do */
function flush_counts(lookup: Lookup): boolean {
  const running = in_flight();
  const busy = lookup.hits + lookup.misses + running > 0;
  count('switchboard_lookups_total{cache="worker"}', lookup.hits);
  count('switchboard_lookups_total{cache="shared"}', math.max(0, lookup.misses - lookup.waits));
  count('switchboard_lookups_total{cache="redis"}', lookup.waits);
  lookup.hits = 0;
  lookup.misses = 0;
  lookup.waits = 0;
  take_questions((series, by) => count(series as Series, by));
  const err = send_counts(lookup.dicts.state, running);
  if (err !== undefined) {
    tell(
      ngx.ERR,
      "counts_failed",
      `could not keep counts: ${err}: make lua_shared_dict switchboard_metrics larger`,
    );
  }
  return busy;
}

function look_at_redis(config: Config, lookup: Lookup): void {
  const [answers, err] = ping(config, config.redis_timeout);
  note_redis(lookup.dicts.state, answers === true, err);
  if (answers === undefined) {
    tell(ngx.ERR, `redis_down ${cause_of(err)}`, `redis is unreachable, known routes are served on: ${err}`);
  }
}

/** @returns seconds until the next time */
function run(config: Config, lookup: Lookup, exiting: boolean): number {
  const busy = flush_counts(lookup);
  const watched = tell_live(lookup.dicts.metrics, ngx.now());
  if (exiting) {
    // Nothing ticks from now on, but requests go on until they end.
    send_after_each(send_last_counts);
  } else if (ngx.worker.id() === 0) {
    ngx.thread.spawn(look_at_redis, config, lookup);
    return TICK;
  }
  return busy || watched ? TICK : IDLE_TICK;
}

/** Starts it in this worker. */
function start(config: Config, lookup: Lookup): void {
  tick(TICK, "tick", (exiting) => run(config, lookup, exiting));
  if (ngx.worker.id() === 0) {
    ngx.timer.at(0, (premature) => {
      if (!premature) {
        look_at_redis(config, lookup);
      }
    });
  }
}

export { flush_counts, start };
