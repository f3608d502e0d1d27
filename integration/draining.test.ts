/** Instances that leave: what runs there ends in its own time, is still counted, and nothing new comes. */

import { strict as assert } from "node:assert";
import { once } from "node:events";
import { request as send, type IncomingMessage, type ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { startApp, type Backend } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";

const port = await freePort();
const stage = useStage({
  workers: 1,
  http: `server { listen 127.0.0.1:${port}; include switchboard/admin.conf; }`,
});

interface Streaming extends Backend {
  /** The responses that it has begun. */
  begun: ServerResponse[];
}

/** Begins a stream that goes on when the story says so, and answers other requests at once. */
async function startStreaming(name: string): Promise<Streaming> {
  const begun: ServerResponse[] = [];
  const app = await startApp(name, (request, response) => {
    request.resume();
    if (request.url === "/stream") {
      response.writeHead(200, { "X-Accel-Buffering": "no" });
      response.write("begun\n");
      begun.push(response);
    } else {
      response.end(JSON.stringify({ name }));
    }
  });
  return { ...app, begun };
}

async function openStream(host: string): Promise<IncomingMessage> {
  const stream = await new Promise<IncomingMessage>((resolve, reject) => {
    send(
      { host: "127.0.0.1", port: stage.router.port, path: "/stream", headers: { host }, agent: false },
      resolve,
    )
      .on("error", reject)
      .end();
  });
  assert.equal(stream.statusCode, 200);
  return stream;
}

async function inFlightAt(backend: Backend): Promise<number> {
  const answer = await ask(port, { host: "localhost", path: `/instances/${backend.at}` });
  assert.equal(answer.status, 200, answer.body);
  return (JSON.parse(answer.body) as { in_flight: number }).in_flight;
}

const inFlight = async (): Promise<number> =>
  (await stage.router.metrics()).get("switchboard_in_flight") ?? -1;

describe("an instance with a running stream", () => {
  for (const [what, leave] of [
    ["drains", (host, at) => stage.redis.client.hset(`instances:${host}`, at, "drain=1")],
    ["gets weight 0", (host, at) => stage.redis.client.hset(`instances:${host}`, at, "weight=0")],
    ["is removed", (host, at) => stage.redis.client.srem(`backends:${host}`, at)],
  ] as [string, (host: string, at: string) => Promise<number>][]) {
    it(`that ${what} sends it to its end, is counted until then, and gets nothing new`, async () => {
      const leaving = await startStreaming("leaving");
      await stage.keep(Promise.resolve(leaving));
      const stays = await stage.backend("stays");
      const host = await stage.serve(`${what.replaceAll(" ", "-")}.test`, leaving);
      const stream = await openStream(host);
      assert.equal(await inFlightAt(leaving), 1);
      await stage.redis.client.sadd(`backends:${host}`, stays.at);

      await leave(host, leaving.at);

      await eventually("all goes to the other", async () =>
        assert.deepEqual(tally(await askTimes(stage.router, host, 5)), { stays: 5 }),
      );
      const before = leaving.count();
      assert.deepEqual(tally(await askTimes(stage.router, host, 20)), { stays: 20 });
      assert.equal(leaving.count(), before);
      assert.equal(await inFlightAt(leaving), 1);
      assert.equal(await inFlight(), 1);

      const text: string[] = [];
      stream.on("data", (chunk: Buffer) => text.push(chunk.toString()));
      leaving.begun[0]!.end("ended\n");
      await once(stream, "end");
      assert.equal(text.join(""), "begun\nended\n");
      await eventually("nothing runs", async () => assert.equal(await inFlight(), 0));
    });
  }
});
