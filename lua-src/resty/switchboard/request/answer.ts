/** The answers that a client gets from us and not from an app. */

import { Config } from "../config";
import { count, series_of_status } from "../observe/counters";
import { observe_refusal } from "../observe/tally";
import { Entry } from "../route/entry";
import { SchemaName } from "../schema/layout";
import { schema_of_server } from "./server_schema";

export type Reason =
  | "invalid_host"
  | "unknown_route"
  | "no_instances"
  | "name_unresolved"
  | "store_unreachable"
  | "all_dead"
  | "loop"
  | "forbidden"
  | "maintenance"
  | "overloaded"
  | "body_too_large"
  | "length_required"
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
  all_dead: {
    status: 503,
    title: "Service Unavailable",
    text: "All instances of this site are marked dead at the moment.",
  },
  store_unreachable: {
    status: 503,
    title: "Service Unavailable",
    text: "The router cannot look this site up at the moment.",
  },
  loop: { status: 508, title: "Loop Detected", text: "This site leads back to the router." },
  forbidden: { status: 403, title: "Forbidden", text: "This site is not open to your address." },
  maintenance: {
    status: 503,
    title: "Service Unavailable",
    text: "This site is under maintenance.",
  },
  overloaded: {
    status: 503,
    title: "Service Unavailable",
    text: "This site has too many requests at the moment.",
  },
  body_too_large: {
    status: 413,
    title: "Content Too Large",
    text: "This site does not take so large a body.",
  },
  length_required: {
    status: 411,
    title: "Length Required",
    text: "This site takes a body only with its Content-Length.",
  },
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

/** What users of other routers expect. The layout of the server says whose they are. */
const OTHER_STATUSES: Record<SchemaName, Partial<Record<Reason, Meaning>>> = {
  native: {},
  hipache: {
    unknown_route: { status: 400, title: "Bad Request", text: "No site has this name." },
    no_instances: {
      status: 502,
      title: "Bad Gateway",
      text: "This site has no running instance at the moment.",
    },
    all_dead: {
      status: 502,
      title: "Bad Gateway",
      text: "All instances of this site are marked dead at the moment.",
    },
  },
  planb: { unknown_route: { status: 400, title: "Bad Request", text: "no such route" } },
  dinp: {},
};

/** Seconds after which who was refused for too many requests may try again. */
const OVERLOAD_PASSES = 1;

/** `X-Cf-RouterError` of gorouter, whose fork DINP's router is. Reasons that are not here: endpoint_failure. */
const CF_ERRORS: Partial<Record<Reason, string>> = {
  invalid_host: "empty_host",
  unknown_route: "unknown_route",
  no_instances: "no_endpoints",
  name_unresolved: "no_endpoints",
};

function meaning_of(config: Config, reason: Reason): Meaning {
  return OTHER_STATUSES[schema_of_server(config)][reason] ?? MEANINGS[reason];
}

/** The status that a client gets with a reason. */
function status_of(config: Config, reason: Reason): number {
  return meaning_of(config, reason).status;
}

function wants_html(accept: string | undefined): boolean {
  return accept !== undefined && string.find(accept, "text/html", 1, true)[0] !== undefined;
}

function set_header(name: string, value: string | number): void {
  (ngx.header as Record<string, string | number>)[name] = value;
}

function escape_html(text: string): string {
  const [escaped] = string.gsub(text, '[&<>"]', { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" });
  return escaped;
}

function write_body(meaning: Meaning, reason: Reason, text: string): void {
  let body = `${meaning.status} ${meaning.title}: ${text} (${reason})\n`;
  if (wants_html(ngx.var.http_accept)) {
    set_header("Content-Type", "text/html; charset=utf-8");
    const title = `${meaning.status} ${meaning.title}`;
    body = `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n<p>${escape_html(text)}</p>\n<p><small>${reason}</small></p>\n`;
  } else {
    set_header("Content-Type", "text/plain; charset=utf-8");
  }
  set_header("Content-Length", body.length);
  ngx.print(body);
}

/** Says to the client, and to log formats, why it gets no answer of an app. */
function name_reason(config: Config, reason: Reason): void {
  set_header("X-Switchboard-Error", reason);
  if (schema_of_server(config) === "dinp") {
    set_header("X-Cf-RouterError", CF_ERRORS[reason] ?? `endpoint_failure (${reason})`);
  }
  set_header("Cache-Control", "no-store");
  ngx.var.switchboard_error = reason;
}

function send(config: Config, reason: Reason, own_text: string): void {
  const meaning = meaning_of(config, reason);
  const status = meaning.status;
  name_reason(config, reason);
  if (!config.error_body) {
    // nginx makes the body: the user's error_page, or its own.
    ngx.exit(status);
    return;
  }
  ngx.status = status;
  write_body(meaning, reason, own_text !== "" ? own_text : meaning.text);
  ngx.exit(ngx.HTTP_OK);
}

/** Counts a request that is answered in the access phase. */
function count_refusal(entry: Entry | undefined, status: number, own: boolean): void {
  if (entry === undefined) {
    count(series_of_status(status), 1);
  } else {
    observe_refusal(entry, status, own ? 1 : 0);
  }
}

/**
 * Answers the request in the access phase, where it is refused.
 *
 * @param entry the route; undefined: it has none
 * @param own_text what the body says instead of the router's own words; empty: those
 */
function refuse(config: Config, entry: Entry | undefined, reason: Reason, own_text = ""): void {
  count(`switchboard_answers_total{reason="${reason}"}`, 1);
  count_refusal(entry, meaning_of(config, reason).status, true);
  if (reason === "overloaded") {
    set_header("Retry-After", OVERLOAD_PASSES);
  }
  send(config, reason, own_text);
}

/** Answers a request to a route under maintenance. */
function refuse_for_now(config: Config, entry: Entry, own_text: string, retry_after: number): void {
  set_header("Retry-After", string.format("%.0f", math.floor(retry_after)));
  refuse(config, entry, "maintenance", own_text);
}

/** Answers in the place of nginx, which has given up after failed tries. */
function explain_failure(config: Config, reason: Reason): void {
  send(config, reason, "");
}

export { count_refusal, explain_failure, name_reason, refuse, refuse_for_now, status_of };
