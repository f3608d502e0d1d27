/** What a soak plays on: a Redis, two routers and the apps. */

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startApp, type Backend } from "../../integration/support/backends.ts";
import { eventually } from "../../integration/support/eventually.ts";
import { freePort } from "../../integration/support/ports.ts";
import { startRedis, type RedisServer } from "../../integration/support/redis-server.ts";
import { ask } from "../../integration/support/http-client.ts";
import { startRouter, type Router } from "../../integration/support/router.ts";
import { newName, type Name } from "./names.ts";
import type { Journal } from "./journal.ts";

/** A router under the soak. */
export interface Tried {
  name: string;
  router: Router;
  /** Of the listener that spreads connections evenly over the workers. */
  port: number;
  workers: number;
}

export interface World {
  journal: Journal;
  redis: RedisServer;
  /** Never reloaded: its workers grow as old as the soak. */
  old: Tried;
  /** Reloaded again and again. */
  renewed: Tried;
  tried: Tried[];
  /** Apps that are always well, on any address of 127.0.0.0/8. */
  apps: Backend[];
  /** Routes that stay, and move from instance to instance. */
  names: Name[];
  /** Routes that were made lately and will go. */
  passing: Name[];
  /** Redis runs, and is not about to be stopped. */
  storeIsWell: boolean;
  /** performance.now() since which every router must hear of every change. */
  trusted: number;
  /** False: the soak is over, and everybody who asks or writes stops. */
  running: boolean;
  close(): Promise<void>;
}

const APPS = 8;

/** What a server tells of a request besides: which worker had it, and which instance. */
const SAYS_WHO = "add_header X-Worker $pid always; add_header X-Instance $upstream_addr always;";
/** What lives in the worker's Lua, once the collector has been through it, in kilobytes; and how many traces it has compiled. */
const HEAP = `location = /soak-heap { content_by_lua_block {
  collectgarbage() collectgarbage()
  local traces, info = 0, require("jit.util").traceinfo
  for i = 1, 65535 do if info(i) then traces = traces + 1 end end
  ngx.say(ngx.worker.pid(), " ", collectgarbage("count"), " ", traces)
} }`;

async function startTried(
  name: string,
  workers: number,
  redis: RedisServer,
  more: { environment?: Record<string, string>; folders?: Record<string, string> },
): Promise<Tried> {
  const port = await freePort();
  const router = await startRouter({
    workers,
    server: `listen 127.0.0.1:${port} reuseport; ${SAYS_WHO} ${HEAP}`,
    http: "keepalive_requests 1000000;",
    folders: more.folders,
    // A name that is read for the first time waits for Redis; the machine may do much else.
    environment: {
      SWITCHBOARD_REDIS_URL: redis.url,
      SWITCHBOARD_LOAD_TIMEOUT: "5s",
      // So that it is full, and forgets as it will for ever, long before it is looked whether memory grows.
      SWITCHBOARD_WORKER_CACHE: "2000",
      ...more.environment,
    },
  });
  return { name, router, port, workers };
}

/** An address of this machine that no other instance has, as far as chance goes. */
export function newMember(world: World): string {
  const byte = (): number => 1 + Math.floor(Math.random() * 254);
  const app = world.apps[Math.floor(Math.random() * world.apps.length)]!;
  return `127.${byte()}.${byte()}.${byte()}:${app.port}`;
}

/** One kept connection to each worker of a router. */
export async function eachWorker(tried: Tried): Promise<Map<string, Agent>> {
  const found = new Map<string, Agent>();
  return eventually(`each worker of ${tried.name} answers`, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { headers } = await ask(tried.port, { host: "who.soak.test", agent });
    const worker = String(headers["x-worker"]);
    if (found.has(worker)) {
      agent.destroy();
    } else {
      found.set(worker, agent);
    }
    if (found.size < tried.workers) {
      throw new Error(`only ${found.size} of ${tried.workers}`);
    }
    return found;
  });
}

/** Starts it all. */
export async function openWorld(journal: Journal, count: number): Promise<World> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closers.reverse()) {
      await each().catch((failure: unknown) => journal.fail(String(failure)));
    }
  };
  // Workers are nobody.
  const folder = mkdtempSync(join(tmpdir(), "switchboard-soak-"));
  chmodSync(folder, 0o777);
  closers.push(async () => rmSync(folder, { recursive: true, force: true }));
  try {
    const redis = await startRedis({
      arguments: ["--logfile", "/logs/redis.log"],
      folders: { "/logs": journal.folder },
    });
    closers.push(async () => redis.close());
    const apps: Backend[] = [];
    for (let i = 0; i < APPS; i += 1) {
      const app = await startApp(
        `app-${i}`,
        (request, response) => {
          request.resume();
          response.setHeader("X-Backend", `app-${i}`);
          response.end("ok\n");
        },
        { address: "0.0.0.0" },
      );
      closers.push(async () => app.close());
      apps.push(app);
    }
    const keep = {
      environment: { SWITCHBOARD_SNAPSHOT: "/snapshots/routes" },
      folders: { "/snapshots": folder },
    };
    const old = await startTried("old", 4, redis, keep);
    closers.push(async () => old.router.close());
    const renewed = await startTried("renewed", 2, redis, {});
    closers.push(async () => renewed.router.close());
    return {
      journal,
      redis,
      old,
      renewed,
      tried: [old, renewed],
      apps,
      names: Array.from({ length: count }, (_, i) => newName(`n${i}.soak.test`, true)),
      passing: [],
      storeIsWell: true,
      trusted: 0,
      running: true,
      close,
    };
  } catch (failure) {
    await close();
    throw failure;
  }
}
