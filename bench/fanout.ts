/**
 * `npx tsx bench/fanout.ts`, part of `make bench`: what a node costs the Redis of a fleet. Redis' own CPU and bytes for
 * each change and each node that listens, and for each time that a node reads a route. Its figures are put into
 * results.json beside the others; docs/scaling.md reckons with them.
 *
 * Environment: LISTENERS (100), CHANGES and reads that are counted (8000).
 */

import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Redis } from "ioredis";
import { play } from "./part.ts";
import { record } from "./results.ts";
import { openRedis } from "./stage.ts";

const CHANGES = Number(process.env.CHANGES ?? 8000);
const LISTENERS = Number(process.env.LISTENERS ?? 100);
/** Changes of a pipeline, and names that a node reads at once. */
const TOGETHER = 16;
const HOSTS = 1000;
/** The apps of the stage. */
const MEMBERS = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"];
/** Those of the native layout, as the watch asks for them. */
const PREFIXES = ["backends:", "instances:", "paths:", "route:", "switchboard:wiped"];

function host(i: number): string {
  return `app-${i % HOSTS}.bench.example`;
}

interface Spent {
  /** Microseconds of Redis' main thread. */
  cpu: number;
  /** Bytes that it sent. */
  bytes: number;
}

async function spent(redis: Redis): Promise<Spent> {
  const page = await redis.info();
  const number = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(page)?.[1]);
  const cpu = number("used_cpu_user_main_thread") + number("used_cpu_sys_main_thread");
  return { cpu: cpu * 1e6, bytes: number("total_net_output_bytes") };
}

/** Hears of every change, as the watch of a node does. */
async function listen(address: string): Promise<Socket> {
  const socket = connect(6379, address);
  const next = async (): Promise<string> =>
    new Promise((resolve) => socket.once("data", (bytes) => resolve(bytes.toString())));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  socket.write("CLIENT ID\r\n");
  const id = (await next()).slice(1).trim();
  socket.write(
    `CLIENT TRACKING ON REDIRECT ${id} BCAST ${PREFIXES.map((prefix) => `PREFIX ${prefix}`).join(" ")}\r\n`,
  );
  const said = await next();
  if (!said.startsWith("+OK")) {
    throw new Error(said);
  }
  socket.write("SUBSCRIBE __redis__:invalidate\r\n");
  await next();
  socket.resume();
  return socket;
}

/** Changes routes, so many in one message to Redis, the next when that is done. */
async function change(redis: Redis, together: number): Promise<void> {
  for (let i = 0; i < CHANGES; i += together) {
    const pipeline = redis.pipeline();
    for (let n = i; n < i + together; n += 1) {
      const key = `backends:${host(n)}`;
      const gone = Math.floor(n / HOSTS) % 2 === 0;
      void (gone ? pipeline.srem(key, "127.0.0.1:9003") : pipeline.sadd(key, "127.0.0.1:9003"));
    }
    await pipeline.exec();
  }
}

/**
 * Reads routes as a node does, so many in one transaction. One alone is read in full; of several that have changed those
 * that were plain are asked for what a plain one has (schema/native_plain.ts), in full only where they have more by now.
 */
async function read(redis: Redis, together: number, in_full: boolean): Promise<void> {
  for (let i = 0; i < CHANGES; i += together) {
    const transaction = redis.multi();
    for (let n = i; n < i + together; n += 1) {
      const [instances, route, paths] = [`instances:${host(n)}`, `route:${host(n)}`, `paths:${host(n)}`];
      if (in_full) {
        void transaction.hgetall(instances).hgetall(route).smembers(paths);
      } else {
        void transaction.exists(instances, route, paths);
      }
      void transaction.smembers(`backends:${host(n)}`);
    }
    await transaction.exec();
  }
}

/** What Redis spends on each of as many. */
async function costOf(redis: Redis, work: () => Promise<void>): Promise<Spent> {
  const before = await spent(redis);
  await work();
  // What is told is sent when the connection that changes has its answer.
  await pause(100);
  const after = await spent(redis);
  return { cpu: (after.cpu - before.cpu) / CHANGES, bytes: (after.bytes - before.bytes) / CHANGES };
}

await play("what nodes cost Redis", async (stage) => {
  const redis = await openRedis(stage);
  await Promise.all(
    Array.from({ length: HOSTS }, async (_, i) => redis.sadd(`backends:${host(i)}`, ...MEMBERS)),
  );
  const wrote = [await costOf(redis, async () => change(redis, 1))];
  wrote.push(await costOf(redis, async () => change(redis, TOGETHER)));
  const reads = [await costOf(redis, async () => read(redis, 1, true))];
  reads.push(await costOf(redis, async () => read(redis, TOGETHER, false)));
  reads.push(await costOf(redis, async () => read(redis, TOGETHER, true)));
  const sockets: Socket[] = [];
  for (let i = 0; i < LISTENERS; i += 1) {
    sockets.push(await listen(stage.address));
  }
  const told = [await costOf(redis, async () => change(redis, 1))];
  told.push(await costOf(redis, async () => change(redis, TOGETHER)));
  const memory = await redis.info("memory");
  for (const socket of sockets) {
    socket.destroy();
  }
  const of = (spent: Spent[], n: number, what: keyof Spent): number => Number(spent[n]![what].toFixed(2));
  const listener = (n: number, what: keyof Spent): number =>
    Number(((told[n]![what] - wrote[n]![what]) / LISTENERS).toFixed(2));
  const figures = {
    listeners: LISTENERS,
    together: TOGETHER,
    redis_us_per_change: of(wrote, 0, "cpu"),
    redis_us_per_change_together: of(wrote, 1, "cpu"),
    redis_us_per_change_and_listener: listener(0, "cpu"),
    redis_us_per_change_and_listener_together: listener(1, "cpu"),
    bytes_per_change_and_listener: listener(0, "bytes"),
    bytes_per_change_and_listener_together: listener(1, "bytes"),
    redis_us_per_read: of(reads, 0, "cpu"),
    redis_us_per_read_together: of(reads, 1, "cpu"),
    redis_us_per_read_together_in_full: of(reads, 2, "cpu"),
    bytes_per_read: of(reads, 0, "bytes"),
    bytes_per_read_together: of(reads, 1, "bytes"),
    redis_bytes_per_client: Math.round(
      Number(/^mem_clients_normal:(\d+)/m.exec(memory)?.[1]) / (LISTENERS + 1),
    ),
  };
  redis.disconnect();
  record("fanout", stage.image, { fanout: figures });
  console.log(JSON.stringify(figures, undefined, 2));
});
