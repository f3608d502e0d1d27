import { Redis, type RedisOptions } from "ioredis";
import { GenericContainer } from "testcontainers";
import { controlOf, imageOf, type Control } from "./containers.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./ports.ts";

/** A real Redis of its own. */
export interface RedisServer extends Control {
  port: number;
  /** `redis://127.0.0.1:<port>` */
  url: string;
  /** Writes what a platform would write. */
  client: Redis;
  /** Another client, such as one of an ACL user or of another db; closed with the server. */
  connect(options: RedisOptions): Redis;
  close(): Promise<void>;
}

/** The servers that there are, by the images and programs that they are. */
const SERVERS = {
  "Redis 8": ["tools", "redis-server"],
  "Redis 7": ["redis-7", "/opt/redis-7/redis-server"],
  "Valkey 8": ["tools", "valkey-server"],
} as const;

/** How to start a Redis. */
export interface RedisServerOptions {
  /** Redis 8 unless given. */
  server?: keyof typeof SERVERS;
  /** Arguments of redis-server beside the port. */
  arguments?: string[];
  files?: { content: string; target: string }[];
  /** Folders of this machine, by their path in the container. */
  folders?: Record<string, string>;
  /** For the client of the test itself. */
  client?: RedisOptions;
  /** The plain port answers; off where the arguments replace it. */
  plain?: boolean;
}

/** Starts Redis on a port of 127.0.0.1. It keeps its data over `stop` and `start`. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = await freePort();
  const [image, program] = SERVERS[options.server ?? "Redis 8"];
  const command: string[] = [program, "--bind", "127.0.0.1", "--dir", "/tmp", "--save", "3600 1"];
  command.push(...(options.plain === false ? [] : ["--port", String(port)]));
  command.push(...(options.arguments ?? []).map((argument) => argument.replace("{port}", String(port))));
  const container = await new GenericContainer(imageOf(image))
    .withNetworkMode("host")
    .withCopyContentToContainer(options.files ?? [])
    .withBindMounts(
      Object.entries(options.folders ?? {}).map(([target, source]) => ({ source, target, mode: "rw" })),
    )
    .withEntrypoint([command[0] ?? ""])
    .withCommand(command.slice(1))
    .start();
  const clients: Redis[] = [];
  const connect = (more: RedisOptions): Redis => {
    const client = new Redis({
      host: "127.0.0.1",
      port,
      maxRetriesPerRequest: null,
      retryStrategy: () => 50,
      ...more,
    });
    // It reconnects by itself; a Redis that is stopped on purpose is no news.
    client.on("error", () => undefined);
    clients.push(client);
    return client;
  };
  const client = connect(options.client ?? {});
  const control = await controlOf(container);
  await eventually("Redis answers", async () => client.ping());
  return {
    ...control,
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    connect,
    start: async () => {
      await control.start();
      await eventually("Redis answers again", async () => client.ping());
    },
    close: async () => {
      // A frozen container could not end; one that runs cannot be resumed.
      await control.resume().catch(() => undefined);
      for (const each of clients) {
        each.disconnect();
      }
      await container.stop({ timeout: 1000 });
    },
  };
}
