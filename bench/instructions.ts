/**
 * User-space instructions per request, counted by callgrind: the same to a percent from run to run, however
 * noisy the machine.
 */

import { Agent } from "node:http";
import { ask, eventually, send, type Stage } from "./stage.ts";
import { headersFor, PLAIN, type Target } from "./targets.ts";

/** Requests until LuaJIT has compiled what it will; twice as many are counted after them. */
const REQUESTS = Number(process.env.REQUESTS ?? 6000);

/** Confs of the router, which has a watch. */
const WATCHING = new Set(["router", "two_lines", "unobserved", "slow_clock"]);

/**
 * The watch comes up some time after the first request, and has the route read once more: a thousand paths take as much
 * as a thousand requests, and must fall into no run or into every one.
 */
async function settle(stage: Stage, variant: string, again: () => Promise<unknown>): Promise<void> {
  if (!WATCHING.has(variant)) {
    return;
  }
  const page = async (): Promise<string> => stage.exec("curl -s http://127.0.0.1:8082/metrics");
  const loads = async (): Promise<number> =>
    Number(/cmdstat_exec:calls=(\d+)/.exec(await stage.exec("redis-cli info commandstats"))?.[1] ?? 0);
  await eventually("the watch", async () => (await page()).includes('switchboard_watch{mode="tracking"} 1'));
  let before = -1;
  await eventually("no further load", async () => {
    await again();
    const now = await loads();
    const quiet = now === before;
    before = now;
    return quiet;
  });
}

/**
 * What runs in timers is no request's, once a second whatever the load, and under callgrind a second has few requests:
 * it is left out here, and counted by `idleInstructions`.
 */
const WITHOUT_TIMERS = "--toggle-collect=ngx_event_expire_timers --collect-atstart=yes";

/** A first-level and a second-level cache as processors have them today, for what is counted of both. */
const CACHES = "--cache-sim=yes --I1=32768,8,64 --D1=49152,12,64 --LL=1048576,16,64";

/** What callgrind counts, by its names. */
type Events = Record<string, number>;

interface Work {
  hostOf: (i: number) => string;
  /** Before what is counted. */
  warmUp: number;
  /** What is counted. */
  perform: (headers: Record<string, string>) => Promise<void>;
}

/** Events of nginx while something is done, once it is warm. */
async function eventsWhile(
  stage: Stage,
  variant: string,
  target: Target,
  options: string,
  work: Work,
): Promise<Events> {
  const report = `/tmp/bench/${variant}.callgrind`;
  await stage.exec(`rm -f ${report}*`);
  await stage.spawn(
    `SWITCHBOARD_TTL=3600 SWITCHBOARD_LOAD_TIMEOUT=30 valgrind --trace-children=yes --tool=callgrind ${options} --smc-check=all-non-file --callgrind-out-file=${report} ` +
      `nginx -p /tmp/bench/ -c /tmp/bench/${variant}.conf -g 'daemon off; master_process off; user root;' >/tmp/bench/${variant}.log 2>&1`,
  );
  const agent = new Agent({ keepAlive: false });
  await eventually(`${variant} under callgrind`, async () => {
    await ask(stage, target.host, agent, target.path);
    return true;
  });
  await settle(stage, variant, async () => ask(stage, target.host, agent, target.path));
  const headers = await headersFor(stage, 8080, target);
  await send(stage, work.warmUp, work.hostOf, target.path, headers);
  await stage.exec("callgrind_control --zero");
  await work.perform(headers);
  await stage.exec("callgrind_control --dump");
  const events: Events = {};
  await eventually(`callgrind's count of ${variant}`, async () => {
    const text = await stage.exec(`grep -E '^(events|summary):' ${report}.1`);
    const names = /^events: (.*)/m.exec(text)![1]!.trim().split(" ");
    const counts = /^summary: (.*)/m.exec(text)![1]!.trim().split(" ").map(Number);
    names.forEach((name, i) => (events[name] = counts[i]!));
    return true;
  });
  await stage.exec("kill -QUIT $(cat /tmp/bench/proxy.pid)");
  await eventually(`the end of ${variant}`, async () =>
    (await stage.exec(`cat /tmp/bench/${variant}.log`)).includes("Collected"),
  );
  return events;
}

/** Instructions per request of a conf in bench/conf. */
export async function instructionsOf(stage: Stage, variant: string, target = PLAIN): Promise<number> {
  const requests = 2 * REQUESTS;
  const hostOf = (): string => target.host;
  const { Ir } = await eventsWhile(stage, variant, target, WITHOUT_TIMERS, {
    hostOf,
    warmUp: REQUESTS,
    perform: async (headers) => send(stage, requests, hostOf, target.path, headers),
  });
  return Math.round(Ir! / requests);
}

/** What a request costs when so many hosts are asked in turn: instructions, and lines that it has to fetch. */
export interface Misses {
  instructions: number;
  /** Not in the first-level caches; not in the second-level one either. */
  l1: number;
  l2: number;
}

/** The same as `instructionsOf` with caches, for hosts that are registered. */
export async function missesOf(stage: Stage, variant: string, hosts: number): Promise<Misses> {
  const hostOf = (i: number): string => `app-${i % hosts}.bench.example`;
  const events = await eventsWhile(stage, variant, PLAIN, `${WITHOUT_TIMERS} ${CACHES}`, {
    hostOf,
    warmUp: Math.max(REQUESTS, 4 * hosts),
    perform: async () => send(stage, 2 * REQUESTS, hostOf),
  });
  const perRequest = (...names: string[]): number =>
    names.reduce((sum, name) => sum + events[name]!, 0) / (2 * REQUESTS);
  return {
    instructions: Math.round(perRequest("Ir")),
    l1: perRequest("I1mr", "D1mr", "D1mw"),
    l2: perRequest("ILmr", "DLmr", "DLmw"),
  };
}

/** Instructions per second of a router that has nothing to do. */
export async function idleInstructions(stage: Stage, variant: string): Promise<number> {
  const seconds = 10;
  let passed = 0;
  const { Ir } = await eventsWhile(stage, variant, PLAIN, "", {
    hostOf: () => PLAIN.host,
    warmUp: REQUESTS,
    perform: async () => {
      const begun = Date.now();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      passed = (Date.now() - begun) / 1000;
    },
  });
  return Math.round(Ir! / passed);
}
