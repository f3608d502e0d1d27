/** The answers that a client gets from us and not from an app. */

import { Config } from "../config";
import { count, series_of_status } from "../observe/counters";

export type Reason =
  | "invalid_host"
  | "unknown_route"
  | "no_instances"
  | "name_unresolved"
  | "store_unreachable"
  | "loop"
  | "connect_failed"
  | "tls_failed"
  | "bad_response"
  | "connect_timeout"
  | "read_timeout";

interface Meaning {
  status: number;
  title: string;
  text: string;
}

const MEANINGS: Record<Reason, Meaning> = {
  invalid_host: {
    status: 400,
    title: "Bad Request",
    text: "The Host of this request is not the name of a site.",
  },
  unknown_route: { status: 404, title: "Not Found", text: "No site has this name." },
  no_instances: {
    status: 503,
    title: "Service Unavailable",
    text: "This site has no running instance at the moment.",
  },
  name_unresolved: {
    status: 503,
    title: "Service Unavailable",
    text: "The instances of this site cannot be found at the moment.",
  },
  store_unreachable: {
    status: 503,
    title: "Service Unavailable",
    text: "The router cannot look this site up at the moment.",
  },
  loop: { status: 508, title: "Loop Detected", text: "This site leads back to the router." },
  connect_failed: {
    status: 502,
    title: "Bad Gateway",
    text: "The instances of this site do not take connections.",
  },
  tls_failed: {
    status: 502,
    title: "Bad Gateway",
    text: "The instances of this site cannot be connected to over TLS.",
  },
  bad_response: { status: 502, title: "Bad Gateway", text: "This site broke off its response." },
  connect_timeout: {
    status: 504,
    title: "Gateway Timeout",
    text: "The instances of this site do not take connections in time.",
  },
  read_timeout: { status: 504, title: "Gateway Timeout", text: "This site did not respond in time." },
};

function wants_html(accept: string | undefined): boolean {
  return accept !== undefined && string.find(accept, "text/html", 1, true)[0] !== undefined;
}

function set_header(name: string, value: string | number): void {
  (ngx.header as Record<string, string | number>)[name] = value;
}

function write_body(meaning: Meaning, reason: Reason): void {
  let body = `${meaning.status} ${meaning.title}: ${meaning.text} (${reason})\n`;
  if (wants_html(ngx.var.http_accept)) {
    set_header("Content-Type", "text/html; charset=utf-8");
    const title = `${meaning.status} ${meaning.title}`;
    body = `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n<p>${meaning.text}</p>\n<p><small>${reason}</small></p>\n`;
  } else {
    set_header("Content-Type", "text/plain; charset=utf-8");
  }
  set_header("Content-Length", body.length);
  ngx.print(body);
}

/** Says to the client, and to log formats, why it gets no answer of an app. */
function name_reason(reason: Reason): void {
  set_header("X-Switchboard-Error", reason);
  set_header("Cache-Control", "no-store");
  ngx.var.switchboard_error = reason;
}

function send(config: Config, reason: Reason, status: number): void {
  name_reason(reason);
  if (!config.error_body) {
    // nginx makes the body: the user's error_page, or its own.
    ngx.exit(status);
    return;
  }
  ngx.status = status;
  write_body(MEANINGS[reason], reason);
  ngx.exit(ngx.HTTP_OK);
}

/** Answers the request in the access phase, where it is refused. */
function refuse(config: Config, reason: Reason): void {
  const status = MEANINGS[reason].status;
  count(`switchboard_answers_total{reason="${reason}"}`, 1);
  count(series_of_status(status), 1);
  send(config, reason, status);
}

/** Answers in the place of nginx, which has given up after failed tries. */
function explain_failure(config: Config, reason: Reason): void {
  send(config, reason, MEANINGS[reason].status);
}

export { explain_failure, name_reason, refuse };
