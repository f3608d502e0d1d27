/** Where the admin server listens, and when it needs a token. */

import { parse_ip } from "../net/address";
import { Parsed } from "./grammar";

/** The address of a `listen` and whether it has a good port; undefined: it is none. Empty: all addresses. */
function address_of_listen(text: string): string | undefined {
  const [address, port] = string.match(text, "^(.-):?(%d+)$");
  const number = tonumber(port) ?? 0;
  if (number < 1 || number > 65535) {
    return undefined;
  }
  const [inner] = string.match(address!, "^%[(.*)%]$");
  const ip = parse_ip(inner ?? address!);
  if (address === "" || (ip !== undefined && (ip.family === 6) === (inner !== undefined))) {
    return ip?.text ?? "";
  }
  return undefined;
}

/** A port, or an address and a port, as nginx's `listen` has them. */
function parse_listen(value: unknown): Parsed<string> {
  const text = tostring(value);
  if (address_of_listen(text) !== undefined) {
    return $multi(text, undefined);
  }
  return $multi(undefined, "must be a port, address:port or [address]:port");
}

/** Whether only this machine reaches an address, as nginx's `$server_addr` has it. */
function is_loopback(address: string): boolean {
  // Behind a `listen` for both families IPv4 is mapped.
  const [v4] = string.match(address, "^::ffff:(.*)$");
  return (
    string.sub(v4 ?? address, 1, 4) === "127." || address === "::1" || string.sub(address, 1, 5) === "unix:"
  );
}

/** Whether a `listen` that was parsed is reached from other machines. */
function is_open(listen: string): boolean {
  return !is_loopback(address_of_listen(listen) ?? "");
}

export { is_loopback, is_open, parse_listen };
