/** Which failed tries of hipache's and planb's backends are told to the others: those that could not connect. */

import { Config } from "../config";
import { Entry } from "../route/entry";
import { least_of, mark_dead } from "../route/dead_marks";
import { split_scope } from "../schema/scope";
import { Reason } from "./answer";

const STAR = 42;

function is_death(reason: Reason): boolean {
  return reason === "connect_failed" || reason === "connect_timeout" || reason === "tls_failed";
}

/**
 * Hears that a try failed. A client that left, an answer that took too long, and an app's own errors say nothing of
 * whether a backend lives.
 *
 * @param backend the entry in the list
 */
function hear_death(config: Config, entry: Entry, backend: string, reason: Reason): void {
  if (!is_death(reason)) {
    return;
  }
  const [name] = split_scope(entry.name);
  const is_pattern = string.byte(name) === STAR;
  mark_dead(config, {
    name,
    host: is_pattern ? (ngx.var.host ?? name) : name,
    entry: backend,
    least: least_of(entry.schema),
  });
}

export { hear_death };
