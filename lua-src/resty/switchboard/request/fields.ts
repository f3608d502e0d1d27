/**
 * What an access log can say of a request: nginx variables that the log phase fills in, just before nginx writes
 * its line.
 *
 * Writing a variable costs Lua some 800 instructions. nginx gives a place only to variables that its conf uses, and
 * refuses the write to others: so a worker tries each once, and fills in from then on those that somebody logs.
 */

import { of_last_try } from "./last_try";
import { RequestState, WITHHELD } from "./state";

type Field = (this: void, state: RequestState) => string;

/** The instance of the last try. */
function instance_of(state: RequestState): string {
  const peer = state.peer ?? state.tried[state.tried.length - 1];
  return peer !== undefined ? peer.state.identity : "";
}

/** Whether the budget kept the request from another try: it has failed, or was answered what `retry_on` names. */
function missed_a_retry(state: RequestState): boolean {
  if (state.grant !== WITHHELD) {
    return false;
  }
  const retry_on = state.entry.policy?.retry_on;
  return (
    state.reason !== undefined ||
    (retry_on !== undefined && string.find(retry_on, tostring(ngx.status), 1, true)[0] !== undefined)
  );
}

function retry_reason_of(state: RequestState): string {
  if (missed_a_retry(state)) {
    return "budget_spent";
  }
  return state.tries > 1 ? (state.retry_reason ?? "") : "";
}

const FIELDS: Record<string, Field> = {
  switchboard_route: (state) => state.entry.name,
  switchboard_instance: instance_of,
  switchboard_tries: (state) => tostring(state.tries),
  switchboard_retry_reason: retry_reason_of,
  switchboard_cache: (state) => state.found_in ?? "worker",
  switchboard_age: (state) => string.format("%.3f", math.max(0, ngx.now() - state.entry.loaded)),
  // nginx lists the times of all tries; a log of another router has one.
  switchboard_backend_time: () => {
    const time = of_last_try(ngx.var.upstream_response_time);
    return time !== "-" ? time : "0.000";
  },
};

interface Logged {
  name: string;
  value: Field;
}

let logged: Logged[] | undefined = undefined;

function is_used(name: string): boolean {
  const [ok] = pcall(() => {
    (ngx.var as Record<string, string>)[name] = "";
  });
  return ok;
}

function find_logged(): Logged[] {
  const found: Logged[] = [];
  for (const [name, value] of pairs(FIELDS)) {
    if (is_used(name)) {
      found.push({ name, value });
    }
  }
  logged = found;
  return found;
}

/** Fills in what somebody logs. For the log phase, before the request is taken off its instance. */
function fill_in(state: RequestState): void {
  const fields = logged ?? find_logged();
  if (fields.length > 0) {
    for (const field of fields) {
      (ngx.var as Record<string, string>)[field.name] = field.value(state);
    }
  }
}

/** Fills in the route of a request that was refused: it has no state. */
function fill_in_route(name: string): void {
  for (const field of logged ?? find_logged()) {
    if (field.name === "switchboard_route") {
      ngx.var.switchboard_route = name;
    }
  }
}

export { fill_in, fill_in_route };
