/** Backends that fail, each in one way. */

import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { startApp, startRaw, type Backend } from "./backends.ts";
import { freePort } from "./ports.ts";

/** Reads requests and lets `onRequest` do the rest; `methods` tells the methods of those it got. */
async function startReader(
  name: string,
  onRequest: (socket: Socket, ofThisConnection: number) => void,
): Promise<Backend> {
  const methods: string[] = [];
  const backend = await startRaw(name, (socket) => {
    let requests = 0;
    let waiting = "";
    socket.on("data", (chunk) => {
      waiting += chunk.toString("latin1");
      for (let end = waiting.indexOf("\r\n\r\n"); end >= 0; end = waiting.indexOf("\r\n\r\n")) {
        const head = waiting.slice(0, end);
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
        if (waiting.length < end + 4 + length) {
          return;
        }
        waiting = waiting.slice(end + 4 + length);
        methods.push(head.split(" ", 1)[0] ?? "");
        requests += 1;
        onRequest(socket, requests);
      }
    });
  });
  return { ...backend, methods, count: () => methods.length };
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/** Takes the request and closes without a word. */
export async function startClosing(name: string): Promise<Backend> {
  return startReader(name, (socket) => socket.end());
}

/** Takes the request and resets the connection. */
export async function startResetting(name: string): Promise<Backend> {
  return startReader(name, (socket) => socket.resetAndDestroy());
}

/** Answers with a header that contradicts itself. (What is no HTTP at all nginx takes for HTTP/0.9.) */
export async function startBabbling(name: string): Promise<Backend> {
  return startReader(name, (socket) =>
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"),
  );
}

/** Announces 1,000 bytes, sends ten and resets. */
export async function startTruncating(name: string): Promise<Backend> {
  return startReader(name, (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789", () => {
      setTimeout(() => socket.resetAndDestroy(), 20);
    });
  });
}

/** Serves one request per connection, and closes an idle one only when the next request arrives on it. */
export async function startForgetful(name: string): Promise<Backend> {
  return startReader(name, (socket, ofThisConnection) => {
    if (ofThisConnection === 1) {
      socket.write(OK);
    } else {
      socket.destroy();
    }
  });
}

/** Says nothing for so many seconds, then answers. */
export async function startSlow(name: string, seconds: number): Promise<Backend> {
  return startApp(name, (request, response) => {
    request.resume();
    setTimeout(() => response.end(`${name}\n`), seconds * 1000).unref();
  });
}

/** Sends the header, and each byte of the body so many seconds after the last. */
export async function startDripping(name: string, bytes: number, seconds: number): Promise<Backend> {
  return startApp(name, (request, response) => {
    request.resume();
    response.setHeader("Content-Length", bytes);
    response.flushHeaders();
    let left = bytes;
    const timer = setInterval(() => {
      response.write("x");
      left -= 1;
      if (left === 0) {
        clearInterval(timer);
        response.end();
      }
    }, seconds * 1000);
    response.on("close", () => clearInterval(timer));
  });
}

/** `127.0.0.1:port` of a port where nobody listens, nor an app that is started later: the kernel gives out others. */
export async function deadPort(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

const BLACK_HOLE = `
  const { workerData, parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    // Blocks this thread, so that nobody takes connections from the queue.
    setImmediate(() => Atomics.wait(new Int32Array(workerData), 0, 0));
  });
`;

async function connects(port: number, sockets: Socket[]): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => socket.destroy());
  const connected = new Promise<boolean>((resolve) => socket.once("connect", () => resolve(true)));
  return Promise.race([connected, delay(300, false)]);
}

/** Listens and never accepts; its queue is full, so that a connection is never established. */
export async function startBlackHole(name: string): Promise<Backend> {
  const latch = new SharedArrayBuffer(4);
  const worker = new Worker(BLACK_HOLE, { eval: true, workerData: latch });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  const sockets: Socket[] = [];
  let open = true;
  while (open) {
    open = await connects(port, sockets);
  }
  return {
    name,
    at: `127.0.0.1:${port}`,
    port,
    methods: [],
    count: () => 0,
    close: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      Atomics.store(new Int32Array(latch), 0, 1);
      Atomics.notify(new Int32Array(latch), 0);
      await worker.terminate();
    },
  };
}
