import { strict as assert } from "node:assert";
import { networkInterfaces } from "node:os";

/** An IPv4 address at which other machines reach this one. */
export function addressOfThisMachine(): string {
  const address = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find((each) => each.family === "IPv4" && !each.internal)?.address;
  assert.ok(address !== undefined, "this machine has no address but loopback ones");
  return address;
}
