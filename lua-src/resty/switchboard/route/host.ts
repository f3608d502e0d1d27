/** What a request asks for: from the bytes of a Host to the name under which Redis may know it. */

import { parse_ip } from "../net/address";
import { split_scope, with_scope } from "../schema/scope";
import { parent_of } from "../schema/within";

/** RFC 1035 2.3.4: the longest name and the longest label, in bytes. */
const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;

/** A name that says a port, as planb has them. */
const A_HOST_AND_PORT = "^([^:]+):%d+$";

/** The pattern that knows every host that nobody else knows. */
const CATCH_ALL = "*";

function has_good_labels(name: string): boolean {
  let from = 1;
  while (true) {
    const [dot] = string.find(name, ".", from, true);
    const length = (dot ?? name.length + 1) - from;
    if (length === 0 || length > LONGEST_LABEL) {
      return false;
    }
    if (dot === undefined) {
      return true;
    }
    from = dot + 1;
  }
}

/**
 * The lower-case name of a host as it stands in Redis keys.
 *
 * Takes a DNS name, an IPv4 address, or an IPv6 address with or without brackets; a port and one trailing
 * dot are dropped. IPv6 comes out in its canonical form without brackets, as `$server_addr` has it.
 * Only letters, digits, `-`, `_` and dots pass: a Host can therefore never spell a pattern (`*`), a pool
 * (`@…`), a path (`…/…`) or another key.
 *
 * @param host any bytes
 * @returns the name, or undefined when the host is not one
 */
function normalise(host: string): string | undefined {
  if (host === "" || host.length > LONGEST_NAME + 7) {
    return undefined;
  }
  let name = string.lower(host);
  const [bracketed] = string.match(name, "^%[([%x:.]+)%]$");
  const [bracketed_with_port] = string.match(name, "^%[([%x:.]+)%]:%d+$");
  const v6 = bracketed ?? bracketed_with_port ?? name;
  if (string.find(v6, ":.*:")[0] !== undefined) {
    const address = parse_ip(v6);
    return address !== undefined ? address.text : undefined;
  }
  const [without_port] = string.match(name, "^(.-):%d+$");
  name = without_port ?? name;
  if (string.sub(name, -1) === ".") {
    name = string.sub(name, 1, -2);
  }
  if (
    name.length > LONGEST_NAME ||
    string.find(name, "^[%w._-]+$")[0] === undefined ||
    !has_good_labels(name)
  ) {
    return undefined;
  }
  return name;
}

function append_patterns(found: string[], from: number, name: string): string[] {
  let count = from;
  if (parse_ip(name) === undefined) {
    let [dot] = string.find(name, ".", 1, true);
    while (dot !== undefined) {
      found[count] = `*${string.sub(name, dot)}`;
      count += 1;
      [dot] = string.find(name, ".", dot + 1, true);
    }
  }
  found[count] = CATCH_ALL;
  return found;
}

/**
 * The name that says the port too, where the host was asked for with one; undefined: it was not.
 *
 * @param name the host, normalised; an IPv6 address takes no port
 */
function with_port(name: string, host: string): string | undefined {
  const [port] = string.match(host, ":(%d%d?%d?%d?%d?)$");
  return port !== undefined && string.find(name, ":", 1, true)[0] === undefined
    ? `${name}:${port}`
    : undefined;
}

/**
 * The patterns that may know a name, most specific first: `*.` suffixes from the longest at any depth,
 * then `*`; before them, of a name that says a port, the host alone. An IP address has no suffixes, and a path or pool within a host (`app.example.com/api`) belongs to it alone.
 *
 * @param whole a normalised name, with or without a scope and a path
 */
function patterns(whole: string): string[] {
  const [name, scope] = split_scope(whole);
  const found = patterns_without_scope(name);
  if (scope !== undefined) {
    for (const i of $range(0, found.length - 1)) {
      found[i] = with_scope(found[i]!, scope);
    }
  }
  return found;
}

function patterns_without_scope(name: string): string[] {
  const found: string[] = [];
  if (parent_of(name) !== undefined) {
    return found;
  }
  const [host] = string.match(name, A_HOST_AND_PORT);
  if (host !== undefined) {
    found.push(host);
    return append_patterns(found, 1, host);
  }
  return append_patterns(found, 0, name);
}

export { normalise, patterns, with_port };
