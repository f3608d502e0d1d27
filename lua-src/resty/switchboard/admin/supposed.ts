/** A request that nobody has sent, as nginx's variables would have it. */

import { Vars } from "../request/find";

/** What `/explain` is asked about. */
export interface Supposed {
  /** As a client would send it. */
  host: string;
  /** As nginx's `$uri`: decoded, normalised, without the query. */
  path: string;
  /** The client's address, as nginx or a trusted proxy gives it; undefined: not said. */
  client: string | undefined;
  vars: Vars;
}

/** `/a//b/../c` is `/a/c`; undefined: it leaves the root, or is no path. */
function normalise_path(path: string): string | undefined {
  if (string.sub(path, 1, 1) !== "/") {
    return undefined;
  }
  const segments: string[] = [];
  for (const [segment] of string.gmatch(path, "[^/]+")) {
    if (segment === "..") {
      if (segments.length === 0) {
        return undefined;
      }
      segments.pop();
    } else if (segment !== ".") {
      segments.push(segment!);
    }
  }
  const is_folder = string.find(path, "/%.?%.?$")[0] !== undefined;
  const joined = `/${table.concat(segments, "/")}`;
  return is_folder && segments.length > 0 ? `${joined}/` : joined;
}

/** A plus stands for itself in a path. */
function decode_path(text: string): string {
  return ngx.unescape_uri(string.gsub(text, "%+", "%%2B")[0]);
}

/** nginx's variables have small letters; which were asked for, nobody knows beforehand. */
function by_small_letters(known: LuaTable<string, string>): Vars {
  const look_up = (_: Vars, name: string): string | undefined => known.get(string.lower(name));
  return setmetatable({} as Vars, { __index: look_up } as unknown as LuaMetatable<Vars>);
}

function set_first(known: LuaTable<string, string>, name: string, value: string): void {
  if (known.get(name) === undefined) {
    known.set(name, value);
  }
}

/** Several lines of a header are one, as nginx has it. */
function add_header(known: LuaTable<string, string>, name: string, value: string): void {
  const variable = `http_${string.gsub(string.lower(name), "-", "_")[0]}`;
  const before = known.get(variable) as string | undefined;
  const between = variable === "http_cookie" ? "; " : ", ";
  known.set(variable, before !== undefined ? before + between + value : value);
}

function add_cookies(known: LuaTable<string, string>): void {
  const text = (known.get("http_cookie") as string | undefined) ?? "";
  for (const [name, value] of string.gmatch(text, "%s*([^=;]+)=([^;]*)")) {
    set_first(known, `cookie_${string.lower(name!)}`, value!);
  }
}

function add_arguments(known: LuaTable<string, string>, text: string): void {
  for (const [name, value] of string.gmatch(text, "([^=&]+)=([^&]*)")) {
    set_first(known, `arg_${string.lower(name!)}`, value!);
  }
}

/**
 * @param host a Host header
 * @param target what stands in the request line: a path and perhaps a query
 * @param headers `Name:value` each
 * @returns nil and why: something of it no request can have
 */
function suppose(
  host: string,
  target: string,
  headers: string[],
  client: string | undefined,
  scheme: string,
  method: string,
): LuaMultiReturn<[Supposed, undefined] | [undefined, string]> {
  const [raw, query] = string.match(target, "^([^?#]*)%??([^#]*)");
  const path = normalise_path(decode_path(raw!));
  if (path === undefined || string.find(path, "%z")[0] !== undefined) {
    return $multi(undefined, "path must begin with / and stay below it");
  }
  const known = new LuaTable<string, string>();
  for (const header of headers) {
    const [name, value] = string.match(header, "^([%w!#$%%&'*+.^_`|~-]+):%s*([^%c]*)$");
    if (name === undefined) {
      return $multi(undefined, "header must be Name:value");
    }
    add_header(known, name, value!);
  }
  add_cookies(known);
  add_arguments(known, query!);
  known.set("uri", path);
  known.set("request_uri", target);
  known.set("scheme", scheme);
  known.set("request_method", method);
  known.set("server_protocol", "HTTP/1.1");
  known.set("http_host", host);
  known.set("host", host);
  const length = known.get("http_content_length") as string | undefined;
  if (length !== undefined) {
    known.set("content_length", length);
  }
  if (client !== undefined) {
    known.set("remote_addr", client);
    known.set("switchboard_client", client);
  }
  return $multi({ host, path, client, vars: by_small_letters(known) }, undefined);
}

export { decode_path, normalise_path, suppose };
