/** The names that change all the time, and what each must be answered with at any moment. */

import type { Answer } from "../../integration/support/http-client.ts";

/** A route of one instance. */
export interface Name {
  host: string;
  /** The member in Redis; undefined: there is none. */
  at: string | undefined;
  /** Steps with every write. */
  version: number;
  /** A write is under way. */
  writing: boolean;
  /** performance.now() when Redis took the last write. */
  written: number;
  /** From its first write to the end there is always an instance. */
  stays: boolean;
}

/** What a name was when a request for it left. */
export interface Before {
  version: number;
  /** Redis took its last write long enough ago that every worker must know. */
  settled: boolean;
}

/** Milliseconds in which every worker must have heard of a write, on a machine that does much else. */
const HEARD_WITHIN = 2000;

export function newName(host: string, stays: boolean): Name {
  return { host, at: undefined, version: 0, writing: false, written: 0, stays };
}

/** @param trusted performance.now() since which nothing has kept the routers from hearing */
export function before(name: Name, trusted: number): Before {
  const since = Math.max(name.written, trusted);
  return { version: name.version, settled: !name.writing && performance.now() - since > HEARD_WITHIN };
}

/** Whom an answer came from; undefined: from nobody, as for a name without instances. */
export function whom(answer: Answer): string | undefined {
  // The last of those that were tried: a kept connection may turn out closed.
  return answer.status === 200 ? String(answer.headers["x-instance"]).split(", ").at(-1) : undefined;
}

function told(answer: Answer): string {
  return answer.status === 200
    ? `answered by ${whom(answer)}`
    : `${answer.status} ${String(answer.headers["x-switchboard-error"])}`;
}

/** What is wrong with an answer whatever was written: undefined, nothing. */
export function wrongAnyway(name: Name, answer: Answer): string | undefined {
  const isAbsent = answer.status === 404 && !name.stays;
  return answer.status === 200 || isAbsent ? undefined : `${name.host}: ${told(answer)}`;
}

/** Whether an answer is that of an earlier write than the last; undefined: it is right, or nobody can know. */
export function outdated(name: Name, asked: Before, answer: Answer): string | undefined {
  if (!asked.settled || name.version !== asked.version || whom(answer) === name.at) {
    return undefined;
  }
  return `${name.host}: ${told(answer)}, Redis says ${name.at ?? "nobody"}`;
}
