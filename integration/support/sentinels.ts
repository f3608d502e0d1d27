import { Redis } from "ioredis";
import { GenericContainer } from "testcontainers";
import { controlOf, imageOf, type Control } from "./containers.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./ports.ts";

/** What the sentinels call the master. */
export const MASTER = "mymaster";

/** A real sentinel of its own. */
export interface Sentinel extends Control {
  port: number;
  client: Redis;
  /** The port of the master, as it says. */
  master(): Promise<number>;
  close(): Promise<void>;
}

/** How to start sentinels. */
export interface SentinelOptions {
  /** The port of the master, on 127.0.0.1. */
  master: number;
  /** Lines of sentinel.conf. */
  conf?: string[];
  /** What a client of a sentinel must say. */
  password?: string;
}

async function startOne(options: SentinelOptions, quorum: number): Promise<Sentinel> {
  const port = await freePort();
  const conf = [
    `port ${port}`,
    "bind 127.0.0.1",
    "dir /tmp",
    `sentinel monitor ${MASTER} 127.0.0.1 ${options.master} ${quorum}`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 3000`,
    ...(options.password === undefined
      ? []
      : [`requirepass ${options.password}`, `sentinel sentinel-pass ${options.password}`]),
    ...(options.conf ?? []),
  ];
  const container = await new GenericContainer(imageOf("tools"))
    .withNetworkMode("host")
    .withCopyContentToContainer([
      { content: `${conf.join("\n")}\n`, target: "/tmp/sentinel.conf", mode: 0o666 },
    ])
    .withEntrypoint(["redis-sentinel"])
    .withCommand(["/tmp/sentinel.conf"])
    .start();
  const client = new Redis({
    host: "127.0.0.1",
    port,
    ...(options.password === undefined ? {} : { password: options.password }),
    retryStrategy: () => 50,
  });
  client.on("error", () => undefined);
  return {
    ...(await controlOf(container)),
    port,
    client,
    master: async () => {
      const where = (await client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)) as string[];
      return Number(where[1]);
    },
    close: async () => {
      client.disconnect();
      await container.stop({ timeout: 0 });
    },
  };
}

/** Starts three sentinels, and waits until they know of each other and of so many replicas. */
export async function startSentinels(options: SentinelOptions, replicas: number): Promise<Sentinel[]> {
  const sentinels = await Promise.all([1, 2, 3].map(async () => startOne(options, 2)));
  for (const { client } of sentinels) {
    await eventually(
      "the sentinels know of all",
      async () => {
        const words = (await client.call("SENTINEL", "MASTER", MASTER)) as string[];
        const field = (name: string): number => Number(words[words.indexOf(name) + 1]);
        if (field("num-other-sentinels") !== 2 || field("num-slaves") !== replicas) {
          throw new Error(words.join(" "));
        }
      },
      20,
    );
  }
  return sentinels;
}
