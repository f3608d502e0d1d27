/** How many requests a route lets run at once, and at each of its instances. */

import { parse_time } from "../config/grammar";
import { PolicyTexts } from "../schema/policy";

export interface Limits {
  /** Requests at an instance; 0: any number. */
  max_conns: number;
  /** Requests that may wait for an instance. */
  queue: number;
  /** Seconds for which one waits. */
  queue_timeout: number;
  /** Requests of the route, those that wait included; 0: any number. */
  max_inflight: number;
}

const QUEUE = 100;
/** Seconds. */
const QUEUE_TIMEOUT = 1;

function count_of(text: string | undefined, otherwise: number): number {
  return text !== undefined ? (tonumber(text) ?? otherwise) : otherwise;
}

/** @returns undefined: it has none, as almost every route */
function make_limits(texts: PolicyTexts): Limits | undefined {
  const max_conns = count_of(texts.max_conns, 0);
  const max_inflight = count_of(texts.max_inflight, 0);
  if (max_conns === 0 && max_inflight === 0) {
    return undefined;
  }
  const [queue_timeout] = parse_time(texts.queue_timeout ?? "");
  return {
    max_conns,
    queue: count_of(texts.queue, QUEUE),
    queue_timeout: queue_timeout ?? QUEUE_TIMEOUT,
    max_inflight,
  };
}

export { make_limits };
