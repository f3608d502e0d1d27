/** What is asked for: kinds of routes, and how they stand in Redis. */

import { Agent, get } from "node:http";
import type { Stage } from "./stage.ts";

export interface Target {
  host: string;
  path: string;
  /** The client has the cookie of the route's session. */
  kept?: true;
}

const INSTANCES = "127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003";
const LONG_PATH = "/team-500/app/x";

export const HOST = "app-0.bench.example";
export const PLAIN: Target = { host: HOST, path: "/" };
/** The same host, asked for as long a path as the next ones are: what nginx does with that is not theirs. */
export const PLAIN_PATH: Target = { host: HOST, path: LONG_PATH };
/** One of a thousand path routes of a host. */
export const PATH: Target = { host: "paths.bench.example", path: LONG_PATH };
/** A host with options, of those that are looked at for every request. */
export const OPTIONS: Target = { host: "options.bench.example", path: LONG_PATH };
/** One of a thousand path routes of a host that has these options too. */
export const OPTIONS_PATH: Target = { host: "both.bench.example", path: LONG_PATH };
/** A host whose requests two pools share. */
export const SPLIT: Target = { host: "split.bench.example", path: LONG_PATH };

interface Algorithm {
  name: string;
  title: string;
  options: string;
  target: Target;
}

function algorithm(name: string, title: string, options: string): Algorithm {
  return { name, title, options, target: { host: `${name.replace("_", "-")}.bench.example`, path: "/" } };
}

const STICKY = algorithm("sticky", "`sticky=cookie`, a client that has its cookie", "sticky cookie");

/** A host for each way to choose an instance. */
export const ALGORITHMS: Algorithm[] = [
  algorithm("round_robin", "`balance=round_robin`", "balance round_robin"),
  algorithm("least_conn", "`balance=least_conn`", "balance least_conn"),
  algorithm("ewma", "`balance=ewma`", "balance ewma"),
  algorithm("hash", "`balance=hash:uri`", "balance hash:uri"),
  algorithm("random", "`balance=random`", "balance random"),
  { ...STICKY, target: { ...STICKY.target, kept: true } },
  { ...STICKY, name: "sticky_first", title: "`sticky=cookie`, a client that gets one" },
];

/** Registers hosts with three instances each. */
export async function register(stage: Stage, hosts: number): Promise<void> {
  await stage.exec(
    `seq 0 ${hosts - 1} | awk '{ print "SADD backends:app-" $1 ".bench.example ${INSTANCES}\\r" }' | redis-cli --pipe >/dev/null`,
  );
}

/** Shell that writes the commands for a host with a thousand paths, whose instances are not those of the host. */
function pathsOf(host: string): string {
  return `echo "SADD backends:${host} 127.0.0.1:9001"
    for i in $(seq 0 999); do
      echo "SADD paths:${host} /team-$i/app"
      echo "SADD backends:${host}/team-$i/app ${INSTANCES}"
    done`;
}

/** Registers all of the above but the plain host. */
export async function registerSpecial(stage: Stage): Promise<void> {
  const options =
    "allow_ips 127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16 hsts on read_timeout 30 tries 2";
  const lines = [
    `SADD backends:${OPTIONS.host} ${INSTANCES}`,
    `HSET route:${OPTIONS.host} ${options}`,
    `HSET route:${OPTIONS_PATH.host} ${options}`,
    `SADD backends:@split-a ${INSTANCES}`,
    `SADD backends:@split-b ${INSTANCES}`,
    `HSET route:${SPLIT.host} split @split-a=9,@split-b=1`,
    ...ALGORITHMS.flatMap(({ target, options: own }) => [
      `SADD backends:${target.host} ${INSTANCES}`,
      `HSET route:${target.host} ${own}`,
    ]),
  ];
  await stage.exec(
    `(${pathsOf(PATH.host)}\n${pathsOf(OPTIONS_PATH.host)}\necho "${lines.join("\n")}") | redis-cli >/dev/null`,
  );
}

/** The headers of a client of the target, beside Host. */
export async function headersFor(
  stage: Stage,
  port: number,
  { host, path, kept }: Target,
): Promise<Record<string, string>> {
  if (kept !== true) {
    return {};
  }
  const cookie = await new Promise<string>((resolve, reject) => {
    const agent = new Agent();
    get({ host: stage.address, port, path, headers: { Host: host }, agent }, (response) => {
      response.resume();
      resolve(String(response.headers["set-cookie"]?.[0]?.split(";")[0]));
    }).on("error", reject);
  });
  return { Cookie: cookie };
}
