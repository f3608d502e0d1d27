import { createServer } from "node:net";

/** Below the ports that Linux gives to outgoing connections: one of those could take ours before nginx does. */
const LOWEST = 20_000;
const HIGHEST = 32_000;

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "0.0.0.0", () => probe.close(() => resolve(true)));
  });
}

/** Test files run in processes side by side: each takes ports one after the other from a place of its own. */
let next = LOWEST + ((process.pid * 97) % (HIGHEST - LOWEST));

/** A port that is free on every local address. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next = next + 1 < HIGHEST ? next + 1 : LOWEST;
    if (await isFree(port)) {
      return port;
    }
  }
}
