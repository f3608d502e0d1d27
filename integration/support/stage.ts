import { after, before } from "node:test";
import { startEcho, type Backend, type Place } from "./backends.ts";
import { startRedis, type RedisServer, type RedisServerOptions } from "./redis-server.ts";
import { startRouter, type Router, type RouterOptions } from "./router.ts";

/** What a file of stories plays on. */
export interface StageOptions extends RouterOptions {
  redis?: RedisServerOptions;
}

/** A Redis, a router that reads it, and what the stories add. Everything ends with the file or `describe`. */
export interface Stage {
  redis: RedisServer;
  router: Router;
  /** An echo backend. */
  backend(name: string, place?: Place): Promise<Backend>;
  /** Ends this backend with the others. */
  keep(backend: Promise<Backend>): Promise<Backend>;
  /** One more router on the same Redis, unless the environment names another. */
  moreRouter(options: RouterOptions): Promise<Router>;
  /** Lets a host lead to these backends, and returns the host. */
  serve(host: string, ...backends: Backend[]): Promise<string>;
}

async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.reverse()) {
    await close().catch((failure: unknown) => failures.push(failure));
  }
  if (failures.length > 0) {
    throw failures[0];
  }
}

/** Sets the stage before the stories of the file or `describe` that calls it, and clears it after them. */
export function useStage(options: StageOptions = {}): Stage {
  const closers: (() => Promise<void>)[] = [];
  const stage = {} as Stage;
  const withRedis = (given: RouterOptions): RouterOptions => ({
    ...given,
    environment: { SWITCHBOARD_REDIS_URL: stage.redis.url, ...given.environment },
  });
  stage.keep = async (starting) => {
    const backend = await starting;
    closers.push(async () => backend.close());
    return backend;
  };
  stage.backend = async (name, place) => stage.keep(startEcho(name, place));
  stage.moreRouter = async (more) => {
    const router = await startRouter(withRedis(more));
    closers.push(async () => router.close());
    return router;
  };
  stage.serve = async (host, ...backends) => {
    await stage.redis.client.sadd(`backends:${host}`, ...backends.map((backend) => backend.at));
    return host;
  };
  before(async () => {
    stage.redis = await startRedis(options.redis);
    closers.push(async () => stage.redis.close());
    stage.router = await stage.moreRouter(options);
  });
  after(async () => closeAll(closers));
  return stage;
}

/** How often each name came up. */
export function tally(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) {
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Asks a host so many times, one after the other; the names of the backends that answered. */
export async function askTimes(router: Router, host: string, times: number): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < times; i += 1) {
    names.push((await router.echo({ host })).name);
  }
  return names;
}
