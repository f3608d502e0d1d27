/** The options of a route, as text in Redis. */

import { parse_time } from "../config/grammar";
import { RouteOptions } from "./record";

const MOST_TRIES = 100;
/** Seconds. */
const LONGEST_TIMEOUT = 86400;

/**
 * Sets one option.
 *
 * @returns why it was left out; undefined when it was set, or is only shown (`meta.…`)
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
  } else if (name === "connect_timeout" || name === "send_timeout" || name === "read_timeout") {
    const [seconds, err] = parse_time(value);
    if (seconds === undefined) {
      return `${name} ${err}`;
    }
    if (seconds < 0.001 || seconds > LONGEST_TIMEOUT) {
      return `${name} must be 1ms to ${LONGEST_TIMEOUT}s`;
    }
    options[name] = seconds;
  } else if (string.sub(name, 1, 5) !== "meta.") {
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
  } else if (name === "tries" || name === "connect_timeout" || name === "send_timeout") {
    options[name] = last[name];
  } else if (name === "read_timeout") {
    options.read_timeout = last.read_timeout;
  }
}

export { keep_last_good, set_option };
