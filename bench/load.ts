/** One measurement: a load on a proxy, and whether what came of it may be believed. */

import type { Proxy } from "./proxies.ts";
import { workerOf } from "./proxies.ts";
import type { Stage } from "./stage.ts";

/** What bench/conf/load.lua is told, by the names that it has for it. */
export type Load = Partial<
  Record<
    "HOSTS" | "START" | "ZIPF" | "HOST" | "MADE_UP" | "ROUTE" | "HEADERS" | "BODY" | "THINK" | "PAUSE",
    string
  >
>;

export interface Sample {
  rps: number;
  /** Microseconds of CPU per request. */
  cpu: number;
  p99: number;
  /** Of the time, how much the proxy was running. */
  busy: number;
  /** Microseconds by percentile. */
  percentiles: Record<string, number>;
}

/** What is right for a load. */
export interface Expected {
  /** Of the answers, how many are not 2xx; 0. */
  refused?: number;
  /** Each request comes on a new connection. */
  newConnections?: boolean;
  /** The proxy has less to do than it could. */
  paced?: boolean;
}

/** Keeps everything that runs in the container off the core of the measured proxy. */
export async function keepCoreFree(stage: Stage): Promise<void> {
  const cores = Number(await stage.exec("nproc"));
  if (cores < 2) {
    throw new Error("one core is not enough: the measured proxy needs one to itself");
  }
  await stage.exec(`for p in $(pgrep .); do taskset -acp 1-${cores - 1} $p >/dev/null 2>&1 || true; done`);
}

/** A process has the measured core while something is done. */
export async function onMeasuredCore<T>(stage: Stage, pid: number, work: () => Promise<T>): Promise<T> {
  await stage.exec(`taskset -acp 0 ${pid} >/dev/null`);
  try {
    return await work();
  } finally {
    await stage.exec(`taskset -acp 1-$(($(nproc) - 1)) ${pid} >/dev/null`);
  }
}

/** The machine did something else for a moment: measuring again may help. */
export class Starved extends Error {}

const KEPT = 0.95;
const BUSY = 0.5;
/** Of the time in which the proxy wanted to run, how much it may have waited for its core. */
const MOST_WAITED = 0.1;
/**
 * Nanoseconds that it may wait each time, however often: a virtual core that slept takes some 20 us to wake up, which the
 * kernel counts as waiting. A rival on the core keeps the proxy waiting for milliseconds.
 */
const WAKING_NS = 200_000;
const MOST_STOLEN = 0.05;
/** Connections of wrk, whose last requests may fall on either side. */
export const CONNECTIONS = 64;
/** Jiffies of /proc/stat in a second. */
const TICKS = 100;

interface Counted {
  /** Nanoseconds of the proxy on its core, and waiting for it. */
  ran: number;
  waited: number;
  /** Times that it got its core. */
  turns: number;
  /** Jiffies of that core that the hypervisor gave to somebody else. */
  stolen: number;
  /** Connections that were accepted in the container. */
  opened: number;
  /** The apps' connections and requests. */
  accepts: number;
  requests: number;
}

function difference(before: number[], after: number[]): Counted {
  const [ran, waited, turns, stolen, opened, accepts, requests] = after.map((value, i) => value - before[i]!);
  return {
    ran: ran!,
    waited: waited!,
    turns: turns!,
    stolen: stolen!,
    opened: opened!,
    accepts: accepts!,
    requests: requests!,
  };
}

/** The numbers of each line that begins with a word. */
function numbersAfter(word: string, output: string): number[][] {
  return output
    .split("\n")
    .filter((line) => line.startsWith(`${word} `))
    .map((line) => line.split(" ").slice(1).map(Number));
}

/** What bench/conf/load.lua says at the end of a run of wrk; of several runs the last. */
export interface Result {
  requests: number;
  /** How long they took. */
  seconds: number;
  /** Answers that were not 2xx, and failures of sockets. */
  bad: number;
  errors: number;
  /** Microseconds. */
  p99: number;
  max: number;
  /** Microseconds by percentile. */
  percentiles: Record<string, number>;
}

/** @throws where wrk has said nothing */
export function resultOf(output: string): Result {
  const words = numbersAfter("RESULT", output).at(-1);
  if (words === undefined) {
    throw new Error(`no figures came back: ${output}`);
  }
  const [requests, microseconds, bad, errors, p99, max] = words as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const percentiles = Object.fromEntries(
    [...output.matchAll(/([\d.]+)=(\d+)/g)].map(([, at, us]) => [at!, Number(us)] as const),
  );
  return { requests, seconds: microseconds / 1e6, bad, errors, p99, max, percentiles };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Why the answers are not what was asked for. */
function wrongAnswers(
  requests: number,
  bad: number,
  errors: number,
  counted: Counted,
  expected: Expected,
): string[] {
  const refused = (expected.refused ?? 0) * requests;
  const tolerance = refused > 0 ? CONNECTIONS + 0.01 * refused : 0;
  const kept = 1 - counted.accepts / Math.max(1, counted.requests);
  return [
    requests === 0 ? "no request was answered" : "",
    Math.abs(bad - refused) > tolerance
      ? `${bad} of ${requests} answers were not 2xx${refused > 0 ? `, and ${refused.toFixed(0)} should be` : ""}`
      : "",
    errors > 0 ? `${errors} socket errors` : "",
    kept < KEPT ? `only ${percent(kept)} of the requests found a kept connection to an app` : "",
    expected.newConnections === true && counted.opened < requests * KEPT
      ? `${counted.opened} connections for ${requests} requests, each of which should have a new one`
      : "",
  ].filter((doubt) => doubt !== "");
}

/**
 * What is wrong with the time that a proxy had its core.
 *
 * @param ran nanoseconds on its core
 * @param waited nanoseconds of waiting for it
 * @param turns times that it got its core
 * @returns empty: nothing
 */
export function waitedTooLong(ran: number, waited: number, turns: number): string {
  const share = waited / Math.max(1, ran + waited);
  const each = waited / Math.max(1, turns);
  return share > MOST_WAITED && each > WAKING_NS
    ? `the proxy waited ${percent(share)} of its time for its core, ${(each / 1e6).toFixed(1)} ms each time`
    : "";
}

/** Why the machine did not give the proxy what it needed. */
function starvation(sample: Sample, counted: Counted, seconds: number, expected: Expected): string[] {
  const stolen = counted.stolen / TICKS / seconds;
  return [
    waitedTooLong(counted.ran, counted.waited, counted.turns),
    stolen > MOST_STOLEN ? `the hypervisor took ${percent(stolen)} of the core` : "",
    expected.paced !== true && sample.busy < BUSY
      ? `the proxy was kept busy for ${percent(sample.busy)} of the time only`
      : "",
  ].filter((doubt) => doubt !== "");
}

/** @throws where the figures would mean nothing; Starved, where measuring again may help */
export async function measure(
  stage: Stage,
  proxy: Proxy,
  load: Load,
  expected: Expected,
  warm: number,
  seconds: number,
): Promise<Sample> {
  const words = Object.entries(load).map(([name, value]) => `${name}='${value}'`);
  const pid = await workerOf(stage, proxy);
  const output = await stage.exec(
    `${words.join(" ")} CONNECTIONS=${CONNECTIONS} /tmp/bench/measure.sh ${pid} ${proxy.port} ${warm} ${seconds}`,
  );
  const [before, after] = numbersAfter("COUNTED", output);
  if (before === undefined || after === undefined) {
    throw new Error(`no figures came back: ${output}`);
  }
  const counted = difference(before, after);
  const { requests, seconds: took, bad, errors, p99, percentiles } = resultOf(output);
  const sample = {
    rps: requests / took,
    cpu: counted.ran / 1000 / requests,
    p99,
    busy: counted.ran / 1e9 / took,
    percentiles,
  };
  const wrong = wrongAnswers(requests, bad, errors, counted, expected);
  if (wrong.length > 0) {
    throw new Error(wrong.join("; "));
  }
  const starved = starvation(sample, counted, took, expected);
  if (starved.length > 0) {
    throw new Starved(`the machine is starved: ${starved.join("; ")}`);
  }
  return sample;
}

const MOST_CHANCES = 4;
const PAUSE_MS = 2000;
/** A machine that is always starved must not make the bench endless. */
let chancesLeft = 60;

/** A machine that was busy with something else for a moment gets another chance; a wrong answer none. */
export async function inPeace<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  for (let chance = 1; ; chance += 1) {
    try {
      return await attempt();
    } catch (failure) {
      if (!(failure instanceof Starved) || chance === MOST_CHANCES || chancesLeft === 0) {
        throw failure;
      }
      chancesLeft -= 1;
      console.log(`${what}: ${failure.message}: measured again (${chance}/${MOST_CHANCES - 1})`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
