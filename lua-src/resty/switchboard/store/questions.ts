/** How long questions to Redis took in this worker, for metrics. */

const BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.25, 1];
const NAME = "switchboard_redis_duration_seconds";
const BUCKETS: string[] = [];
for (const bound of BOUNDS) {
  BUCKETS.push(`${NAME}_bucket{le="${bound}"}`);
}
const ALL = `${NAME}_bucket{le="+Inf"}`;
const COUNT = `${NAME}_count`;
const SUM = `${NAME}_sum`;

/** Series and what has been added to them since `take` was called last. */
const noted = new LuaTable<string, number>();

function add(series: string, by: number): void {
  noted.set(series, ((noted.get(series) as number | undefined) ?? 0) + by);
}

/** Notes one question. */
function note(seconds: number, answered: boolean): void {
  for (const i of $range(0, BOUNDS.length - 1)) {
    if (seconds <= BOUNDS[i]!) {
      add(BUCKETS[i]!, 1);
    }
  }
  add(ALL, 1);
  add(COUNT, 1);
  add(SUM, seconds);
  if (!answered) {
    add("switchboard_redis_errors_total", 1);
  }
}

/** Hands over what was noted since the last call. */
function take(to: (this: void, series: string, by: number) => void): void {
  for (const [series, by] of pairs(noted)) {
    if (by !== 0) {
      to(series, by);
      noted.set(series, 0);
    }
  }
}

export { note, take };
