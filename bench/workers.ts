/**
 * `npx tsx bench/workers.ts`, part of `make bench`: what the workers of a node have to do with each other. Operations on
 * shared dicts (each holds the lock of its dict once) per request, per second and per change, with 2, 8 and 16 workers;
 * how even 16 workers spread while instances come and go; and a reload of 16 workers under load. Its figures are put
 * into results.json beside the others.
 *
 * Environment: SECONDS of a measurement (10), CHANGES (1000), REQUESTS (100000) that are spread.
 */

import { Agent, get, type IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { Redis } from "ioredis";
import { resultOf } from "./load.ts";
import { play } from "./part.ts";
import { record } from "./results.ts";
import { eventually, openRedis, type Stage } from "./stage.ts";

const SECONDS = Number(process.env.SECONDS ?? 10);
const CHANGES = Number(process.env.CHANGES ?? 1000);
const REQUESTS = Number(process.env.REQUESTS ?? 100_000);
const COUNTS = [2, 8, 16];
const HOSTS = 100;
/** The apps of the stage. */
const MEMBERS = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"];
/** Instances that 16 workers spread requests over, and those of them that come and go meanwhile. */
const INSTANCES = 50;
const PASSING = 5;
const FIRST_PORT = 9101;

/** Operations by "phase dict operation key", of one worker. */
type Operations = Map<string, number>;

interface Answer {
  status: number;
  worker: string;
  body: string;
}

async function ask(stage: Stage, host: string, agent: Agent, path = "/"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = get(
      { host: stage.address, port: 8080, path, agent, headers: { Host: host } },
      (response: IncomingMessage) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode!, worker: String(response.headers["x-worker"]), body }),
        );
      },
    );
    sent.on("error", (failure: Error & { reused?: boolean }) => {
      failure.reused = sent.reusedSocket;
      reject(failure);
    });
  });
}

function host(i: number): string {
  return `app-${i % HOSTS}.bench.example`;
}

async function start(stage: Stage, workers: number): Promise<void> {
  await stage.exec(
    `sed 's/worker_processes 16;/worker_processes ${workers};/' /switchboard/bench/conf/workers.conf >/tmp/bench/workers.conf`,
  );
  await stage.spawn(
    "SWITCHBOARD_TTL=3600 exec nginx -p /tmp/bench/ -c /tmp/bench/workers.conf -g 'daemon off; user root;' >/tmp/bench/workers.log 2>&1",
  );
  await eventually("the watch", async () => {
    const page = await stage.exec("curl -s http://127.0.0.1:8082/metrics");
    return page.includes('switchboard_watch{mode="tracking"} 1');
  });
}

async function stop(stage: Stage): Promise<void> {
  await stage.exec("kill -TERM $(cat /tmp/bench/proxy.pid)");
  await eventually("its end", async () => !(await stage.exec("ls /tmp/bench")).includes("proxy.pid"));
}

/** One kept connection to each worker. */
async function connectEach(stage: Stage, workers: number): Promise<Map<string, Agent>> {
  const found = new Map<string, Agent>();
  await eventually(`${workers} workers`, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { worker } = await ask(stage, host(0), agent);
    if (found.has(worker)) {
      agent.destroy();
    } else {
      found.set(worker, agent);
    }
    return found.size === workers;
  });
  return found;
}

/** What each worker did with the shared dicts while something went on. */
async function operationsWhile(
  stage: Stage,
  agents: Map<string, Agent>,
  during: () => Promise<void>,
): Promise<Operations[]> {
  const each = [...agents.values()];
  for (const agent of each) {
    await ask(stage, host(0), agent, "/operations/clear");
  }
  await during();
  return Promise.all(
    each.map(async (agent) => {
      const { body } = await ask(stage, host(0), agent, "/operations");
      const lines = body.trim().split("\n").slice(1);
      return new Map(
        lines.map((line) => {
          const end = line.lastIndexOf(" ");
          return [line.slice(0, end), Number(line.slice(end + 1))];
        }),
      );
    }),
  );
}

function sum(operations: Operations[], counts: (what: string) => boolean): number {
  let total = 0;
  for (const each of operations) {
    for (const [what, count] of each) {
      total += counts(what) ? count : 0;
    }
  }
  return total;
}

const ofRequests = (what: string): boolean => !what.startsWith("timer ");
/** The one look that a worker takes at what has changed in each tick of its event loop. */
const isLook = (what: string): boolean => what.startsWith("access state get generation");

/** Every host is in every worker's cache. */
async function warm(stage: Stage, agents: Map<string, Agent>): Promise<void> {
  for (const agent of agents.values()) {
    for (let i = 0; i < HOSTS; i += 1) {
      await ask(stage, host(i), agent);
    }
  }
}

interface Figures {
  /** One request after the other: each is alone in its tick. */
  per_hit_alone: number;
  /** The same without the look at what has changed. */
  per_hit_beside_the_look: number;
  /** As many requests as there can be. */
  per_hit_busy: number;
  /** Without a request, of all workers but the one that watches; and of that one. */
  per_second_worker: number;
  per_second_watcher: number;
  /** For each change of a route that is in all caches, requests going on. */
  per_change_worker: number;
  per_change_watcher: number;
}

/** All but the busiest worker, which is the one that watches, and that one. */
function apart(
  operations: Operations[],
  counts: (what: string) => boolean,
): { worker: number; watcher: number } {
  const totals = operations.map((each) => sum([each], counts)).sort((a, b) => a - b);
  const watcher = totals.pop()!;
  return { worker: totals.reduce((all, one) => all + one, 0) / totals.length, watcher };
}

/** Each change is asked for in each worker before the next of the same route. */
async function change(stage: Stage, redis: Redis, agents: Agent[]): Promise<void> {
  for (let i = 0; i < CHANGES; i += 1) {
    const key = `backends:${host(i)}`;
    await (Math.floor(i / HOSTS) % 2 === 0
      ? redis.srem(key, "127.0.0.1:9003")
      : redis.sadd(key, "127.0.0.1:9003"));
    await Promise.all(agents.map(async (agent) => ask(stage, host(i), agent)));
  }
}

async function count(stage: Stage, redis: Redis, workers: number): Promise<Figures> {
  await start(stage, workers);
  const agents = await connectEach(stage, workers);
  await warm(stage, agents);
  await pause(2000);
  const alone = 1000;
  const hits = await operationsWhile(stage, agents, async () => {
    const all = [...agents.values()];
    for (let i = 0; i < alone; i += 1) {
      await ask(stage, host(i), all[i % all.length]!);
    }
  });
  let busy = 0;
  const loaded = await operationsWhile(stage, agents, async () => {
    const output = await stage.exec(
      `HOSTS=${HOSTS} wrk -t1 -c64 -d${SECONDS}s -s /tmp/bench/load.lua http://127.0.0.1:8080/`,
    );
    busy = resultOf(output).requests;
  });
  const nothing = await operationsWhile(stage, agents, async () => pause(SECONDS * 1000));
  const usual = new Set(nothing.flatMap((each) => [...each.keys()]));
  const changes = await operationsWhile(stage, agents, async () =>
    change(stage, redis, [...agents.values()]),
  );
  for (const agent of agents.values()) {
    agent.destroy();
  }
  await stop(stage);
  const idle = apart(nothing, () => true);
  const changed = apart(changes, (what) => !usual.has(what) && !isLook(what));
  return {
    per_hit_alone: sum(hits, ofRequests) / alone,
    per_hit_beside_the_look: sum(hits, (what) => ofRequests(what) && !isLook(what)) / alone,
    per_hit_busy: sum(loaded, ofRequests) / busy,
    per_second_worker: idle.worker / SECONDS,
    per_second_watcher: idle.watcher / SECONDS,
    per_change_worker: changed.worker / CHANGES,
    per_change_watcher: changed.watcher / CHANGES,
  };
}

/** Requests that each of the instances had which stayed, most over fewest, while others came and went. */
async function spread(stage: Stage, redis: Redis): Promise<number> {
  await stage.exec("nginx -p /tmp/bench/ -c /tmp/bench/pool.conf");
  const members = Array.from({ length: INSTANCES }, (_, i) => `127.0.0.1:${FIRST_PORT + i}`);
  await redis.sadd("backends:even.example", ...members);
  await ask(stage, "even.example", new Agent());
  await stage.exec(": >/tmp/bench/even.log");
  let running = true;
  const scaling = (async () => {
    for (let i = 0; running; i += 1) {
      const member = members[i % PASSING]!;
      await redis.srem("backends:even.example", member);
      await pause(250);
      await redis.sadd("backends:even.example", member);
      await pause(250);
    }
  })();
  await eventually(`${REQUESTS} requests`, async () => {
    const lines = await stage.exec(
      "wrk -t1 -c64 -d3s -H 'Host: even.example' http://127.0.0.1:8080/ >/dev/null; wc -l </tmp/bench/even.log",
    );
    return Number(lines) >= REQUESTS;
  });
  running = false;
  await scaling;
  const tally = await stage.exec(`head -n ${REQUESTS} /tmp/bench/even.log | sort -n | uniq -c`);
  const stayed = tally
    .split("\n")
    .map((line) => line.trim().split(" ").map(Number))
    .filter(([, port]) => port! >= FIRST_PORT + PASSING)
    .map(([requests]) => requests!);
  if (stayed.length !== INSTANCES - PASSING) {
    throw new Error(`${stayed.length} of ${INSTANCES - PASSING} instances had requests`);
  }
  return Math.max(...stayed) / Math.min(...stayed);
}

interface Reload {
  requests: number;
  failures: number;
  /** Until requests are answered by new workers alone. */
  seconds_until_new: number;
  /** Until no old process is left. */
  seconds_until_old_are_gone: number;
}

/** A reload while clients ask, each on a kept connection; one that is closed while it is idle is opened anew. */
async function reload(stage: Stage, workers: number): Promise<Reload> {
  const old = new Set((await connectEach(stage, workers)).keys());
  const found: Reload = { requests: 0, failures: 0, seconds_until_new: 0, seconds_until_old_are_gone: 0 };
  let running = true;
  let began = Infinity;
  const client = async (): Promise<void> => {
    let agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; running; i += 1) {
      try {
        const { status, worker } = await ask(stage, host(i), agent);
        found.failures += status === 200 ? 0 : 1;
        if (old.has(worker) && performance.now() > began) {
          found.seconds_until_new = (performance.now() - began) / 1000;
        }
      } catch (failure) {
        found.failures += (failure as { reused?: boolean }).reused === true ? 0 : 1;
      }
      found.requests += 1;
      if (i % 20 === 19) {
        agent.destroy();
        agent = new Agent({ keepAlive: true, maxSockets: 1 });
      }
    }
    agent.destroy();
  };
  const clients = Array.from({ length: 16 }, client);
  await pause(1000);
  began = performance.now();
  await stage.exec("kill -HUP $(cat /tmp/bench/proxy.pid)");
  await eventually("the old workers' end", async () => {
    const now = await stage.exec("pgrep -P $(cat /tmp/bench/proxy.pid)");
    return now.split("\n").every((pid) => !old.has(pid));
  });
  found.seconds_until_old_are_gone = (performance.now() - began) / 1000;
  await pause(1000);
  running = false;
  await Promise.all(clients);
  return found;
}

function rounded<T extends object>(figures: T): T {
  return JSON.parse(JSON.stringify(figures), (_, value: unknown) =>
    typeof value === "number" ? Number(value.toFixed(3)) : value,
  ) as T;
}

await play("many workers", async (stage) => {
  const redis = await openRedis(stage);
  await Promise.all(
    Array.from({ length: HOSTS }, async (_, i) => redis.sadd(`backends:${host(i)}`, ...MEMBERS)),
  );
  const operations: Record<number, Figures> = {};
  for (const workers of COUNTS) {
    operations[workers] = await count(stage, redis, workers);
  }
  const most = Math.max(...COUNTS);
  await start(stage, most);
  const { body } = await ask(stage, host(0), new Agent(), "/operations/time");
  const figures = {
    nanoseconds_of_a_look: Math.round(Number(body)),
    dict_operations: rounded(operations),
    spread_while_instances_come_and_go: rounded({ max_min: await spread(stage, redis) }).max_min,
    reload_of_16_workers: rounded(await reload(stage, most)),
  };
  redis.disconnect();
  record("workers", stage.image, { many_workers: figures });
  console.log(JSON.stringify(figures, undefined, 2));
});
