/** Apps that keep their requests until they are told to answer, and count how many they had at once. */

import type { ServerResponse } from "node:http";
import { startApp, type Backend } from "./backends.ts";

export interface Holding extends Backend {
  /** Requests that it has now. */
  running(): number;
  /** The most that it had at once. */
  most(): number;
  /** Answers the oldest, or all. */
  answer(count?: number): void;
}

/** @param seconds after which it answers by itself; undefined: when it is told to */
export async function startHolding(name: string, seconds?: number): Promise<Holding> {
  const held = new Set<ServerResponse>();
  let most = 0;
  const app = await startApp(name, (request, response) => {
    request.resume();
    response.setHeader("X-Backend", name);
    held.add(response);
    most = Math.max(most, held.size);
    response.on("close", () => held.delete(response));
    if (seconds !== undefined) {
      setTimeout(() => {
        held.delete(response);
        response.end(`${name}\n`);
      }, seconds * 1000);
    }
  });
  return {
    ...app,
    running: () => held.size,
    most: () => most,
    answer: (count = held.size) => {
      for (const response of [...held].slice(0, count)) {
        held.delete(response);
        response.end(`${name}\n`);
      }
    },
  };
}
