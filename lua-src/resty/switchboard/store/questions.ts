/** How long questions to Redis took in this worker, for metrics. */

const BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.25, 1];
const NAME = "switchboard_redis_duration_seconds";

/** Series and what has been added to them since `take` was called last. */
const noted = new LuaTable<string, number>();

function add(series: string, by: number): void {
  noted.set(series, ((noted.get(series) as number | undefined) ?? 0) + by);
}

/** Notes one question. */
function note(seconds: number, answered: boolean): void {
  for (const bound of BOUNDS) {
    if (seconds <= bound) {
      add(`${NAME}_bucket{le="${bound}"}`, 1);
    }
  }
  add(`${NAME}_bucket{le="+Inf"}`, 1);
  add(`${NAME}_count`, 1);
  add(`${NAME}_sum`, seconds);
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
