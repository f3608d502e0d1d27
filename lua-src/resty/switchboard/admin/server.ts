/** The admin server: which endpoint has a request, and who may ask it. */

import { Admin, Asked } from "./context";
import { explain } from "./explain";
import { instance } from "./instance";
import { names } from "./names";
import { order } from "./orders";
import { parse_query } from "./query";
import { Given, refused, Refused, send, send_refusal } from "./reply";
import { route } from "./route";
import { routes } from "./routes";
import { healthz, readyz, status } from "./status";
import { decode_path } from "./supposed";
import { refusal } from "./token";

/** A page that writes itself, such as `/metrics`. */
export type Pages = Record<string, ((this: void) => void) | undefined>;

const ENDPOINTS: Record<string, ((this: void, admin: Admin, asked: Asked) => Given) | undefined> = {
  "/healthz": healthz,
  "/status": status,
  "/routes": routes,
  "/names": names,
  "/explain": explain,
};

/** What stands behind a path that begins with this. */
const WITHIN: [string, (this: void, admin: Admin, rest: string, asked: Asked) => Given][] = [
  ["/routes/", route],
  ["/instances/", instance],
];

function get(admin: Admin, asked: Asked): Given {
  const endpoint = ENDPOINTS[asked.path];
  if (endpoint !== undefined) {
    return endpoint(admin, asked);
  }
  for (const [start, within] of WITHIN) {
    if (string.sub(asked.path, 1, start.length) === start && asked.path.length > start.length) {
      return within(admin, string.sub(asked.path, start.length + 1), asked);
    }
  }
  return refused(404, "not_found", "there is no such page; /openapi.json lists them");
}

/** Whether it is something that changes something. */
function is_order(path: string): boolean {
  return (
    path === "/guard/release" ||
    string.find(path, "^/instances/.+/eject$")[0] !== undefined ||
    string.find(path, "^/instances/.+/restore$")[0] !== undefined
  );
}

/** A POST: never without a token, wherever it comes from. A page in an operator's browser has none. */
function post(admin: Admin, asked: Asked): Given {
  const of_route = string.find(asked.path, "^/routes/.+/forget$")[0] !== undefined;
  if (!of_route && !is_order(asked.path)) {
    return refused(405, "method_not_allowed", "GET, HEAD");
  }
  if (admin.router.config.admin_token === "") {
    return refused(403, "token_needed", "set admin_token: nothing is changed without one");
  }
  return order(admin, asked);
}

/** What is asked, from the request line: nginx's own path has slashes and dots taken out that a name may have. */
function read_request(): LuaMultiReturn<[Asked, undefined] | [undefined, Refused]> {
  const [path, text] = string.match(ngx.var.request_uri ?? "/", "^([^?#]*)%??([^#]*)");
  const query = parse_query(text!);
  if (query === undefined) {
    return refused(414, "query_too_long", "a query may have 4096 bytes and 100 parameters");
  }
  return $multi({ method: ngx.req.get_method(), path: decode_path(path!), query }, undefined);
}

function refuse(refused_because: Refused): void {
  const header = ngx.header as Record<string, string>;
  if (refused_because.status === 401) {
    header["WWW-Authenticate"] = 'Bearer realm="switchboard"';
  } else if (refused_because.status === 405) {
    header.Allow = refused_because.detail;
  }
  send_refusal(refused_because);
}

/** Whether the request may go on; answers it where not. For locations of the admin server with content of their own. */
function admit(admin: Admin): boolean {
  const because = refusal(admin.router.config, ngx.var.http_authorization);
  if (because !== undefined) {
    refuse(because);
  }
  return because === undefined;
}

/**
 * The same for the dashboard's own files, which are the same everywhere and tell nothing: a browser has no token before
 * the page has asked for it.
 */
function admit_page(admin: Admin): boolean {
  return admin.router.config.admin_token !== "" || admit(admin);
}

/** Answers a request. Yields. */
function serve(admin: Admin, pages: Pages): void {
  if (!admit(admin)) {
    return;
  }
  const [asked, wrong] = read_request();
  if (asked === undefined) {
    refuse(wrong);
    return;
  }
  const { method } = asked;
  if (method !== "GET" && method !== "HEAD") {
    const [done, wrong_order] =
      method === "POST" ? post(admin, asked) : refused(405, "method_not_allowed", "GET, HEAD, POST");
    if (done === undefined) {
      refuse(wrong_order);
    } else {
      send(200, done);
    }
    return;
  }
  if (is_order(asked.path)) {
    refuse({ status: 405, error: "method_not_allowed", detail: "POST" });
    return;
  }
  if (asked.path === "/readyz") {
    readyz(admin);
    return;
  }
  const page = pages[asked.path];
  if (page !== undefined) {
    page();
    return;
  }
  const [value, because] = get(admin, asked);
  if (value === undefined) {
    refuse(because);
  } else {
    send(200, value);
  }
}

const ERRORS: Record<number, string | undefined> = {
  400: "bad_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  413: "body_too_large",
  414: "query_too_long",
};

/** Says in JSON what nginx itself has refused. */
function serve_error(): void {
  // nginx has statuses of its own beyond 400: what they mean is a bad request.
  const status = ngx.status >= 494 && ngx.status < 500 ? 400 : ngx.status;
  send_refusal({ status, error: ERRORS[status] ?? "failed", detail: "nginx refused the request" });
}

export { admit, admit_page, serve, serve_error };
