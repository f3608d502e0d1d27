/**
 * User-space instructions per request, counted by callgrind: the same to a percent from run to run, however
 * noisy the machine.
 */

import { Agent } from "node:http";
import { ask, eventually, send, type Stage } from "./stage.ts";

/** Requests of the short run; the long one has three times as many, and start-up cancels out. */
const REQUESTS = Number(process.env.REQUESTS ?? 3000);

export const HOST = "app-0.bench.example";

/** What is asked for. */
export interface Target {
  host: string;
  path: string;
}

const PLAIN: Target = { host: HOST, path: "/" };
/** One of a thousand path routes of a host. */
export const PATH: Target = { host: "paths.bench.example", path: "/team-500/app/x" };

/** Instructions of a whole run of nginx with so many requests. */
async function total(stage: Stage, variant: string, requests: number, target: Target): Promise<number> {
  const report = `/tmp/bench/${variant}.callgrind`;
  await stage.spawn(
    `SWITCHBOARD_TTL=3600 valgrind --trace-children=yes --tool=callgrind --smc-check=all-non-file --callgrind-out-file=${report} ` +
      `nginx -p /tmp/bench/ -c /tmp/bench/${variant}.conf -g 'daemon off; master_process off; user root;' >/tmp/bench/${variant}.log 2>&1`,
  );
  const agent = new Agent({ keepAlive: false });
  await eventually(`${variant} under callgrind`, async () => {
    await ask(stage, target.host, agent, target.path);
    return true;
  });
  await send(stage, requests, () => target.host, target.path);
  await stage.exec("kill -QUIT $(cat /tmp/bench/proxy.pid)");
  let counted = 0;
  await eventually(`callgrind's count of ${variant}`, async () => {
    const log = await stage.exec(`cat /tmp/bench/${variant}.log`);
    counted = Number(/Collected : (\d+)/.exec(log)?.[1] ?? 0);
    return counted > 0;
  });
  return counted;
}

/** Instructions per request of a conf in bench/conf. */
export async function instructionsOf(stage: Stage, variant: string, target = PLAIN): Promise<number> {
  const short = await total(stage, variant, REQUESTS, target);
  const long = await total(stage, variant, 3 * REQUESTS, target);
  return Math.round((long - short) / (2 * REQUESTS));
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

/** Registers a host with a thousand path routes, of one instance each; its own instances are those of others. */
export async function registerPaths(stage: Stage): Promise<void> {
  await stage.exec(
    `(echo "SADD backends:${PATH.host} 127.0.0.1:9001"; for i in $(seq 0 999); do echo "SADD paths:${PATH.host} /team-$i/app"; echo "SADD backends:${PATH.host}/team-$i/app 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003"; done) | redis-cli >/dev/null`,
  );
}
