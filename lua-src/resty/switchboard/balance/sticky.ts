/**
 * Session cookies: which instance a client's cookie means.
 *
 * A cookie is a truncated keyed hash of the instance's identity. It tells nobody an address, and a made-up one
 * means nothing: it can only choose among the instances of the route that reads it. All of a route's are worked
 * out when it is compiled, so that reading one is a table read, whatever it holds and however long it is.
 */

import { Peer } from "./peer";

export interface Sticky {
  /** Of the cookie. */
  name: string;
  /** The nginx variable that holds it. */
  variable: string;
  /** What follows the value in Set-Cookie, `Secure` left out. */
  attributes: string;
  /** The peers of the route, those that rest included, by the values of their cookies. */
  peers: LuaTable<string, Peer>;
  values: LuaTable<Peer, string>;
}

/** Hexadecimal digits of a cookie: 64 bits. */
const DIGITS = 16;
/** Routers without a `sticky_secret` agree too: a cookie is no secret, and no proof of anything. */
const FIXED_KEY = "switchboard";

/** The value of an instance's cookie: the first 64 bits of HMAC-SHA1. */
function value_of(secret: string, identity: string): string {
  const digest = ngx.hmac_sha1(secret !== "" ? secret : FIXED_KEY, identity);
  const [hex] = string.gsub(digest, ".", (byte: string) => string.format("%02x", string.byte(byte)));
  return string.sub(hex, 1, DIGITS);
}

/**
 * @param name of the cookie
 * @param path of the route: the cookie of another path of the host is another one
 * @param max_age seconds that the client keeps it; undefined: until it is closed
 */
function create(
  peers: Peer[],
  secret: string,
  name: string,
  path: string,
  max_age: number | undefined,
): Sticky {
  const by_value = new LuaTable<string, Peer>();
  const values = new LuaTable<Peer, string>();
  for (const peer of peers) {
    const value = value_of(secret, peer.state.identity);
    by_value.set(value, peer);
    values.set(peer, value);
  }
  const age = max_age !== undefined ? `; Max-Age=${math.floor(max_age)}` : "";
  return {
    name,
    variable: `cookie_${name}`,
    attributes: `; Path=${path}${age}; HttpOnly; SameSite=Lax`,
    peers: by_value,
    values,
  };
}

export { create };
