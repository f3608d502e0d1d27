/** The proxies that are measured: several run at once, each on ports of its own, and one at a time has the measured core. */

import { eventually, type Stage } from "./stage.ts";

export interface Proxy {
  /** Names its files in /tmp/bench. */
  id: string;
  /** A conf of bench/conf, or `haproxy`. */
  conf: string;
  /** `NAME=value` words. */
  environment: string;
  port: number;
}

const FIRST_PORT = 8100;
/** Between the ports of two proxies; the router's second server has the one after its first. */
const STEP = 2;

/** @param place among those that run at once, from 0 */
export function proxy(id: string, conf: string, place: number, environment = ""): Proxy {
  return { id, conf, environment, port: FIRST_PORT + STEP * place };
}

/** The conf as it is in bench/conf, with this proxy's ports and pid file. */
function placed(file: string, { id, port }: Proxy): string {
  return `sed -e 's/:8080\\b/:${port}/; s/listen 8080;/listen ${port};/; s/listen 8082;/listen ${port + 1};/; s|proxy\\.pid|${id}.pid|' /tmp/bench/${file}`;
}

/** Shell that starts a proxy in the background; HAProxy writes no pid file while it stays in the foreground. */
function command(which: Proxy): string {
  const { id, conf, environment } = which;
  const at = `/tmp/bench/${id}.at`;
  const start = `taskset -c 1-$(($(nproc) - 1))`;
  const end = `>/tmp/bench/${id}.log 2>&1 &`;
  return conf === "haproxy"
    ? `${placed("haproxy.cfg", which)} >${at}; ${start} haproxy -db -f ${at} ${end} echo $! >/tmp/bench/${id}.pid`
    : `${placed(`${conf}.conf`, which)} >${at}; SWITCHBOARD_TTL=3600 ${environment} ${start} nginx -p /tmp/bench/ -c ${at} -g 'daemon off; user root;' ${end}`;
}

/** Starts proxies, each of which answers for the host when this returns. */
export async function startProxies(stage: Stage, proxies: Proxy[], host: string): Promise<void> {
  await stage.spawn(`${proxies.map(command).join("\n")}\nwait`);
  const status = `curl -s -o /dev/null -w '%{http_code}' -H 'Host: ${host}' http://127.0.0.1:$port/`;
  await eventually("all proxies", async () => {
    await stage.exec(
      `for port in ${proxies.map(({ port }) => port).join(" ")}; do [ "$(${status})" = 200 ] || exit 1; done`,
    );
    return true;
  });
}

/** The process that has the requests. */
export async function workerOf(stage: Stage, { id, conf }: Proxy): Promise<number> {
  const master = `$(cat /tmp/bench/${id}.pid)`;
  return Number(await stage.exec(conf === "haproxy" ? `echo ${master}` : `pgrep -P ${master} | tail -n 1`));
}

export async function stopProxies(stage: Stage, proxies: Proxy[]): Promise<void> {
  const pids = proxies.map(({ id }) => `/tmp/bench/${id}.pid`).join(" ");
  await stage.exec(`kill -TERM $(cat ${pids}); rm -f ${pids}`);
  const ports = proxies.map(({ port }) => `sport = :${port}`).join(" or ");
  await eventually("their end", async () => (await stage.exec(`ss -Hltn '${ports}' | wc -l`)) === "0");
}

/** New workers, with nothing in their own caches, over the same shared dicts. */
export async function renewWorkers(stage: Stage, which: Proxy): Promise<void> {
  const before = await workerOf(stage, which);
  await stage.exec(`kill -HUP $(cat /tmp/bench/${which.id}.pid)`);
  await eventually("new workers", async () => {
    const pids = await stage.exec(`pgrep -P $(cat /tmp/bench/${which.id}.pid)`);
    return !pids.split("\n").includes(String(before));
  });
}
