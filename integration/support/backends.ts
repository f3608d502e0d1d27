import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createRawServer, type AddressInfo, type Server, type Socket } from "node:net";

/** What an echo backend says of a request. */
export interface Echo {
  /** The backend's name. */
  name: string;
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  /** Every header line as it came, names and values in turn. */
  rawHeaders: string[];
  bodyLength: number;
  bodyHash: string;
}

/** A real server on a loopback address. */
export interface Backend {
  name: string;
  /** `address:port`, as it stands in Redis. */
  at: string;
  port: number;
  /** Requests so far; connections so far for a raw backend. */
  count(): number;
  /** Methods of the requests so far, in order. */
  methods: string[];
  close(): Promise<void>;
}

/** Where a backend listens: 127.0.0.1 and any free port unless given. */
export interface Place {
  address?: string;
  port?: number;
}

interface Listening {
  port: number;
  at: string;
  close(): Promise<void>;
}

async function listen(server: Server, place: Place): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    // A router or client that breaks a connection off is part of many stories.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  });
  const address = place.address ?? "127.0.0.1";
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(place.port ?? 0, address, 1024, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    at: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    close: async () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) {
          socket.destroy();
        }
      }),
  };
}

/** Reads a request's body: its length and its SHA-256. */
export async function digest(message: IncomingMessage): Promise<{ length: number; hash: string }> {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    hash.update(chunk);
    length += chunk.length;
  }
  return { length, hash: hash.digest("hex") };
}

async function echo(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { length, hash } = await digest(request);
  const said: Echo = {
    name,
    method: request.method ?? "",
    url: request.url ?? "",
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    bodyLength: length,
    bodyHash: hash,
  };
  response.setHeader("Content-Type", "application/json");
  response.setHeader("X-Backend", name);
  response.end(JSON.stringify(said));
}

/**
 * An app that answers as it is told.
 *
 * @param tls certificate and key: the app speaks HTTPS
 */
export async function startApp(
  name: string,
  handle: RequestListener,
  place: Place = {},
  tls?: { cert: string; key: string },
): Promise<Backend> {
  const methods: string[] = [];
  const listener: RequestListener = (request, response) => {
    methods.push(request.method ?? "");
    handle(request, response);
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  // Longer than any idle connection of the router lives: only stories about closed connections close them.
  server.keepAliveTimeout = 60_000;
  server.on("clientError", (_, socket) => socket.destroy());
  const listening = await listen(server, place);
  return { name, methods, count: () => methods.length, ...listening };
}

/** An app that tells its name and what it was asked, as JSON. */
export async function startEcho(
  name: string,
  place: Place = {},
  tls?: { cert: string; key: string },
): Promise<Backend> {
  return startApp(
    name,
    (request, response) => {
      echo(name, request, response).catch(() => response.destroy());
    },
    place,
    tls,
  );
}

/** Something that takes connections and does with them what it likes; `count` counts connections. */
export async function startRaw(
  name: string,
  onConnection: (socket: Socket) => void,
  place: Place = {},
): Promise<Backend> {
  let connections = 0;
  const server = createRawServer((socket) => {
    connections += 1;
    onConnection(socket);
  });
  const listening = await listen(server, place);
  return { name, methods: [], count: () => connections, ...listening };
}
