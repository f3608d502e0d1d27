/** The access and log phases of a request. */

import { Config } from "../config";
import { count, series_of_status } from "../observe/counters";
import { printable, tell } from "../observe/journal";
import { find, Lookup } from "../route/lookup";
import { explain_failure, is_reason, Reason, refuse } from "./answer";
import { adopt_forwarded, has_passed } from "./forwarded";
import { begin, current, end } from "./state";

/** What both phases need; made once per worker. */
export interface Router {
  config: Config;
  lookup: Lookup;
  /** There are trusted proxies to listen to. */
  listens_to_proxies: boolean;
}

function refuse_and_tell(router: Router, reason: Reason, host: string, detail: string | undefined): void {
  if (reason !== "unknown_route" && reason !== "invalid_host") {
    tell(
      reason === "loop" ? ngx.WARN : ngx.ERR,
      `${reason} ${host}`,
      `${printable(host)}: ${reason}${detail !== undefined ? `: ${detail}` : ""}`,
    );
  }
  refuse(router.config, reason);
}

/** Finds the route of the request and prepares its tries, or answers it. */
function access(router: Router): void {
  const vars = ngx.var;
  const host = vars.switchboard_host ?? "";
  const [entry, reason, detail] = find(router.lookup, host);
  if (entry === undefined) {
    refuse_and_tell(router, reason, host, detail);
    return;
  }
  if (entry.refusal !== undefined) {
    refuse_and_tell(router, entry.refusal, host, undefined);
    return;
  }
  let upgrade = false;
  // Empty for almost every request: one variable instead of one for each header that would matter.
  if (vars.switchboard_special !== "") {
    const via = vars.http_via;
    if (via !== undefined && has_passed(via, vars.switchboard_node ?? "")) {
      refuse_and_tell(router, "loop", host, `Via: ${printable(via)}`);
      return;
    }
    upgrade = vars.http_upgrade !== undefined;
  }
  if (router.listens_to_proxies) {
    adopt_forwarded(router.config);
  }
  begin(entry).upgrade = upgrade;
}

/** Takes the request off its instance and counts it. Other requests of the same nginx pass through. */
function log(): void {
  const state = current();
  if (state === undefined) {
    return;
  }
  const name = state.entry.name;
  const tries = state.tries;
  end(state);
  const status = ngx.status;
  count(series_of_status(status), 1);
  count("switchboard_tries_total", tries);
  if (status === 502 || status === 504) {
    const reason = ngx.var.switchboard_failure;
    if (is_reason(reason)) {
      count(`switchboard_answers_total{reason="${reason as Reason}"}`, 1);
      tell(ngx.ERR, `${reason} ${name}`, `${name}: ${reason} after ${tries} tries`);
    }
  }
}

/** The body of a 502 or 504 after failed tries, for the location of errors.conf. */
function failed(router: Router): void {
  const reason = ngx.var.switchboard_failure;
  if (is_reason(reason)) {
    explain_failure(router.config, reason as Reason);
  } else {
    ngx.exit(ngx.status);
  }
}

export { access, failed, log };
