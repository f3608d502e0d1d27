/**
 * How a route wants its instances checked: `check`, `check_status`, `check_body`, `check_timeout`, `check_always`.
 *
 * They are kept as text among the options (`schema/policy`), and read here by whoever runs checks.
 */

import { parse_boolean, parse_list, parse_time } from "../config/grammar";

/** From the first to the second, both included. */
type Range = [number, number];

/** What one check does. */
export interface Check {
  /** What it is told by: `tcp`, or `http:` and the path. */
  label: string;
  /** What is asked for; undefined: that connections are taken is enough. */
  path: string | undefined;
  /** What may answer. */
  statuses: Range[];
  /** A text that must stand in the body; undefined: none. */
  body: string | undefined;
  /** Seconds for all of it. */
  timeout: number;
  /** Also while nobody asks for the route. */
  always: boolean;
}

/** The options that say so. */
const OPTIONS = ["check", "check_status", "check_body", "check_timeout", "check_always"];

const LONGEST_PATH = 1024;
const LONGEST_BODY = 256;
const MOST_RANGES = 20;
const LEAST_STATUS = 100;
const MOST_STATUS = 599;
const STATUS = "200-299";
/** Seconds. */
const SHORTEST_TIMEOUT = 0.01;
const LONGEST_TIMEOUT = 10;
const TIMEOUT = 1;

/** The path of `http:/path`; undefined: it is none. */
function path_of(value: string): string | undefined {
  const [path] = string.match(value, "^http:(/[!-~]*)$");
  return path !== undefined && path.length <= LONGEST_PATH ? path : undefined;
}

function problem_of_check(value: string): string | undefined {
  return value === "off" || value === "tcp" || path_of(value) !== undefined
    ? undefined
    : `must be off, tcp, or http: and a path of at most ${LONGEST_PATH} bytes, such as http:/health`;
}

function parse_range(word: string): Range | undefined {
  const [first] = string.match(word, "^%d%d%d");
  const [last] = string.match(word, "^%d%d%d%-(%d%d%d)$");
  const least = tonumber(first);
  const most = tonumber(last) ?? (word.length === 3 ? least : undefined);
  const fits =
    least !== undefined &&
    most !== undefined &&
    least >= LEAST_STATUS &&
    most <= MOST_STATUS &&
    least <= most;
  return fits ? [least, most] : undefined;
}

/** undefined: one of them is wrong. */
function parse_statuses(value: string): Range[] | undefined {
  const [words] = parse_list(value);
  const ranges: Range[] = [];
  for (const word of words ?? []) {
    const range = parse_range(word);
    if (range === undefined) {
      return undefined;
    }
    ranges.push(range);
  }
  return ranges.length > 0 && ranges.length <= MOST_RANGES ? ranges : undefined;
}

function problem_of_statuses(value: string): string | undefined {
  return parse_statuses(value) !== undefined
    ? undefined
    : `must be a list of at most ${MOST_RANGES} statuses and ranges, such as 200-299,401`;
}

function problem_of_body(value: string): string | undefined {
  const is_line = string.find(value, "[%z\x01-\x1f\x7f]")[0] === undefined;
  return is_line && value.length >= 1 && value.length <= LONGEST_BODY
    ? undefined
    : `must be a text of at most ${LONGEST_BODY} bytes in one line`;
}

function problem_of_timeout(value: string): string | undefined {
  const [seconds] = parse_time(value);
  return seconds !== undefined && seconds >= SHORTEST_TIMEOUT && seconds <= LONGEST_TIMEOUT
    ? undefined
    : `must be a time from 10ms to ${LONGEST_TIMEOUT}s`;
}

/**
 * What is asked for by a route's options, which are good; undefined: it has none.
 *
 * @returns undefined: no check
 */
function check_of(options: Record<string, string | undefined> | undefined): Check | undefined {
  const check = options?.check;
  if (options === undefined || check === undefined || check === "off") {
    return undefined;
  }
  const timeout = options.check_timeout !== undefined ? parse_time(options.check_timeout)[0] : undefined;
  return {
    label: check,
    path: path_of(check),
    statuses: parse_statuses(options.check_status ?? STATUS) ?? [],
    body: options.check_body,
    timeout: timeout ?? TIMEOUT,
    always: parse_boolean(options.check_always ?? "off")[0] === true,
  };
}

function allows(check: Check, status: number): boolean {
  for (const [least, most] of check.statuses) {
    if (status >= least && status <= most) {
      return true;
    }
  }
  return false;
}

export {
  allows,
  check_of,
  OPTIONS,
  problem_of_body,
  problem_of_check,
  problem_of_statuses,
  problem_of_timeout,
};
