/**
 * How busy single instances are, over all workers: for those at which somebody looks, and only while somebody does.
 *
 * In-flight counts are a worker's own, and no request writes them down. Who looks leaves a list of instances in the shared
 * dict; once a second each worker says how these do there. What nobody looks at costs a worker one question a second.
 */

import { find_captured } from "../captured";
import { known_state } from "../balance/instances";
import { keep, kept } from "./places";

export interface Live {
  /** Requests that run there. */
  running: number;
  /** Requests that ended there, a second; undefined: they are counted since a moment ago. */
  rate: number | undefined;
}

/** What this worker has seen of an instance. */
interface Sample {
  ended: number;
  at: number;
  rate: number | undefined;
}

/** Different lists of instances at a time: each view of the dashboard has its own. */
const MOST_LISTS = 16;
/** Instances of a list. */
const MOST_INSTANCES = 1000;
/** Seconds for which a list counts: a little longer than a dashboard waits to look again. */
const ATTENTION = 8;
/** Seconds for which a worker's word counts. */
const FRESH = 3;
/** Seconds in which a rate follows a change to two thirds. */
const SMOOTH = 4;

const LISTS = "live:list";
const ANY = "live:any";
const AN_IDENTITY = "([^\n]+)";
const LINE = "([^\n ]+) (%d+) (%S+)";

let samples: LuaTable<string, Sample> | undefined = undefined;

/** Has the workers tell of these instances for a while. */
function look_at(dict: NgxSharedDict, identities: string[]): void {
  if (identities.length === 0) {
    return;
  }
  const most = math.min(identities.length, MOST_INSTANCES);
  dict.safe_set(ANY, true, ATTENTION);
  keep(dict, LISTS, MOST_LISTS, table.concat(identities, "\n", 1, most), ATTENTION);
}

/** Looks again at an instance of which `before` is known. */
function sample(identity: string, before: Sample | undefined, now: number): Sample {
  const ended = known_state(identity)?.ended ?? 0;
  if (before === undefined || ended < before.ended || now <= before.at) {
    return { ended, at: now, rate: undefined };
  }
  const seconds = now - before.at;
  const rate = (ended - before.ended) / seconds;
  const follow = before.rate === undefined ? 1 : 1 - math.exp(-seconds / SMOOTH);
  const from = before.rate ?? 0;
  return { ended, at: now, rate: from + (rate - from) * follow };
}

/** Says how those do that somebody looks at. Once a second, by each worker. @returns false: nobody looks */
function tell_live(dict: NgxSharedDict, now: number): boolean {
  const [any] = dict.get(ANY);
  if (any === undefined) {
    samples = undefined;
    return false;
  }
  const before = samples ?? new LuaTable<string, Sample>();
  const seen = new LuaTable<string, Sample>();
  const lines: string[] = [];
  for (const list of kept(dict, LISTS, MOST_LISTS)) {
    let [, end, identity] = find_captured(list, AN_IDENTITY);
    while (end !== undefined) {
      if (!seen.has(identity!)) {
        const latest = sample(identity!, before.get(identity!) as Sample | undefined, now);
        const running = known_state(identity!)?.in_flight ?? 0;
        const rate = latest.rate !== undefined ? string.format("%.3f", latest.rate) : "-";
        seen.set(identity!, latest);
        lines.push(`${identity} ${running} ${rate}`);
      }
      [, end, identity] = find_captured(list, AN_IDENTITY, end + 1);
    }
  }
  samples = seen;
  dict.safe_set(`live:of:${ngx.worker.id() ?? 0}`, table.concat(lines, "\n"), FRESH);
  return true;
}

/** What the workers have said of the instances that somebody looks at, these among them or not. */
function read_live(dict: NgxSharedDict): LuaTable<string, Live> {
  const found = new LuaTable<string, Live>();
  for (const worker of $range(0, ngx.worker.count() - 1)) {
    const [said] = dict.get(`live:of:${worker}`);
    const text = (said as string | undefined) ?? "";
    let [, end, identity, running, rate] = find_captured(text, LINE);
    while (end !== undefined) {
      let live = found.get(identity!) as Live | undefined;
      if (live === undefined) {
        live = { running: 0, rate: undefined };
        found.set(identity!, live);
      }
      live.running += tonumber(running)!;
      const of_worker = tonumber(rate);
      live.rate = of_worker !== undefined ? (live.rate ?? 0) + of_worker : live.rate;
      [, end, identity, running, rate] = find_captured(text, LINE, end + 1);
    }
  }
  return found;
}

export { look_at, read_live, tell_live };
