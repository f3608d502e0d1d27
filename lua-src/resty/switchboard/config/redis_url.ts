/** Where Redis is: `redis://`, `rediss://`, `redis+sentinel://`, `rediss+sentinel://` and `unix:` URLs. */

import { parse_ip } from "../net/address";

export interface Place {
  /** Lower-case name or canonical address, without brackets. */
  host: string;
  port: number;
}

export interface RedisTarget {
  /** The servers, best first; of `…+sentinel://` the sentinels. Empty for a unix socket. */
  servers: Place[];
  /** What the sentinels call the master; undefined: there are none. */
  master?: string;
  /** The unix socket. */
  path?: string;
  tls: boolean;
  user?: string;
  password?: string;
  db: number;
  /** Connections may be shared within one pool: it differs with the URL, its user and password included. */
  pool: string;
  /** For messages: where, without user and password. */
  label: string;
}

type Parsed<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

interface Credentials {
  user?: string;
  password?: string;
}

const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26379;
const MOST_SERVERS = 16;
const HIGHEST_PORT = 65535;
/** The longest path that fits into the system's sockaddr_un. */
const LONGEST_SOCKET_PATH = 107;
const LONGEST_NAME = 253;
/**
 * Makes the digest in pool names useless to whoever sees one: short passwords could be guessed from a plain
 * one. A table's address is different in each process.
 */
const SALT = tostring({});

/** @returns undefined when a % is not followed by two hex digits: it was meant to stand for itself */
function decode_percent(text: string): string | undefined {
  const [bare] = string.gsub(text, "%%%x%x", "");
  if (string.find(bare, "%", 1, true)[0] !== undefined) {
    return undefined;
  }
  const [decoded] = string.gsub(text, "%%(%x%x)", (digits: string) => string.char(tonumber(digits, 16)!));
  return decoded;
}

function parse_credentials(text: string): Parsed<Credentials> {
  const [colon] = string.find(text, ":", 1, true);
  if (colon === undefined) {
    return $multi(
      undefined,
      "a user needs a password (redis://user:password@host, or redis://:password@host for a password alone)",
    );
  }
  const user = decode_percent(string.sub(text, 1, colon - 1));
  const password = decode_percent(string.sub(text, colon + 1));
  if (user === undefined || password === undefined) {
    return $multi(undefined, "a % in the user or password must be written %25");
  }
  if (password === "") {
    return $multi(undefined, "the password is empty");
  }
  return $multi({ user: user !== "" ? user : undefined, password }, undefined);
}

function parse_db(text: string): Parsed<number> {
  if (string.find(text, "^%d%d?%d?%d?%d?%d?$")[0] === undefined) {
    return $multi(undefined, "the database must be a whole number");
  }
  return $multi(tonumber(text)!, undefined);
}

function parse_port(text: string): number | undefined {
  if (string.find(text, "^%d%d?%d?%d?%d?$")[0] === undefined) {
    return undefined;
  }
  const port = tonumber(text)!;
  return port >= 1 && port <= HIGHEST_PORT ? port : undefined;
}

function parse_host(text: string): string | undefined {
  const [inside] = string.match(text, "^%[(.*)%]$");
  const address = parse_ip(inside ?? text);
  if (address !== undefined) {
    return (address.family === 6) === (inside !== undefined) ? address.text : undefined;
  }
  const is_name = text.length <= LONGEST_NAME && string.find(text, "^[%w_][%w_.-]*$")[0] !== undefined;
  // "10.0.0.300" is a mistyped address, not a name that a resolver should be asked for.
  return is_name && string.find(text, "^[%d.]+$")[0] === undefined ? string.lower(text) : undefined;
}

/** Takes `user:password@` off the front; the last @ ends it, so that an unescaped one in a password works. */
function take_credentials(text: string): LuaMultiReturn<[Credentials, string] | [undefined, string]> {
  const [before, behind] = string.match(text, "^(.*)@(.*)$");
  if (before === undefined || behind === undefined) {
    return $multi({}, text);
  }
  const [credentials, err] = parse_credentials(before);
  if (credentials === undefined) {
    return $multi(undefined, err);
  }
  return $multi(credentials, behind);
}

/** One place as a URL shows it. */
function show_place(place: Place): string {
  const host = string.find(place.host, ":", 1, true)[0] !== undefined ? `[${place.host}]` : place.host;
  return `${host}:${place.port}`;
}

/** For messages: one of the servers, or those that sentinels name. */
function label_of(target: RedisTarget, place: Place): string {
  return `${target.tls ? "rediss" : "redis"}://${show_place(place)}${target.db !== 0 ? `/${target.db}` : ""}`;
}

function show_whole(target: RedisTarget): string {
  const { path, master, db } = target;
  if (path !== undefined) {
    return `unix:${path}${db !== 0 ? `?db=${db}` : ""}`;
  }
  const places: string[] = [];
  for (const place of target.servers) {
    places.push(show_place(place));
  }
  const scheme = (target.tls ? "rediss" : "redis") + (master !== undefined ? "+sentinel" : "");
  const behind = (master !== undefined ? `/${master}` : "") + (db !== 0 ? `/${db}` : "");
  return `${scheme}://${table.concat(places, ",")}${behind}`;
}

function finish(target: RedisTarget, credentials: Credentials): RedisTarget {
  target.user = credentials.user;
  target.password = credentials.password;
  target.label = show_whole(target);
  const secrets = `${SALT}\n${target.user ?? ""}\n${target.password ?? ""}`;
  target.pool = `switchboard ${target.label} ${ngx.md5(secrets)}`;
  return target;
}

function parse_socket(rest: string): Parsed<RedisTarget> {
  const [authority] = string.match(rest, "^//(.*)$");
  let where = authority ?? rest;
  let credentials: Credentials = {};
  // A path may hold an @ of its own.
  if (authority !== undefined && string.sub(authority, 1, 1) !== "/") {
    const [taken, remainder] = take_credentials(authority);
    if (taken === undefined) {
      return $multi(undefined, remainder);
    }
    credentials = taken;
    where = remainder;
  }
  const [path, query] = string.match(where, "^(/[^?]*)(.*)$");
  if (path === undefined || query === undefined || path.length > LONGEST_SOCKET_PATH) {
    return $multi(undefined, `a unix socket needs an absolute path of at most ${LONGEST_SOCKET_PATH} bytes`);
  }
  const [db_text] = string.match(query, "^%?db=(.*)$");
  if (query !== "" && db_text === undefined) {
    return $multi(undefined, "only ?db=n may follow the path");
  }
  const [db, err] = parse_db(db_text ?? "0");
  if (db === undefined) {
    return $multi(undefined, err);
  }
  return $multi(finish({ servers: [], path, tls: false, db, pool: "", label: "" }, credentials), undefined);
}

function parse_place(text: string, default_port: number): Parsed<Place> {
  const [bracketed, bracketed_port] = string.match(text, "^(%[[^%]]*%])(.*)$");
  const [plain, plain_port] = string.match(text, "^([^:]*)(.*)$");
  const host = parse_host(bracketed ?? plain!);
  if (host === undefined) {
    return $multi(undefined, "the host must be a DNS name, an IPv4 address or an IPv6 address in brackets");
  }
  const port_text = bracketed !== undefined ? bracketed_port! : plain_port!;
  const port = port_text === "" ? default_port : parse_port(string.sub(port_text, 2));
  if (port === undefined || (port_text !== "" && string.sub(port_text, 1, 1) !== ":")) {
    return $multi(undefined, `the port must be 1 to ${HIGHEST_PORT}`);
  }
  return $multi({ host, port }, undefined);
}

/** One or more places, separated by commas. */
function parse_places(text: string, default_port: number): Parsed<Place[]> {
  const places: Place[] = [];
  for (const [one] of string.gmatch(`${text},`, "([^,]*),")) {
    const [place, err] = parse_place(one!, default_port);
    if (place === undefined) {
      return $multi(undefined, err);
    }
    places.push(place);
  }
  if (places.length > MOST_SERVERS) {
    return $multi(undefined, `at most ${MOST_SERVERS} servers may be named`);
  }
  return $multi(places, undefined);
}

function parse_servers(rest: string, tls: boolean, sentinels: boolean): Parsed<RedisTarget> {
  // A slash or question mark in a password that is not escaped would otherwise end the host in its middle.
  const [before_at, behind_at] = string.match(rest, "^(.*@)(.*)$");
  const [where, tail] = string.match(behind_at ?? rest, "^([^/?#]*)(.*)$");
  const [credentials, list] = take_credentials((before_at ?? "") + where!);
  if (credentials === undefined) {
    return $multi(undefined, list);
  }
  const [servers, wrong] = parse_places(list, sentinels ? SENTINEL_PORT : DEFAULT_PORT);
  if (servers === undefined) {
    return $multi(undefined, wrong);
  }
  const [named, db_part] = string.match(tail!, "^/([^/?#]+)(.*)$");
  const master = sentinels ? named : undefined;
  if (sentinels && master === undefined) {
    return $multi(
      undefined,
      "the master's name must follow the sentinels: redis+sentinel://host,host/mymaster",
    );
  }
  const behind = sentinels ? db_part! : tail!;
  if (behind !== "" && string.sub(behind, 1, 1) !== "/") {
    return $multi(undefined, "only /db may follow the host");
  }
  const [db, err] = parse_db(behind === "" || behind === "/" ? "0" : string.sub(behind, 2));
  if (db === undefined) {
    return $multi(undefined, err);
  }
  return $multi(finish({ servers, master, tls, db, pool: "", label: "" }, credentials), undefined);
}

/**
 * Reads `redis://[user[:password]@]host[:port][,host[:port]…][/db]`, the same with `rediss://` for TLS,
 * `redis+sentinel://[user:password@]host[:port][,…]/master[/db]`, the same with `rediss+sentinel://`,
 * `unix:/path[?db=n]` or `unix://[user:password@]/path[?db=n]`.
 *
 * Users and passwords may be percent-encoded. The port is 6379, of a sentinel 26379, and the database 0 when left out.
 *
 * @returns nil and what is wrong; never a part of the URL, which may hold a password
 */
function parse_redis_url(url: string): Parsed<RedisTarget> {
  const [scheme, rest] = string.match(url, "^([%a+]+):(.*)$");
  if (string.find(url, "[%z\x01-\x20\x7f]")[0] !== undefined) {
    return $multi(undefined, "blanks and control characters must be percent-encoded");
  }
  const lower = string.lower(scheme ?? "");
  if (lower === "unix") {
    return parse_socket(rest!);
  }
  const [servers] = string.match(rest ?? "", "^//(.*)$");
  const [plain, sentinels] = string.match(lower, "^(rediss?)(.*)$");
  if (servers === undefined || plain === undefined || (sentinels !== "" && sentinels !== "+sentinel")) {
    return $multi(undefined, "it must begin with redis://, rediss://, redis+sentinel:// or unix:");
  }
  return parse_servers(servers, plain === "rediss", sentinels !== "");
}

export { label_of, parse_place, parse_redis_url };
