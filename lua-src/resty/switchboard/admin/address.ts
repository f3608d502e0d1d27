/** Instances as they stand in Redis, `10.0.0.5:8080` or `https://10.0.0.6:8443`, and by their identity. */

import { parse_ip } from "../net/address";

const PLAIN = "http://";

/** `http://` is left out. */
function short_of(identity: string): string {
  return string.sub(identity, 1, PLAIN.length) === PLAIN ? string.sub(identity, PLAIN.length + 1) : identity;
}

/** The identity that `short_of` has made short. */
function identity_of_short(address: string): string {
  return string.find(address, "://", 1, true)[0] === undefined ? PLAIN + address : address;
}

/** The identity behind an address of either kind; undefined: it is none. */
function identity_of_text(text: string): string | undefined {
  const [scheme, rest] = string.match(text, "^(https?)://(.*)$");
  const [host, port] = string.match(rest ?? text, "^(.+):(%d%d?%d?%d?%d?)$");
  const number = tonumber(port) ?? 0;
  if (host === undefined || number < 1 || number > 65535) {
    return undefined;
  }
  const [inner] = string.match(host, "^%[(.*)%]$");
  const ip = parse_ip(inner ?? host);
  const is_v6 = ip !== undefined && string.find(ip.text, ":", 1, true)[0] !== undefined;
  // An instance is known by the addresses that its name resolves to.
  if (ip === undefined || is_v6 !== (inner !== undefined)) {
    return undefined;
  }
  return `${scheme ?? "http"}://${is_v6 ? `[${ip.text}]` : ip.text}:${number}`;
}

export { identity_of_short, identity_of_text, short_of };
