/**
 * What has changed lately: the last 1,000 events of the node, in a ring in the shared dict.
 *
 * `events:next` numbers them; event n stands in the place n % 1000. A reader takes what has the number that it expects
 * there: a writer that overtakes it has put a newer one into the place.
 */

import { printable } from "./journal";

export type Kind =
  | "route_added"
  | "route_changed"
  | "route_removed"
  | "instance_ejected"
  | "instance_recovered"
  | "store_lost"
  | "store_back"
  | "guard_holding"
  | "guard_released";

export interface Event {
  /** 1 for the first one; grows by one. */
  number: number;
  /** Unix seconds with milliseconds. */
  time: number;
  kind: string;
  /** The route or instance; empty: the node. */
  subject: string;
  detail: string;
}

const PLACES = 1000;
const NEXT = "events:next";
const LINE = "^(%d+) (%S+) (%S+)\t([^\t]*)\t(.*)$";

let ring: NgxSharedDict | undefined = undefined;

/** @param dict in which the ring stands, over reloads too */
function open_events(dict: NgxSharedDict): void {
  ring = dict;
}

/**
 * Notes that something has changed. Not for what happens per request.
 *
 * @param subject the route or instance; empty: the node
 * @param detail some words more, or none
 */
function note_event(kind: Kind, subject: string, detail: string): void {
  if (ring === undefined) {
    return;
  }
  const [number] = ring.incr(NEXT, 1, 0);
  if (number !== undefined) {
    const line = string.format(
      "%d %.3f %s\t%s\t%s",
      number,
      ngx.now(),
      kind,
      printable(subject),
      printable(detail),
    );
    ring.safe_set(`events:${number % PLACES}`, line);
  }
}

/** The number of the latest event; 0: there was none. */
function last_event(): number {
  const [number] = ring!.get(NEXT);
  return (number as number | undefined) ?? 0;
}

/**
 * The latest events, newest first.
 *
 * @param after only those with a greater number
 * @param most at most so many
 */
function latest_events(after: number, most: number): Event[] {
  const found: Event[] = [];
  const last = last_event();
  for (const number of $range(last, math.max(1, last - PLACES + 1, after + 1), -1)) {
    if (found.length >= most) {
      break;
    }
    const [line] = ring!.get(`events:${number % PLACES}`);
    const [written, time, kind, subject, detail] = string.match((line as string | undefined) ?? "", LINE);
    if (tonumber(written) === number) {
      found.push({ number, time: tonumber(time)!, kind: kind!, subject: subject!, detail: detail! });
    }
  }
  return found;
}

export { last_event, latest_events, note_event, open_events };
