/**
 * How long an instance takes to answer: a peak-sensitive, exponentially weighted moving average, as in Twitter's
 * Finagle. A slower answer counts at once and in full, faster ones bring the average down over `DECAY`.
 *
 * What is measured is the time to the response's header: the body's time is the client's and the content's (a
 * WebSocket would stand for an hour of latency).
 */

import { InstanceState } from "./instances";

/** Seconds in which an old measurement falls to 1/e. */
const DECAY = 10;
/** nginx measures whole milliseconds; below that an answer took half of one. */
const SHORTEST = 0.0005;
/**
 * What a failed try counts for, seconds. An instance that fails in a millisecond must not look fast: against
 * others at 10 ms it takes about 50 s, decaying, until it is tried again.
 */
const FAILURE = 2;

/** The average as it is now: without news it fades, so that a slow instance gets another chance. */
function latency_at(state: InstanceState, now: number): number {
  return state.latency * math.exp((state.measured_at - now) / DECAY);
}

/** @param seconds to the response's header */
function note_answer(state: InstanceState, seconds: number, now: number): void {
  const sample = math.max(seconds, SHORTEST);
  const faded = math.exp((state.measured_at - now) / DECAY);
  state.latency = sample >= state.latency * faded ? sample : state.latency * faded + sample * (1 - faded);
  state.measured_at = now;
}

/** A try that gave no answer, or one that says that the instance is broken. */
function note_failure(state: InstanceState, now: number): void {
  note_answer(state, FAILURE, now);
}

export { latency_at, note_answer, note_failure };
