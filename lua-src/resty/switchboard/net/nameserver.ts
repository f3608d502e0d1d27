/** A DNS server, as the option `nameservers` and /etc/resolv.conf name it. */

import { parse_ip } from "./address";

export interface Nameserver {
  /** Canonical; IPv6 in brackets, as cosockets take it. */
  host: string;
  port: number;
}

const DNS_PORT = 53;
const HIGHEST_PORT = 65535;

/** How a cosocket wants an address: IPv6 in brackets. */
function bracketed(address: string): string {
  return string.find(address, ":", 1, true)[0] !== undefined ? `[${address}]` : address;
}

/**
 * Reads `10.0.0.53`, `10.0.0.53:5353`, `fd00::53` or `[fd00::53]:5353`; the port is 53 when left out.
 *
 * @returns nil and what is wrong, to stand after the value
 */
function parse_nameserver(text: string): LuaMultiReturn<[Nameserver, undefined] | [undefined, string]> {
  const whole = parse_ip(text);
  if (whole !== undefined) {
    return $multi({ host: bracketed(whole.text), port: DNS_PORT }, undefined);
  }
  const [inside, inside_port] = string.match(text, "^%[(.*)%](.*)$");
  const [plain, plain_port] = string.match(text, "^([%d.]+)(.*)$");
  const address = parse_ip(inside ?? plain ?? "");
  if (address === undefined || (address.family === 6) !== (inside !== undefined)) {
    return $multi(undefined, "not an IP address with or without a port");
  }
  const port_text = inside_port ?? plain_port ?? "";
  if (port_text === "") {
    return $multi({ host: bracketed(address.text), port: DNS_PORT }, undefined);
  }
  const [digits] = string.match(port_text, "^:(%d%d?%d?%d?%d?)$");
  const port = tonumber(digits ?? "0")!;
  if (port < 1 || port > HIGHEST_PORT) {
    return $multi(undefined, `the port must be 1 to ${HIGHEST_PORT}`);
  }
  return $multi({ host: bracketed(address.text), port }, undefined);
}

export { bracketed, parse_nameserver };
