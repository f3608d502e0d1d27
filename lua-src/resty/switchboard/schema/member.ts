/** The grammar of one instance: `[http://|https://]host:port[?weight=3&zone=a&id=web.1&drain=1&backup=1]`. */

import { parse_ip } from "../net/address";
import { Instance } from "./record";

/** Longer members are refused unread: an address with every attribute stays far below. */
const LONGEST_MEMBER = 1024;
const HEAVIEST = 65535;
const HIGHEST_PORT = 65535;
const LONGEST_NAME = 253;

/** Takes one reason why an attribute was left out. */
export type Complain = (this: void, reason: string) => void;

function parse_port(text: string): number | undefined {
  if (string.find(text, "^%d%d?%d?%d?%d?$")[0] === undefined) {
    return undefined;
  }
  const port = tonumber(text)!;
  return port >= 1 && port <= HIGHEST_PORT ? port : undefined;
}

function parse_host(text: string): string | undefined {
  const [inside] = string.match(text, "^%[(.*)%]$");
  if (inside !== undefined) {
    const v6 = parse_ip(inside);
    return v6 !== undefined && v6.family === 6 ? v6.text : undefined;
  }
  const name = string.lower(text);
  const v4 = parse_ip(name);
  if (v4 !== undefined) {
    return v4.family === 4 ? v4.text : undefined;
  }
  if (name.length > LONGEST_NAME || string.find(name, "..", 1, true)[0] !== undefined) {
    return undefined;
  }
  // "10.0.0.300" is a mistyped address, not a name that a resolver should be asked for.
  if (string.find(name, "^[%d.]+$")[0] !== undefined) {
    return undefined;
  }
  return string.find(name, "^[%w_][%w_.-]*$")[0] !== undefined ? name : undefined;
}

function set_attribute(instance: Instance, name: string, value: string, complain: Complain): void {
  if (name === "weight") {
    const weight = string.find(value, "^%d+$")[0] !== undefined ? tonumber(value)! : -1;
    if (weight < 0 || weight > HEAVIEST) {
      complain(`weight must be a whole number from 0 to ${HEAVIEST}`);
    } else {
      instance.weight = weight;
    }
  } else if (name === "drain") {
    if (value === "1" || value === "0") {
      instance.drain = value === "1";
    } else {
      complain("drain must be 0 or 1");
    }
  } else if (name === "backup") {
    if (value === "1" || value === "0") {
      instance.backup = value === "1" ? true : undefined;
    } else {
      complain("backup must be 0 or 1");
    }
  } else if (name === "zone" || name === "id") {
    if (value.length > 64 || string.find(value, "^[%w._:/-]+$")[0] === undefined) {
      complain(`${name} must be 1 to 64 letters, digits or . _ : / -`);
    } else if (name === "zone") {
      instance.zone = value;
    } else {
      instance.id = value;
    }
  } else {
    complain("unknown attribute");
  }
}

/**
 * Sets the attributes of an instance from `weight=3&drain=1`. A bad one is left out and complained of; the
 * others count.
 */
function parse_attributes(instance: Instance, text: string, complain: Complain): void {
  let from = 1;
  while (from <= text.length) {
    const [ampersand] = string.find(text, "&", from, true);
    const pair = string.sub(text, from, (ampersand ?? text.length + 1) - 1);
    const [equals] = string.find(pair, "=", 1, true);
    if (equals === undefined) {
      complain("an attribute must be name=value");
    } else {
      set_attribute(instance, string.sub(pair, 1, equals - 1), string.sub(pair, equals + 1), complain);
    }
    if (ampersand === undefined) {
      return;
    }
    from = ampersand + 1;
  }
}

/**
 * Reads one member.
 *
 * @param text as it stands in Redis
 * @param complain hears of attributes that were left out
 * @returns the instance, or nil and why the member as a whole is not one
 */
function parse_member(
  text: string,
  complain: Complain,
): LuaMultiReturn<[Instance, undefined] | [undefined, string]> {
  if (text.length > LONGEST_MEMBER) {
    return $multi(undefined, `longer than ${LONGEST_MEMBER} bytes`);
  }
  let rest = text;
  let tls = false;
  const [scheme] = string.match(text, "^(%a[%w+.-]*)://");
  if (scheme !== undefined) {
    const lower = string.lower(scheme);
    if (lower !== "http" && lower !== "https") {
      return $multi(undefined, "the scheme must be http:// or https://");
    }
    tls = lower === "https";
    rest = string.sub(text, scheme.length + 4);
  }
  const [question] = string.find(rest, "?", 1, true);
  const where = question !== undefined ? string.sub(rest, 1, question - 1) : rest;
  const [host_text, port_text] = string.match(where, "^(.+):([^:]*)$");
  if (host_text === undefined || port_text === undefined) {
    return $multi(undefined, "must be host:port");
  }
  const port = parse_port(port_text);
  if (port === undefined) {
    return $multi(undefined, `the port must be 1 to ${HIGHEST_PORT}`);
  }
  const host = parse_host(host_text);
  if (host === undefined) {
    return $multi(undefined, "the host must be an IPv4 address, an IPv6 address in brackets or a DNS name");
  }
  const instance: Instance = { tls, host, port, weight: 1, drain: false };
  if (question !== undefined) {
    parse_attributes(instance, string.sub(rest, question + 1), complain);
  }
  return $multi(instance, undefined);
}

export { parse_attributes, parse_member };
