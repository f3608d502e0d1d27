/**
 * Options about what a route does with a request beside choosing its instance: their names and grammar.
 *
 * Good values are kept as they were written: they pass through the shared dict as text, and `route/policy` makes them
 * ready for requests.
 */

import { parse_boolean, parse_list, parse_size, parse_time } from "../config/grammar";
import { parse_cidr } from "../net/address";
import { problem_of_body, problem_of_check, problem_of_statuses, problem_of_timeout } from "./check";

/** Option names and good values. */
export type PolicyTexts = Record<string, string>;

const LONGEST_HEADER = 1024;
const LONGEST_MESSAGE = 500;
/** Seconds: a day. */
const LONGEST_RETRY_AFTER = 86400;
/** Requests at once; 0: any number. */
const MOST_AT_ONCE = 1000000;
const LONGEST_QUEUE = 10000;
/** Seconds: who has waited for longer has long gone. */
const LONGEST_WAIT = 60;
/** Seconds: what browsers keep at most would fit twice. */
const LONGEST_HSTS = 63072000;
const MOST_RANGES = 1000;
const REQUEST_HEADER = "request_header.";
const RESPONSE_HEADER = "response_header.";

/** What the router says itself, or what frames a message: nobody else may. */
const OWN_REQUEST_HEADERS = new LuaSet<string>();
for (const name of [
  "host",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-real-ip",
  "x-request-id",
  "via",
  "connection",
  "upgrade",
  "content-length",
  "transfer-encoding",
  "te",
  "trailer",
  "keep-alive",
  "expect",
]) {
  OWN_REQUEST_HEADERS.add(name);
}
const OWN_RESPONSE_HEADERS = new LuaSet<string>();
for (const name of [
  "connection",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "trailer",
  "upgrade",
  "keep-alive",
  "date",
  "x-switchboard-error",
]) {
  OWN_RESPONSE_HEADERS.add(name);
}

type Check = (this: void, value: string) => string | undefined;

function check_boolean(value: string): string | undefined {
  const [, err] = parse_boolean(value);
  return err;
}

function check_size(value: string): string | undefined {
  const [, err] = parse_size(value);
  return value === "off" ? undefined : err;
}

function check_retry_after(value: string): string | undefined {
  const [seconds] = parse_time(value);
  return seconds !== undefined && seconds >= 1 && seconds <= LONGEST_RETRY_AFTER
    ? undefined
    : `must be a time from 1s to ${LONGEST_RETRY_AFTER}s`;
}

function check_count(value: string, most: number): string | undefined {
  const count = string.find(value, "^%d+$")[0] !== undefined ? tonumber(value)! : -1;
  return count >= 0 && count <= most ? undefined : `must be a whole number from 0 to ${most}`;
}

function check_most(value: string): string | undefined {
  return check_count(value, MOST_AT_ONCE);
}

function check_queue(value: string): string | undefined {
  return check_count(value, LONGEST_QUEUE);
}

function check_wait(value: string): string | undefined {
  const [seconds] = parse_time(value);
  return seconds !== undefined && seconds >= 0.001 && seconds <= LONGEST_WAIT
    ? undefined
    : `must be a time from 1ms to ${LONGEST_WAIT}s`;
}

/** Nothing that could end a line. */
function is_printable(value: string): boolean {
  return string.find(value, "[%z\x01-\x08\x0a-\x1f\x7f]")[0] === undefined;
}

function check_message(value: string): string | undefined {
  return value.length >= 1 && value.length <= LONGEST_MESSAGE && is_printable(value)
    ? undefined
    : `must be on, off, or one line of at most ${LONGEST_MESSAGE} bytes for clients`;
}

function check_host(value: string): string | undefined {
  const fits = value.length <= 255 && string.find(value, "^[%w._:%[%]-]+$")[0] !== undefined;
  return fits ? undefined : "must be preserve, upstream, or a host";
}

function check_retry_on(value: string): string | undefined {
  const [, err] = parse_retry_on(value);
  return err;
}

function check_eject(value: string): string | undefined {
  return value === "off" || value === "failures" || value === "5xx"
    ? undefined
    : "must be off, failures or 5xx";
}

function check_hsts(value: string): string | undefined {
  const [, err] = parse_hsts(value);
  return err;
}

function check_ranges(value: string): string | undefined {
  const [list, err] = parse_list(value);
  if (list === undefined) {
    return err;
  }
  if (list.length > MOST_RANGES) {
    return `must have at most ${MOST_RANGES} addresses`;
  }
  for (const word of list) {
    const [, problem] = parse_cidr(word);
    if (problem !== undefined) {
      return `has ${string.sub(word, 1, 64)}: ${problem}`;
    }
  }
  return undefined;
}

const CHECKS: Record<string, Check | undefined> = {
  retry_on: check_retry_on,
  eject: check_eject,
  check: problem_of_check,
  check_status: problem_of_statuses,
  check_body: problem_of_body,
  check_timeout: problem_of_timeout,
  check_always: check_boolean,
  host_header: check_host,
  strip_prefix: check_boolean,
  max_body: check_size,
  https_redirect: check_boolean,
  hsts: check_hsts,
  maintenance: check_message,
  retry_after: check_retry_after,
  allow_ips: check_ranges,
  deny_ips: check_ranges,
  max_conns: check_most,
  max_inflight: check_most,
  queue: check_queue,
  queue_timeout: check_wait,
};

/**
 * `retry_on`: statuses of an app after which another instance is tried: 502, 503, 504, or `off`.
 *
 * @returns the statuses, sorted and joined by `_`, empty for none; or nil and what the value must be
 */
function parse_retry_on(value: string): LuaMultiReturn<[string, undefined] | [undefined, string]> {
  const found: string[] = [];
  const seen = new LuaSet<string>();
  const [list] = parse_list(value === "off" ? "" : value);
  for (const word of list ?? ["not a list"]) {
    if (word !== "502" && word !== "503" && word !== "504") {
      return $multi(undefined, "must be off, or a list of 502, 503 and 504");
    }
    if (!seen.has(word)) {
      seen.add(word);
      found.push(word);
    }
  }
  table.sort(found);
  return $multi(table.concat(found, "_"), undefined);
}

/**
 * `hsts`: `on` (a year), `off`, or a time, with `; includeSubDomains` and `; preload` after it.
 *
 * @returns the header's value (RFC 6797), empty for none; or nil and what the value must be
 */
function parse_hsts(value: string): LuaMultiReturn<[string, undefined] | [undefined, string]> {
  if (value === "off") {
    return $multi("", undefined);
  }
  const [time, rest] = string.match(value, "^%s*(%w+)%s*(.*)$");
  const seconds = time === "on" ? 31536000 : parse_time(time)[0];
  const [flags] = string.gsub(string.lower(rest ?? ""), "%s", "");
  const known =
    flags === "" ||
    flags === ";includesubdomains" ||
    flags === ";preload" ||
    flags === ";includesubdomains;preload";
  if (seconds === undefined || seconds > LONGEST_HSTS || !known) {
    return $multi(
      undefined,
      "must be on, off, or a time such as 31536000s, with ; includeSubDomains and ; preload after it",
    );
  }
  let text = `max-age=${string.format("%.0f", math.floor(seconds))}`;
  text += string.find(flags, "includesubdomains", 1, true)[0] !== undefined ? "; includeSubDomains" : "";
  text += string.find(flags, "preload", 1, true)[0] !== undefined ? "; preload" : "";
  return $multi(text, undefined);
}

/** The header that such an option is about; undefined: it is about none. */
function header_of(name: string, start: string): string | undefined {
  return string.sub(name, 1, start.length) === start ? string.sub(name, start.length + 1) : undefined;
}

function check_header(header: string, value: string, own: LuaSet<string>): string | undefined {
  if (header.length > 64 || string.find(header, "^[%w!#$%%&'*+.^_`|~-]+$")[0] === undefined) {
    return "must name a header after the dot";
  }
  if (own.has(string.lower(header))) {
    return `${header} is the router's own`;
  }
  return value.length <= LONGEST_HEADER && is_printable(value)
    ? undefined
    : `must be one line of at most ${LONGEST_HEADER} bytes, or empty to remove the header`;
}

/** Whether an option of this name is one of these. */
function is_policy(name: string): boolean {
  return (
    CHECKS[name] !== undefined ||
    header_of(name, REQUEST_HEADER) !== undefined ||
    header_of(name, RESPONSE_HEADER) !== undefined
  );
}

/**
 * Checks the value of an option that `is_policy`.
 *
 * @returns what is wrong with it; undefined: nothing
 */
function problem_of_policy(name: string, value: string): string | undefined {
  const request_header = header_of(name, REQUEST_HEADER);
  if (request_header !== undefined) {
    return check_header(request_header, value, OWN_REQUEST_HEADERS);
  }
  const response_header = header_of(name, RESPONSE_HEADER);
  if (response_header !== undefined) {
    return check_header(response_header, value, OWN_RESPONSE_HEADERS);
  }
  const problem = CHECKS[name]!(value);
  return problem !== undefined ? `${name} ${problem}` : undefined;
}

export {
  header_of,
  is_policy,
  parse_hsts,
  parse_retry_on,
  problem_of_policy,
  REQUEST_HEADER,
  RESPONSE_HEADER,
};
