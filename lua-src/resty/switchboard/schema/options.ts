/** The options of a route, as text in Redis. */

import { parse_balance } from "../config/balance";
import { parse_boolean, parse_time } from "../config/grammar";
import { is_policy, PolicyTexts, problem_of_policy } from "./policy";
import { RouteOptions } from "./record";
import { parse_split } from "./split";

const MOST_TRIES = 100;
/** Seconds. */
const LONGEST_TIMEOUT = 86400;
const META = "meta.";
/** Bytes. */
const LONGEST_META = 256;
const STICKY_COOKIE = "switchboard";
/** What browsers keep at most: 400 days. */
const LONGEST_MAX_AGE = 400 * 86400;

/** `cookie` or `cookie:name`. */
function parse_sticky(value: string): string | undefined {
  if (value === "cookie") {
    return STICKY_COOKIE;
  }
  const [name] = string.match(value, "^cookie:([%w_-]+)$");
  return name !== undefined && name.length <= 64 ? name : undefined;
}

/** An option about pools that share a route's requests. */
function set_split(options: RouteOptions, name: string, value: string): string | undefined {
  if (name === "split") {
    const [shares, err] = parse_split(value);
    if (shares === undefined) {
      return `split ${err}`;
    }
    options.split = string.gsub(value, "%s", "")[0];
    return undefined;
  }
  if (string.find(value, "^[%w_-]+$")[0] === undefined || value.length > 64) {
    return "split_cookie must be 1 to 64 letters, digits or _ -";
  }
  options.split_cookie = value;
  return undefined;
}

/** An option about which instance is chosen. */
function set_choice(options: RouteOptions, name: string, value: string): string | undefined {
  if (name === "balance") {
    const [balance, err] = parse_balance(value);
    if (balance === undefined) {
      return `balance ${err}`;
    }
    options.balance = value;
  } else if (name === "hash_bound") {
    const bound = string.find(value, "^%d+%.?%d*$")[0] !== undefined ? tonumber(value)! : -1;
    if (bound !== 0 && (bound < 1.01 || bound > 100)) {
      return "hash_bound must be 0, or a factor from 1.01 to 100";
    }
    options.hash_bound = bound;
  } else if (name === "sticky") {
    const cookie = parse_sticky(value);
    if (cookie === undefined) {
      return "sticky must be cookie or cookie:<name>, the name 1 to 64 letters, digits or _ -";
    }
    options.sticky = cookie;
  } else if (name === "prefer_zone" || name === "fallthrough") {
    const [on, err] = parse_boolean(value);
    if (on === undefined) {
      return `${name} ${err}`;
    }
    options[name] = on;
  } else {
    const longest = name === "slow_start" ? LONGEST_TIMEOUT : LONGEST_MAX_AGE;
    const [seconds, err] = parse_time(value);
    if (seconds === undefined) {
      return `${name} ${err}`;
    }
    if (seconds > longest) {
      return `${name} must be at most ${longest}s`;
    }
    options[name as "slow_start" | "sticky_max_age"] = seconds;
  }
  return undefined;
}

/** Seconds of a request's life. */
const TIMES = new LuaSet<string>();
for (const name of ["connect_timeout", "send_timeout", "read_timeout", "deadline"]) {
  TIMES.add(name);
}

const OF_CHOICE = new LuaSet<string>();
for (const name of [
  "balance",
  "hash_bound",
  "sticky",
  "sticky_max_age",
  "slow_start",
  "prefer_zone",
  "fallthrough",
]) {
  OF_CHOICE.add(name);
}

/** An option about what the route does with a request. */
function set_policy(options: RouteOptions, name: string, value: string): string | undefined {
  const problem = problem_of_policy(name, value);
  // Who may come in must not become everybody by a slip of the pen: what is good of a bad list counts.
  if (problem === undefined || name === "allow_ips") {
    options.policy ??= {};
    options.policy[name] = value;
  }
  return problem;
}

/** What is only shown. Bounded, because it is kept with the route in every cache. */
function set_meta(options: RouteOptions, name: string, value: string): string | undefined {
  if (name.length > LONGEST_META || value.length > LONGEST_META) {
    return `meta keys and values must have at most ${LONGEST_META} bytes`;
  }
  options.meta ??= {};
  options.meta[name] = value;
  return undefined;
}

/** What says where instances come from, and what becomes of a path without any, is each route's own. */
const NOT_INHERITED = new LuaSet<string>();
for (const name of ["pool", "fallthrough", "split", "split_cookie", "meta"]) {
  NOT_INHERITED.add(name);
}

/**
 * Sets one option.
 *
 * @returns why it was left out; undefined when it was set
 */
function set_option(options: RouteOptions, name: string, value: string): string | undefined {
  if (name === "pool") {
    if (string.find(value, "^@[%w._-]+$")[0] === undefined || value.length > 254) {
      return "pool must be @ and letters, digits or . _ -";
    }
    options.pool = value;
  } else if (name === "tries") {
    const tries = string.find(value, "^%d+$")[0] !== undefined ? tonumber(value)! : 0;
    if (tries < 1 || tries > MOST_TRIES) {
      return `tries must be a whole number from 1 to ${MOST_TRIES}`;
    }
    options.tries = tries;
  } else if (TIMES.has(name)) {
    const [seconds, err] = parse_time(value);
    if (seconds === undefined) {
      return `${name} ${err}`;
    }
    if (seconds < 0.001 || seconds > LONGEST_TIMEOUT) {
      return `${name} must be 1ms to ${LONGEST_TIMEOUT}s`;
    }
    options[name as "read_timeout"] = seconds;
  } else if (name === "split" || name === "split_cookie") {
    return set_split(options, name, value);
  } else if (OF_CHOICE.has(name)) {
    return set_choice(options, name, value);
  } else if (is_policy(name)) {
    return set_policy(options, name, value);
  } else if (string.sub(name, 1, META.length) === META) {
    return set_meta(options, string.sub(name, META.length + 1), value);
  } else {
    return "unknown option";
  }
  return undefined;
}

/** An option whose new value is bad keeps the value it had. */
function keep_last_good(options: RouteOptions, name: string, last: RouteOptions | undefined): void {
  if (last === undefined) {
    return;
  }
  if (name === "pool") {
    options.pool = last.pool;
  } else if (name === "tries") {
    options.tries = last.tries;
  } else if (TIMES.has(name) || OF_CHOICE.has(name) || name === "split" || name === "split_cookie") {
    (options as Record<string, unknown>)[name] = (last as Record<string, unknown>)[name];
  } else if (last.policy?.[name] !== undefined) {
    options.policy ??= {};
    options.policy[name] = last.policy[name];
  }
}

/** A copy of the first with what only the second has. Headers are the same in any case (RFC 9110, 5.1). */
function complete(own: PolicyTexts, other: PolicyTexts): PolicyTexts {
  const both: PolicyTexts = {};
  const taken = new LuaSet<string>();
  for (const [name, value] of pairs(own)) {
    both[name] = value;
    taken.add(string.lower(name));
  }
  for (const [name, value] of pairs(other)) {
    if (!taken.has(string.lower(name))) {
      both[name] = value;
    }
  }
  return both;
}

/** Gives a path the options of its host that it has not set itself. */
function inherit(options: RouteOptions, host: RouteOptions): void {
  if (options.policy !== undefined && host.policy !== undefined) {
    options.policy = complete(options.policy, host.policy);
  }
  for (const [name, value] of pairs(host as Record<string, unknown>)) {
    const own = options as Record<string, unknown>;
    if (own[name] === undefined && !NOT_INHERITED.has(name)) {
      own[name] = value;
    }
  }
}

export { inherit, keep_last_good, set_option };
