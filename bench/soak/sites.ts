/** Sites whose instances fail, each in one way, or come and go. Every GET of theirs must be answered. */

import { setTimeout as pause } from "node:timers/promises";
import { startApp, type Backend } from "../../integration/support/backends.ts";
import {
  deadPort,
  startBlackHole,
  startClosing,
  startResetting,
  startSlow,
} from "../../integration/support/troubled-backends.ts";
import type { Client } from "./load.ts";
import type { World } from "./world.ts";

export interface Site {
  host: string;
  /** Names in X-Backend that may answer: nobody of another site. */
  mayAnswer: Set<string>;
}

/** Whom a site may be asked of. */
export interface Sites {
  /** With paths, options, pools, DNS names; their instances stay. */
  steady: Site[];
  /** One of three instances fails, all the time. */
  failing: Site[];
  /** Instances are deployed anew, and some die without notice. */
  fleet: Fleet[];
  close(): Promise<void>;
}

export interface Fleet extends Site {
  instances: Backend[];
  count: number;
  /** One is being replaced. */
  busy: boolean;
}

const STEADY = 20;
const FLEETS = 10;
const FLEET_SIZE = 3;
/** Milliseconds that a platform leaves an instance running which it has taken out of Redis. */
const GRACE = 2000;
/** Milliseconds until a platform sees that an instance has died. */
const NOTICED = 1000;

/** Asks a site; throws unless one of its own apps has answered. */
export async function askSite(client: Client, site: Site, method = "GET", path = "/"): Promise<void> {
  const body = method === "POST" ? "x".repeat(2000) : undefined;
  const answer = await client.ask({ host: site.host, method, path, body });
  const backend = String(answer.headers["x-backend"]);
  if (answer.status !== 200 || !site.mayAnswer.has(backend)) {
    const reason = String(answer.headers["x-switchboard-error"]);
    throw new Error(`${method} ${site.host}${path}: ${answer.status} ${reason} from ${backend}`);
  }
}

async function makeSteady(world: World): Promise<Site[]> {
  const { client } = world.redis;
  const mayAnswer = new Set(world.apps.map((app) => app.name));
  const members = world.apps.slice(0, 4).map((app) => app.at.replace("0.0.0.0", "127.0.0.1"));
  const sites: Site[] = [];
  for (let i = 0; i < STEADY; i += 1) {
    const host = `s${i}.steady.test`;
    await client.sadd(`backends:${host}`, ...members);
    await client.sadd(`paths:${host}`, "/api");
    await client.hset(`route:${host}/api`, "pool", "@shared");
    sites.push({ host, mayAnswer });
  }
  await client.sadd("backends:@shared", ...members);
  await client.sadd("backends:*.wild.test", ...members);
  await client.hset("route:s0.steady.test", "balance", "least_conn", "hsts", "on");
  await client.hset("route:s1.steady.test", "balance", "ewma", "slow_start", "5s");
  await client.hset("route:s2.steady.test", "balance", "hash:uri");
  await client.hset("route:s3.steady.test", "sticky", "cookie");
  for (let i = 0; i < STEADY; i += 1) {
    sites.push({ host: `w${i}.wild.test`, mayAnswer });
  }
  return sites;
}

/** An app that answers 503 to everything. */
async function startRefusing(): Promise<Backend> {
  return startApp("unwell", (request, response) => {
    request.resume();
    response.writeHead(503, { "X-Backend": "unwell" }).end();
  });
}

async function makeFailing(world: World, closers: (() => Promise<void>)[]): Promise<Site[]> {
  const { client } = world.redis;
  const keep = async (starting: Promise<Backend>): Promise<string> => {
    const backend = await starting;
    closers.push(async () => backend.close());
    return backend.at;
  };
  const kinds: [string, string, Record<string, string>][] = [
    ["refusing", await deadPort(), {}],
    ["unwell", await keep(startRefusing()), { retry_on: "502,503,504", eject: "5xx" }],
    ["slow", await keep(startSlow("slow", 1)), {}],
    ["hanging", await keep(startSlow("hanging", 3600)), { read_timeout: "1s" }],
    ["hole", await keep(startBlackHole("hole")), { connect_timeout: "1s" }],
    ["closing", await keep(startClosing("closing")), {}],
    ["resetting", await keep(startResetting("resetting")), {}],
  ];
  const good = world.apps.slice(0, 2);
  const sites: Site[] = [];
  for (const [kind, at, options] of kinds) {
    const host = `${kind}.failing.test`;
    await client.sadd(`backends:${host}`, at, ...good.map((app) => `127.0.0.1:${app.port}`));
    if (Object.keys(options).length > 0) {
      await client.hset(`route:${host}`, options);
    }
    // The slow one answers too, without saying who it is.
    const mayAnswer = new Set([...good.map((app) => app.name), ...(kind === "slow" ? ["undefined"] : [])]);
    sites.push({ host, mayAnswer });
  }
  return sites;
}

async function startInstance(world: World, fleet: Fleet): Promise<void> {
  fleet.count += 1;
  const name = `${fleet.host}-${fleet.count}`;
  const instance = await startApp(name, (request, response) => {
    request.resume();
    response.setHeader("X-Backend", name);
    response.end("ok\n");
  });
  fleet.instances.push(instance);
  fleet.mayAnswer.add(name);
  await world.redis.client.sadd(`backends:${fleet.host}`, instance.at);
}

async function makeFleet(world: World, i: number): Promise<Fleet> {
  const fleet: Fleet = {
    host: `f${i}.fleet.test`,
    mayAnswer: new Set(),
    instances: [],
    count: 0,
    busy: false,
  };
  for (let n = 0; n < FLEET_SIZE; n += 1) {
    await startInstance(world, fleet);
  }
  return fleet;
}

/** One instance is replaced by another, as a deployment does it; or it dies, and the platform sees it later. */
export async function replaceOne(world: World, fleet: Fleet, dies: boolean): Promise<void> {
  const [oldest] = fleet.instances.splice(0, 1);
  if (dies) {
    await oldest!.close();
    await pause(NOTICED);
  }
  await startInstance(world, fleet);
  await world.redis.client.srem(`backends:${fleet.host}`, oldest!.at);
  if (!dies) {
    await pause(GRACE);
    await oldest!.close();
  }
}

/** Registers all sites. */
export async function makeSites(world: World): Promise<Sites> {
  const closers: (() => Promise<void>)[] = [];
  const fleet: Fleet[] = [];
  for (let i = 0; i < FLEETS; i += 1) {
    fleet.push(await makeFleet(world, i));
  }
  return {
    steady: await makeSteady(world),
    failing: await makeFailing(world, closers),
    fleet,
    close: async () => {
      const instances = fleet.flatMap((each) =>
        each.instances.map((instance) => async () => instance.close()),
      );
      for (const close of [...closers, ...instances]) {
        await close();
      }
    },
  };
}
