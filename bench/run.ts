/**
 * `make bench`: what a request costs through each proxy, in interleaved rounds on one machine.
 *
 * Environment: ROUNDS (5), DURATION of a measurement in seconds (3), VARIANTS (all), REQUESTS for callgrind.
 */

import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { arch, cpus, release } from "node:os";
import {
  HOST,
  medianInstructionsOf,
  OPTIONS,
  OPTIONS_PATH,
  PATH,
  PLAIN_PATH,
  register,
  registerSpecial,
} from "./instructions.ts";
import { ask, eventually, openStage, type Stage } from "./stage.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const DURATION = Number(process.env.DURATION ?? 3);
const CONNECTIONS = 64;
const MANY = 1000;
const ALL = ["bare", "router", "empty", "naive", "haproxy"];
const VARIANTS = process.env.VARIANTS?.split(",") ?? ALL;
/** The proxy has one core, wrk and the apps the other. */
const PROXY_CORE = 0;
const OTHER_CORE = 1;
/** Jiffies of /proc/<pid>/stat in a second. */
const TICKS = 100;

interface Sample {
  rps: number;
  /** Microseconds of CPU per request. */
  cpu: number;
  p99: number;
}

interface Figure {
  median: number;
  min: number;
  max: number;
}

function figure(values: number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)]!, min: sorted[0]!, max: sorted.at(-1)! };
}

async function startProxy(stage: Stage, variant: string): Promise<number> {
  const command =
    variant === "haproxy"
      ? "haproxy -db -p /tmp/bench/proxy.pid -f /tmp/bench/haproxy.cfg"
      : `nginx -p /tmp/bench/ -c /tmp/bench/${variant}.conf -g 'daemon off; user root;'`;
  await stage.spawn(
    `SWITCHBOARD_TTL=3600 exec taskset -c ${PROXY_CORE} ${command} >/tmp/bench/${variant}.log 2>&1`,
  );
  const agent = new Agent();
  await eventually(variant, async () => {
    await ask(stage, HOST, agent);
    return true;
  });
  const worker =
    variant === "haproxy"
      ? "pgrep -x haproxy | tail -n 1"
      : "pgrep -P $(cat /tmp/bench/proxy.pid) | head -n 1";
  return Number(await stage.exec(worker));
}

async function stopProxy(stage: Stage, variant: string): Promise<void> {
  await stage.exec(variant === "haproxy" ? "pkill -x haproxy" : "kill -TERM $(cat /tmp/bench/proxy.pid)");
  await eventually(`the end of ${variant}`, async () => {
    const count = await stage.exec("ss -Hltn 'sport = :8080' 2>/dev/null | wc -l || true");
    return count === "0";
  });
}

async function cpuTicks(stage: Stage, pid: number): Promise<number> {
  const fields = (await stage.exec(`cat /proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Connections and requests that the apps have seen. */
async function seenByApps(stage: Stage): Promise<{ accepts: number; requests: number }> {
  const page = await stage.exec("curl -s http://127.0.0.1:9001/status");
  const [, accepts, , requests] = /(\d+) (\d+) (\d+)/.exec(page)!;
  return { accepts: Number(accepts), requests: Number(requests) };
}

async function load(stage: Stage, hosts: number, seconds: number): Promise<number[]> {
  const output = await stage.exec(
    `HOSTS=${hosts} taskset -c ${OTHER_CORE} wrk -t1 -c${CONNECTIONS} -d${seconds}s -s /tmp/bench/load.lua http://127.0.0.1:8080/`,
  );
  return /RESULT (.*)/.exec(output)![1]!.split(" ").map(Number);
}

/** A machine that was busy with something else for a moment gets another chance; a wrong answer none. */
class Starved extends Error {}
const MOST_CHANCES = 8;

async function measureInPeace(stage: Stage, variant: string, hosts: number): Promise<Sample> {
  for (let chance = 1; ; chance += 1) {
    try {
      return await measure(stage, variant, hosts);
    } catch (failure) {
      if (!(failure instanceof Starved) || chance === MOST_CHANCES) {
        throw failure;
      }
      console.log(`${failure.message}: measured again (${chance}/${MOST_CHANCES - 1})`);
    }
  }
}

/** One measurement; throws where its figures would mean nothing. */
async function measure(stage: Stage, variant: string, hosts: number): Promise<Sample> {
  const pid = await startProxy(stage, variant);
  try {
    await load(stage, hosts, 1);
    const [ticks, apps] = [await cpuTicks(stage, pid), await seenByApps(stage)];
    const [requests, duration, badStatus, errors, p99] = (await load(stage, hosts, DURATION)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const cpu = (await cpuTicks(stage, pid)) - ticks;
    const now = await seenByApps(stage);
    const reused = 1 - (now.accepts - apps.accepts) / (now.requests - apps.requests);
    const busy = cpu / TICKS / (duration / 1e6);
    const doubts = [
      badStatus > 0 ? `${badStatus} answers were not 2xx` : "",
      errors > 0 ? `${errors} socket errors` : "",
      reused < 0.95
        ? `only ${(reused * 100).toFixed(1)} % of the requests found a kept connection to an app`
        : "",
    ].filter((doubt) => doubt !== "");
    if (doubts.length > 0) {
      throw new Error(`${variant}, ${hosts} hosts: ${doubts.join("; ")}`);
    }
    if (busy < 0.5) {
      throw new Starved(
        `${variant}, ${hosts} hosts: the proxy had its core for ${(busy * 100).toFixed(0)} % of the time: the machine is starved`,
      );
    }
    return { rps: requests / (duration / 1e6), cpu: (cpu * 1e6) / TICKS / requests, p99 };
  } finally {
    await stopProxy(stage, variant);
  }
}

async function writeHaproxyBackends(stage: Stage): Promise<void> {
  await stage.exec(`for i in $(seq 0 ${MANY - 1}); do
    echo "app-$i.bench.example b$i" >>/tmp/bench/hosts.map
    printf 'backend b%s\\n  server a 127.0.0.1:9001\\n  server b 127.0.0.1:9002\\n  server c 127.0.0.1:9003\\n' $i >>/tmp/bench/haproxy.cfg
  done`);
}

async function main(): Promise<void> {
  const stage = await openStage();
  try {
    await stage.exec("cp /switchboard/bench/conf/haproxy.cfg /switchboard/bench/conf/load.lua /tmp/bench/");
    await stage.exec(
      `taskset -acp ${OTHER_CORE} $(cat /tmp/bench/backend.pid); for p in $(pgrep -P $(cat /tmp/bench/backend.pid)) $(pgrep redis-server); do taskset -acp ${OTHER_CORE} $p; done`,
    );
    await register(stage, MANY);
    await writeHaproxyBackends(stage);
    const samples = new Map<string, Sample[]>();
    for (let round = 1; round <= ROUNDS; round++) {
      for (const hosts of [1, MANY]) {
        for (const variant of VARIANTS) {
          const sample = await measureInPeace(stage, variant, hosts);
          const key = `${variant} ${hosts}`;
          samples.set(key, [...(samples.get(key) ?? []), sample]);
          console.log(
            `round ${round}/${ROUNDS}  ${variant.padEnd(8)} ${String(hosts).padStart(5)} hosts  ${sample.rps.toFixed(0).padStart(6)} requests/s  ${sample.cpu.toFixed(1).padStart(6)} us CPU`,
          );
        }
      }
    }
    console.log("counting instructions");
    const instructions: Record<string, number> = {};
    for (const name of ["naked", "bare", "empty", "router", "unobserved", "two_lines"]) {
      instructions[name] = await medianInstructionsOf(stage, name);
    }
    await registerSpecial(stage);
    for (const [name, target] of Object.entries(SPECIAL)) {
      instructions[name] = await medianInstructionsOf(stage, "router", target);
    }
    report(stage.image, samples, instructions);
  } finally {
    await stage.close();
  }
}

/** What is counted beside the plain host: the same request by other kinds of routes. */
const SPECIAL = {
  plain_path: PLAIN_PATH,
  path_of_a_thousand: PATH,
  options: OPTIONS,
  options_and_path: OPTIONS_PATH,
};

function report(image: string, samples: Map<string, Sample[]>, instructions: Record<string, number>): void {
  const of = (variant: string, hosts: number, what: keyof Sample): Figure =>
    figure(samples.get(`${variant} ${hosts}`)!.map((sample) => sample[what]));
  /** Ratios pair by pair: what slows the machine for a while slows both. */
  const ratio = (a: string, b: string, hosts: number, what: keyof Sample): Figure | undefined => {
    const [as, bs] = [samples.get(`${a} ${hosts}`), samples.get(`${b} ${hosts}`)];
    return as === undefined || bs === undefined
      ? undefined
      : figure(as.map((sample, i) => sample[what] / bs[i]![what]));
  };
  console.log(`\n${"".padEnd(9)}hosts  requests/s              us CPU a request        p99 us`);
  const show = (f: Figure, digits: number): string =>
    `${f.median.toFixed(digits)} (${f.min.toFixed(digits)}-${f.max.toFixed(digits)})`.padEnd(24);
  for (const hosts of [1, MANY]) {
    for (const variant of VARIANTS) {
      console.log(
        `${variant.padEnd(9)}${String(hosts).padEnd(7)}${show(of(variant, hosts, "rps"), 0)}${show(of(variant, hosts, "cpu"), 1)}${show(of(variant, hosts, "p99"), 0)}`,
      );
    }
  }
  const results = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]!.model}, ${cpus().length} cores, Linux ${release()}, ${arch()}`,
    image,
    rounds: ROUNDS,
    seconds: DURATION,
    rps_ratio: ratio("router", "bare", MANY, "rps")?.median,
    cpu_ratio: ratio("router", "bare", MANY, "cpu")?.median,
    cpu_ratio_spread: ratio("router", "bare", MANY, "cpu"),
    cpu_ratio_one_host: ratio("router", "bare", 1, "cpu"),
    cpu_ratio_empty: ratio("empty", "bare", MANY, "cpu")?.median,
    cpu_ratio_naive: ratio("router", "naive", MANY, "cpu")?.median,
    cpu_ratio_haproxy: ratio("router", "haproxy", MANY, "cpu")?.median,
    instructions,
    instructions_over_bare: instructions.router! - instructions.bare!,
    instructions_observed: instructions.router! - instructions.unobserved!,
    instructions_path_over_plain: instructions.path_of_a_thousand! - instructions.plain_path!,
    instructions_options_over_plain: instructions.options! - instructions.plain_path!,
    instructions_options_and_path_over_plain: instructions.options_and_path! - instructions.plain_path!,
    instructions_over_bare_two_lines: instructions.two_lines! - instructions.bare!,
    variants: Object.fromEntries(
      [...samples.entries()].map(([key, list]) => [
        key,
        {
          rps: figure(list.map((s) => s.rps)),
          cpu_us: figure(list.map((s) => s.cpu)),
          p99_us: figure(list.map((s) => s.p99)),
        },
      ]),
    ),
  };
  writeFileSync(new URL("results.json", import.meta.url), `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(
    `\ninstructions per request: ${JSON.stringify(instructions)}, router over bare ${results.instructions_over_bare}`,
  );
  console.log("written to bench/results.json");
}

try {
  await main();
} catch (failure) {
  console.error(`make bench: no figures: ${(failure as Error).message}`);
  process.exitCode = 1;
}
