import { strict as assert } from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request as send, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { digest, startApp } from "./support/backends.ts";
import { pass } from "./support/eventually.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const stage = useStage();
const MEGABYTE = randomBytes(1 << 20);
const MEGABYTES = 100;

/** SHA-256 of so many times the same megabyte. */
function hashOf(megabytes: number): string {
  const hash = createHash("sha256");
  for (let i = 0; i < megabytes; i += 1) {
    hash.update(MEGABYTE);
  }
  return hash.digest("hex");
}

async function writeMegabytes(to: NodeJS.WritableStream, megabytes: number): Promise<void> {
  for (let i = 0; i < megabytes; i += 1) {
    if (!to.write(MEGABYTE)) {
      await once(to, "drain");
    }
  }
  to.end();
}

/** Begins a request through the router; the response's body is still to be read. */
async function begin(
  host: string,
  method = "GET",
  headers: Record<string, string | number> = {},
): Promise<{
  request: ReturnType<typeof send>;
  response: Promise<IncomingMessage>;
}> {
  const request = send({
    host: "127.0.0.1",
    port: stage.router.port,
    method,
    headers: { host, ...headers },
    agent: false,
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  return { request, response };
}

describe("100 MB", () => {
  it("arrive whole when they are uploaded", async () => {
    const host = await stage.serve("upload.test", await stage.backend("a"));
    const { request, response } = await begin(host, "POST", { "content-length": MEGABYTES << 20 });

    await writeMegabytes(request, MEGABYTES);

    const chunks: Buffer[] = [];
    for await (const chunk of (await response) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
    }
    const echo = JSON.parse(Buffer.concat(chunks).toString()) as { bodyLength: number; bodyHash: string };
    assert.equal(echo.bodyLength, MEGABYTES << 20);
    assert.equal(echo.bodyHash, hashOf(MEGABYTES));
  });

  it("arrive whole when they are uploaded in chunks", async () => {
    const host = await stage.serve("upload-chunked.test", await stage.backend("a"));
    const { request, response } = await begin(host, "PUT");

    await writeMegabytes(request, 20);

    const chunks: Buffer[] = [];
    for await (const chunk of (await response) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
    }
    const echo = JSON.parse(Buffer.concat(chunks).toString()) as { bodyHash: string };
    assert.equal(echo.bodyHash, hashOf(20));
  });

  it("arrive whole when they are downloaded, also chunked", async () => {
    const source = await stage.keep(
      startApp("source", (request, response) => {
        if (request.url === "/sized") {
          response.setHeader("Content-Length", MEGABYTES << 20);
        }
        writeMegabytes(response, MEGABYTES).catch(() => response.destroy());
      }),
    );
    const host = await stage.serve("download.test", source);

    for (const path of ["/sized", "/chunked"]) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        send({ host: "127.0.0.1", port: stage.router.port, path, headers: { host }, agent: false }, resolve)
          .on("error", reject)
          .end();
      });
      const { length, hash } = await digest(response);
      assert.equal(length, MEGABYTES << 20, path);
      assert.equal(hash, hashOf(MEGABYTES), path);
    }
  });
});

describe("a stream of events", () => {
  /** Opens a stream that the test writes; the header arrives with the first event unless the app says no-buffering. */
  const openStream = async (
    host: string,
    headers: Record<string, string>,
    first: string,
  ): Promise<{ events: ServerResponse; stream: IncomingMessage }> => {
    let events: ServerResponse | undefined;
    const source = await stage.keep(
      startApp("source", (_, response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream", ...headers });
        response.flushHeaders();
        if (first !== "") {
          response.write(first);
        }
        events = response;
      }),
    );
    await stage.serve(host, source);
    const { request, response } = await begin(host);
    request.end();
    const stream = await response;
    assert.equal(stream.headers["content-type"], "text/event-stream");
    assert.ok(events);
    return { events, stream };
  };
  const assertPasses = async (events: ServerResponse, stream: IncomingMessage): Promise<void> => {
    for (let i = 1; i <= 5; i += 1) {
      events.write(`data: ${i}\n\n`);
      const [chunk] = (await once(stream, "data", { signal: AbortSignal.timeout(2000) })) as [Buffer];
      assert.equal(chunk.toString(), `data: ${i}\n\n`);
    }
    events.end();
    stream.resume();
    await once(stream, "end");
  };

  it("passes event by event", async () => {
    const { events, stream } = await openStream("events.test", {}, "data: 0\n\n");
    await once(stream, "data");

    await assertPasses(events, stream);
  });

  it("begins before its first event when the app asks for no buffering", async () => {
    const { events, stream } = await openStream("unbuffered.test", { "X-Accel-Buffering": "no" }, "");

    await assertPasses(events, stream);
  });

  it("passes event by event in a location prepared for its route's options too", async () => {
    await stage.redis.client.hset("route:prepared.test", {
      retry_on: "502,503",
      "response_header.X-New": "1",
      "request_header.X-Tenant": "acme",
    });
    const { events, stream } = await openStream("prepared.test", { "X-Accel-Buffering": "no" }, "");

    assert.equal(stream.headers["x-new"], "1");
    await assertPasses(events, stream);
  });

  it("ends at the app when the client goes", async () => {
    let gone: Promise<unknown> | undefined;
    const source = await stage.keep(
      startApp("source", (_, response) => {
        response.flushHeaders();
        response.write("first");
        gone = once(response, "close", { signal: AbortSignal.timeout(5000) });
      }),
    );
    const host = await stage.serve("left.test", source);
    const { request, response } = await begin(host);
    request.end();
    const stream = await response;
    stream.on("error", () => undefined);
    await once(stream, "data");

    request.destroy();

    await gone;
  });
});

describe("a WebSocket", () => {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  let at = "";

  before(async () => {
    sockets.on("connection", (socket, request) => {
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.on("ping", () => undefined);
      socket.send(`hello ${String(request.headers.host)} ${String(request.url)}`);
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    at = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  });
  after(() => {
    sockets.clients.forEach((client) => client.terminate());
    http.close();
  });

  const open = async (host: string): Promise<{ socket: WebSocket; hello: string }> => {
    const socket = new WebSocket(`ws://127.0.0.1:${stage.router.port}/chat?room=1`, { headers: { host } });
    const [hello] = (await once(socket, "message")) as [Buffer];
    return { socket, hello: hello.toString() };
  };

  it("is carried through, text and binary, and ends with the client", async () => {
    await stage.redis.client.sadd("backends:chat.test", at);
    const { socket, hello } = await open("chat.test");
    assert.equal(hello, "hello chat.test /chat?room=1");

    for (const size of [1, 125, 126, 70_000, 1_000_000]) {
      const data = randomBytes(size);
      socket.send(data);
      const [back] = (await once(socket, "message")) as [Buffer];
      assert.ok(data.equals(back), String(size));
    }
    socket.close(1000, "done");
    const [code] = (await once(socket, "close")) as [number];
    assert.equal(code, 1000);
  });

  it("may be silent for longer than read_timeout", async () => {
    await stage.redis.client.sadd("backends:silent.test", at);
    await stage.redis.client.hset("route:silent.test", "read_timeout", "200ms", "send_timeout", "200ms");
    const { socket } = await open("silent.test");

    await pass(1);
    socket.send("still there?");

    const [back] = (await once(socket, "message")) as [Buffer];
    assert.equal(back.toString(), "still there?");
    socket.terminate();
  });

  it("goes past a dead instance", async () => {
    await stage.redis.client.sadd("backends:half-dead-chat.test", at, await deadPort());

    for (let i = 0; i < 6; i += 1) {
      const { socket } = await open("half-dead-chat.test");
      socket.terminate();
    }
  });

  it("that is refused by the app is the app's own answer", async () => {
    const app = await stage.keep(
      startApp("plain", (_, response) => {
        response.statusCode = 426;
        response.end("no sockets here");
      }),
    );
    const host = await stage.serve("no-chat.test", app);
    const socket = new WebSocket(`ws://127.0.0.1:${stage.router.port}/`, { headers: { host } });
    socket.on("error", () => undefined);

    const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];

    assert.equal(response.statusCode, 426);
    socket.terminate();
  });
});
