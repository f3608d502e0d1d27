/** How the node does: `/status`, `/healthz`, `/readyz`. */

import { Config } from "../config";
import { list_out } from "../health/verdict";
import { total_in_flight } from "../observe/counters";
import { not_ready, troubles, Trouble, Watched } from "../observe/health";
import { summarise } from "../observe/summary";
import { down_because, down_since, trouble } from "../store/outage";
import { cause_of } from "../store/refusal";
import { settled } from "../store/server";
import { short_of } from "./address";
import { Admin } from "./context";
import { as_list, List } from "./json";
import { given, Given, send } from "./reply";
import { counts_of } from "./route";
import { seconds, seconds_since } from "./seconds";

/** Instances that are named of those that are out. */
const MOST_EJECTIONS = 100;

function store_of(config: Config, state: NgxSharedDict): object {
  const since = down_since(state);
  const reason = since === undefined ? trouble(state) : down_because(state);
  return {
    state: since === undefined ? "up" : "down",
    server: settled(config)?.label ?? "",
    cause: reason === undefined ? "" : cause_of(reason),
    reason: reason ?? "",
    down_for: since === undefined ? 0 : seconds_since(since),
  };
}

function dicts_of(watched: Watched): object {
  const found: Record<string, object> = {};
  for (const [name, dict] of pairs(watched.dicts)) {
    found[name] = { capacity: dict.capacity(), free: dict.free_space() };
  }
  return found;
}

/** Who is out, first who is back first: how many, and the first of them. */
function ejections(state: NgxSharedDict): LuaMultiReturn<[number, List]> {
  const out = list_out(state);
  table.sort(out, (a, b) =>
    a.ejection.until === b.ejection.until ? a.identity < b.identity : a.ejection.until < b.ejection.until,
  );
  const found: object[] = [];
  for (const i of $range(1, math.min(out.length, MOST_EJECTIONS))) {
    const { identity, ejection } = out[i - 1]!;
    found.push({ address: short_of(identity), until: ejection.until, why: ejection.reason });
  }
  return $multi(out.length, as_list(found));
}

/** `GET /status` */
function status(admin: Admin): Given {
  const { watched } = admin;
  const watch = watched.watch();
  const [ejected, first] = ejections(watched.state);
  const counts = counts_of(admin);
  return given({
    version: admin.version,
    time: ngx.now(),
    worker: ngx.worker.id() ?? 0,
    workers: ngx.worker.count(),
    store: store_of(admin.router.config, watched.state),
    watch: { mode: watch.mode, reason: watch.reason, lag: seconds(watch.lag) },
    guard: { held: watch.held, of: watch.held_of },
    complete: watch.complete,
    dicts: dicts_of(watched),
    routes: watch.routes,
    in_flight: total_in_flight(watched.state),
    requests: counts !== undefined ? summarise(counts) : undefined,
    ejected,
    ejections: first,
    draining: not_ready(watched)?.reason === "draining",
  });
}

/** `GET /healthz` */
function healthz(): Given {
  return given({ ok: true });
}

/** `GET /readyz`: 503 with what stands against it; 200 with what is not well. */
function readyz(admin: Admin): void {
  const { watched } = admin;
  const against = not_ready(watched);
  const reasons: Trouble[] = against !== undefined ? [against] : troubles(watched);
  const well = reasons.length === 0 ? "ready" : "degraded";
  const since = down_since(watched.state);
  send(against === undefined ? 200 : 503, {
    ready: against === undefined,
    state: against === undefined ? well : "not_ready",
    store_down_for: since === undefined ? 0 : seconds_since(since),
    reasons: as_list(reasons),
  });
}

export { healthz, readyz, status };
