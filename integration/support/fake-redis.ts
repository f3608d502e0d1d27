/** Servers in the place of Redis, each of no use in one way, and a Redis whose replies are changed on their way. */

import { connect, type Socket } from "node:net";
import { startRaw, type Backend } from "./backends.ts";

/** Bytes of a reply that is far too large. */
export const LARGE = 100 * 1024 * 1024;

/** Writes a reply of a hundred megabytes, as fast as it is taken, while somebody takes it. */
function flood(socket: Socket, head: string, piece: Buffer): void {
  let left = LARGE;
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= piece.length;
      if (!socket.write(piece)) {
        socket.once("drain", more);
        return;
      }
    }
  };
  socket.write(head);
  more();
}

/** What a connection does with each chunk of questions. */
export const MANNERS = {
  garbage: (socket: Socket) => socket.write("HTTP/1.1 400 Bad Request\r\nServer: none\r\n\r\n"),
  noise: (socket: Socket) =>
    socket.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 73) % 256))),
  noperm: (socket: Socket) => socket.write("-NOPERM this user has no permissions to run the command\r\n"),
  loading: (socket: Socket) => socket.write("-LOADING Redis is loading the dataset in memory\r\n"),
  misconf: (socket: Socket) => socket.write("-MISCONF Redis is configured to save RDB snapshots\r\n"),
  readonly: (socket: Socket) => socket.write("-READONLY You can't write against a read only replica.\r\n"),
  half: (socket: Socket) => socket.write("$1000\r\nhalf of it"),
  silence: () => undefined,
  largeText: (socket: Socket) => flood(socket, `$${LARGE}\r\n`, Buffer.alloc(65536, "x")),
  largeList: (socket: Socket) =>
    flood(socket, `*${LARGE / 32}\r\n`, Buffer.from(`$25\r\n${"x".repeat(25)}\r\n`.repeat(2048))),
  endlessLine: (socket: Socket) => flood(socket, "+", Buffer.alloc(65536, "x")),
} satisfies Record<string, (socket: Socket) => unknown>;

export type Manner = keyof typeof MANNERS;

/** Something on a port that is a way to Redis, or behaves in one of these manners. */
export interface Impostor {
  port: number;
  /** From now on, for open connections too; undefined: all is handed on to Redis and back. */
  behave(manner: Manner | undefined): void;
  close(): Promise<void>;
}

/** Listens on a port of 127.0.0.1. */
export async function startImpostor(redis: number): Promise<Impostor> {
  let manner: Manner | undefined;
  const sockets = new Set<Socket>();
  const listener: Backend = await startRaw("impostor", (client) => {
    const server = connect(redis, "127.0.0.1");
    sockets.add(client);
    client.on("data", (bytes) => {
      if (manner === undefined) {
        server.write(bytes);
      } else {
        MANNERS[manner](client);
      }
    });
    server.on("data", (bytes) => {
      if (manner === undefined) {
        client.write(bytes);
      }
    });
    client.on("close", () => {
      sockets.delete(client);
      server.destroy();
    });
    server.on("close", () => client.destroy());
    server.on("error", () => client.destroy());
  });
  return {
    port: listener.port,
    behave: (next) => {
      manner = next;
      // A way that was bad cannot become good in its middle.
      for (const socket of next === undefined ? sockets : []) {
        socket.destroy();
      }
    },
    close: async () => listener.close(),
  };
}
