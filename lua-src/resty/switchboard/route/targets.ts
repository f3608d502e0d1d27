/** Where no request may be sent, whatever Redis says. */

import { Cidr, contains, is_special } from "../net/address";

/**
 * Why no instance may have this address, on whatever router; undefined: it may.
 *
 * @param deny the option `deny_instances`
 */
export function forbidden_address(deny: Cidr[], address: string): string | undefined {
  const special = is_special(address);
  if (special !== undefined) {
    return `${special} address`;
  }
  return contains(deny, address) ? "denied by deny_instances" : undefined;
}
