/** The container in which everything is measured: apps, Redis, and one proxy at a time. */

import { execFile, execFileSync } from "node:child_process";
import { Agent, get } from "node:http";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const run = promisify(execFile);

/** Seconds that a process may take to come up or to end; under callgrind everything is slow. */
const PATIENCE = 60;

export interface Stage {
  /** The tag of the image, by which figures are comparable. */
  image: string;
  address: string;
  exec(command: string): Promise<string>;
  /** Starts a process in the background. */
  spawn(command: string): Promise<void>;
  close(): Promise<void>;
}

async function docker(...words: string[]): Promise<string> {
  return (await run("docker", words, { maxBuffer: 1 << 26 })).stdout.trim();
}

/** Waits until something is so. */
export async function eventually(
  what: string,
  isSo: () => Promise<boolean>,
  patience = PATIENCE,
): Promise<void> {
  const deadline = Date.now() + patience * 1000;
  while (!(await isSo().catch(() => false))) {
    if (Date.now() > deadline) {
      throw new Error(`waited ${patience} s in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts the container with the apps and Redis. */
export async function openStage(): Promise<Stage> {
  const image = execFileSync(`${ROOT}nginx/image/base-image`, ["tools"], { encoding: "utf8" }).trim();
  const id = await docker(
    "run",
    "--detach",
    "--rm",
    "-v",
    `${ROOT}:/switchboard:ro`,
    image,
    "sleep",
    "infinity",
  );
  const address = await docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", id);
  const stage: Stage = {
    image,
    address,
    exec: async (command) => docker("exec", id, "sh", "-c", command),
    spawn: async (command) => {
      await docker("exec", "--detach", id, "sh", "-c", command);
    },
    close: async () => {
      await docker("rm", "--force", id);
    },
  };
  try {
    await stage.exec(
      "mkdir -p /tmp/bench/switchboard /tmp/bench/bodies && cp /switchboard/bench/conf/* /tmp/bench/ && cp /switchboard/nginx/*.conf /tmp/bench/switchboard/",
    );
    await stage.exec(
      "for k in 1 100; do head -c ${k}k /dev/zero | tr '\\0' x >/tmp/bench/bodies/${k}k; done",
    );
    await stage.exec(
      "redis-server --daemonize yes --save '' && nginx -p /tmp/bench/ -c /tmp/bench/backend.conf",
    );
    await eventually("Redis", async () => (await stage.exec("redis-cli ping")) === "PONG");
  } catch (failure) {
    await stage.close();
    throw failure;
  }
  return stage;
}

/** Gives HAProxy a backend for each of so many hosts, in its conf and in the map that leads there. */
export async function prepareHaproxy(stage: Stage, hosts: number): Promise<void> {
  await stage.exec(`for i in $(seq 0 ${hosts - 1}); do
    echo "app-$i.bench.example b$i" >>/tmp/bench/hosts.map
    printf 'backend b%s\\n  server a 127.0.0.1:9001\\n  server b 127.0.0.1:9002\\n  server c 127.0.0.1:9003\\n' $i >>/tmp/bench/haproxy.cfg
  done`);
}

/** One request; rejects unless the answer is a 200 with a body of the apps. */
export function ask(
  stage: Stage,
  host: string,
  agent: Agent,
  path = "/",
  headers: Record<string, string> = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ host: stage.address, port: 8080, path, agent, headers: { ...headers, Host: host } }, (response) => {
      response.resume();
      response.on("end", () => {
        if (response.statusCode === 200) {
          resolve();
        } else {
          reject(
            new Error(
              `${host}: ${response.statusCode} ${String(response.headers["x-switchboard-error"] ?? "")}`,
            ),
          );
        }
      });
    }).on("error", reject);
  });
}

/** One series of the metrics that a router tells on a port; NaN: it has none of this name. */
export async function metricOf(stage: Stage, port: number, series: string): Promise<number> {
  const page = await stage.exec(`curl -s http://127.0.0.1:${port}/metrics`);
  const line = page.split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.split(" ")[1]);
}

/** So many requests, one after the other on each of a few kept connections. */
export async function send(
  stage: Stage,
  count: number,
  hostOf: (i: number) => string,
  path = "/",
  headers: Record<string, string> = {},
): Promise<void> {
  const connections = 4;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      await ask(stage, hostOf(next++), agent, path, headers);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  agent.destroy();
}

/** A connection from here to the Redis of the container. */
export async function openRedis(stage: Stage): Promise<Redis> {
  await stage.exec("redis-cli config set protected-mode no");
  return new Redis({ host: stage.address });
}
