/** Something between the router and Redis that a story can make slow, silent or break. */

import { connect, type Socket } from "node:net";
import { startRaw, type Backend } from "./backends.ts";

export interface Proxy {
  port: number;
  /** Connections that are open. */
  open(): number;
  /** Bytes from the server wait so many seconds before they are passed on; 0: no more. */
  delay(seconds: number): void;
  /** From now on no byte passes in either direction, and nothing is closed. */
  blackHole(): void;
  /** The end of delays and black holes, for new connections and for those that were not in the hole. */
  pass(): void;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

interface Pair {
  client: Socket;
  server: Socket;
  /** It was open while nothing passed: bytes are lost, it can never be whole again. */
  lost: boolean;
}

/** Listens on a port of 127.0.0.1 and hands all on to another. */
export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let delay = 0;
  let hole = false;
  const listener: Backend = await startRaw("proxy", (client) => {
    const server = connect(target, "127.0.0.1");
    const pair: Pair = { client, server, lost: hole };
    pairs.add(pair);
    const end = (): void => {
      if (!pair.lost) {
        client.destroy();
        server.destroy();
      }
      pairs.delete(pair);
    };
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on("data", (bytes) => {
      if (!pair.lost) {
        server.write(bytes);
      }
    });
    server.on("data", (bytes) => {
      if (pair.lost) {
        return;
      }
      if (delay > 0) {
        setTimeout(() => {
          if (!pair.lost && !client.destroyed) {
            client.write(bytes);
          }
        }, delay * 1000);
      } else {
        client.write(bytes);
      }
    });
    client.on("close", end);
    server.on("close", end);
    server.on("error", end);
  });
  const cut = (): void => {
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
    pairs.clear();
  };
  return {
    port: listener.port,
    open: () => pairs.size,
    delay: (seconds) => {
      delay = seconds;
    },
    blackHole: () => {
      hole = true;
      for (const pair of pairs) {
        pair.lost = true;
      }
    },
    pass: () => {
      hole = false;
      delay = 0;
    },
    cut,
    close: async () => {
      cut();
      await listener.close();
    },
  };
}
