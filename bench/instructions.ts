/**
 * User-space instructions per request, counted by callgrind: the same to a percent from run to run, however
 * noisy the machine.
 */

import { Agent } from "node:http";
import { ask, eventually, send, type Stage } from "./stage.ts";

/** Requests until LuaJIT has compiled what it will; twice as many are counted after them. */
const REQUESTS = Number(process.env.REQUESTS ?? 6000);

/** Confs of the router, which has a watch. */
const WATCHING = new Set(["router", "two_lines", "unobserved"]);

export const HOST = "app-0.bench.example";

/** What is asked for. */
export interface Target {
  host: string;
  path: string;
}

const PLAIN: Target = { host: HOST, path: "/" };
const LONG_PATH = "/team-500/app/x";
/** The same host, asked for as long a path as the next ones are: what nginx does with that is not theirs. */
export const PLAIN_PATH: Target = { host: HOST, path: LONG_PATH };
/** One of a thousand path routes of a host. */
export const PATH: Target = { host: "paths.bench.example", path: LONG_PATH };
/** A host with options, of those that are looked at for every request. */
export const OPTIONS: Target = { host: "options.bench.example", path: LONG_PATH };
/** One of a thousand path routes of a host that has these options too. */
export const OPTIONS_PATH: Target = { host: "both.bench.example", path: LONG_PATH };

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

/** Instructions of nginx while something is done, once it is warm. */
async function instructionsWhile(
  stage: Stage,
  variant: string,
  target: Target,
  options: string,
  work: () => Promise<void>,
): Promise<number> {
  const report = `/tmp/bench/${variant}.callgrind`;
  await stage.exec(`rm -f ${report}*`);
  await stage.spawn(
    `SWITCHBOARD_TTL=3600 valgrind --trace-children=yes --tool=callgrind ${options} --smc-check=all-non-file --callgrind-out-file=${report} ` +
      `nginx -p /tmp/bench/ -c /tmp/bench/${variant}.conf -g 'daemon off; master_process off; user root;' >/tmp/bench/${variant}.log 2>&1`,
  );
  const agent = new Agent({ keepAlive: false });
  await eventually(`${variant} under callgrind`, async () => {
    await ask(stage, target.host, agent, target.path);
    return true;
  });
  await settle(stage, variant, async () => ask(stage, target.host, agent, target.path));
  await send(stage, REQUESTS, () => target.host, target.path);
  await stage.exec("callgrind_control --zero");
  await work();
  await stage.exec("callgrind_control --dump");
  let counted = 0;
  await eventually(`callgrind's count of ${variant}`, async () => {
    counted = Number(/^summary: (\d+)/m.exec(await stage.exec(`grep ^summary ${report}.1`))?.[1] ?? 0);
    return counted > 0;
  });
  await stage.exec("kill -QUIT $(cat /tmp/bench/proxy.pid)");
  await eventually(`the end of ${variant}`, async () =>
    (await stage.exec(`cat /tmp/bench/${variant}.log`)).includes("Collected"),
  );
  return counted;
}

/** Instructions per request of a conf in bench/conf. */
export async function instructionsOf(stage: Stage, variant: string, target = PLAIN): Promise<number> {
  const requests = 2 * REQUESTS;
  const counted = await instructionsWhile(stage, variant, target, WITHOUT_TIMERS, async () =>
    send(stage, requests, () => target.host, target.path),
  );
  return Math.round(counted / requests);
}

/** Instructions per second of a router that has nothing to do. */
export async function idleInstructions(stage: Stage, variant: string): Promise<number> {
  const seconds = 10;
  let passed = 0;
  const counted = await instructionsWhile(stage, variant, PLAIN, "", async () => {
    const begun = Date.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    passed = (Date.now() - begun) / 1000;
  });
  return Math.round(counted / passed);
}

/** LuaJIT lays its traces out differently now and then: the middle one of three counts. */
export async function medianInstructionsOf(stage: Stage, variant: string, target = PLAIN): Promise<number> {
  const counts: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    counts.push(await instructionsOf(stage, variant, target));
  }
  return counts.sort((a, b) => a - b)[1]!;
}

/** Registers hosts with three instances each. */
export async function register(stage: Stage, hosts: number): Promise<void> {
  await stage.exec(
    `for i in $(seq 0 ${hosts - 1}); do echo "SADD backends:app-$i.bench.example 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003"; done | redis-cli >/dev/null`,
  );
}

async function registerPathsOf(stage: Stage, host: string): Promise<void> {
  await stage.exec(
    `(echo "SADD backends:${host} 127.0.0.1:9001"; for i in $(seq 0 999); do echo "SADD paths:${host} /team-$i/app"; echo "SADD backends:${host}/team-$i/app 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003"; done) | redis-cli >/dev/null`,
  );
}

/** Registers PATH, OPTIONS and OPTIONS_PATH; the paths' own instances are those of others. */
export async function registerSpecial(stage: Stage): Promise<void> {
  await registerPathsOf(stage, PATH.host);
  await registerPathsOf(stage, OPTIONS_PATH.host);
  await stage.exec(
    `(echo "SADD backends:${OPTIONS.host} 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003"; for h in ${OPTIONS.host} ${OPTIONS_PATH.host}; do echo "HSET route:$h allow_ips 127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16 hsts on read_timeout 30 tries 2"; done) | redis-cli >/dev/null`,
  );
}
