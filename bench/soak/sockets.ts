/** WebSockets that are held: each says something once a second, and must be answered as long as it is open. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocket, WebSocketServer } from "ws";
import type { Tried, World } from "./world.ts";

const HOST = "sockets.soak.test";
const PER_ROUTER = 20;
/** Seconds that one of the reloaded router is open: its old workers end when all of theirs are closed. */
const OPEN_FOR = 20;
/** Seconds that an answer may take. */
const PATIENCE = 10;

export interface Sockets {
  /** Words that were answered. */
  answered: number;
  opened: number;
  /** How many are open right now. */
  open: number;
  /** Resolves when all are closed. */
  ended: Promise<unknown>;
  close(): Promise<void>;
}

async function converse(world: World, sockets: Sockets, socket: WebSocket, until: number): Promise<void> {
  for (let i = 0; world.running && performance.now() < until; i += 1) {
    const word = `word ${i}`;
    const answer = new Promise<string>((resolve, reject) => {
      socket.once("message", (data) => resolve((data as Buffer).toString()));
      socket.once("close", (code) => reject(new Error(`closed with ${code}`)));
    });
    socket.send(word);
    const said = await Promise.race([answer, pause(PATIENCE * 1000, "nothing", { ref: false })]);
    if (said !== word) {
      throw new Error(`${word} was answered by ${said}`);
    }
    sockets.answered += 1;
    socket.removeAllListeners("close");
    await pause(1000);
  }
}

/** Holds one after the other open. */
async function hold(world: World, sockets: Sockets, tried: Tried, seconds: number): Promise<void> {
  while (world.running) {
    const socket = new WebSocket(`ws://127.0.0.1:${tried.port}/`, { headers: { host: HOST } });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("open", resolve);
        socket.once("error", reject);
      });
      // A socket that breaks is seen by who waits for its word.
      socket.on("error", () => undefined);
      sockets.opened += 1;
      sockets.open += 1;
      await converse(world, sockets, socket, performance.now() + seconds * 1000);
    } catch (failure) {
      world.journal.fail(`${tried.name}: a WebSocket: ${String(failure)}`);
      await pause(1000);
    }
    sockets.open -= 1;
    socket.terminate();
  }
}

export async function holdSockets(world: World): Promise<Sockets> {
  const server = createServer();
  new WebSocketServer({ server }).on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("message", (data) => socket.send((data as Buffer).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await world.redis.client.sadd(`backends:${HOST}`, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  const sockets: Sockets = {
    answered: 0,
    opened: 0,
    open: 0,
    ended: Promise.resolve(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const all = [
    ...Array.from({ length: PER_ROUTER }, async () => hold(world, sockets, world.old, Infinity)),
    ...Array.from({ length: PER_ROUTER }, async (_, i) =>
      hold(world, sockets, world.renewed, OPEN_FOR * (0.5 + i / (2 * PER_ROUTER))),
    ),
  ];
  sockets.ended = Promise.all(all);
  return sockets;
}
