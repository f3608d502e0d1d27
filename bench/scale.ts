/**
 * `npx tsx bench/scale.ts`, part of `make bench`: a million names with three instances each, in a real Redis: how fast one
 * worker loads them, alone and beside requests, what they take, and how long it is held up. Its figures are put into
 * results.json beside the others.
 *
 * Environment: SCALE_NAMES (1000000), SECONDS of a measurement (3).
 */

import { play } from "./part.ts";
import { quantile } from "./figure.ts";
import { keepCoreFree, resultOf } from "./load.ts";
import { type Figures, record } from "./results.ts";
import { eventually, type Stage } from "./stage.ts";
import { register } from "./targets.ts";

const NAMES = Number(process.env.SCALE_NAMES ?? 1_000_000);
const SECONDS = Number(process.env.SECONDS ?? 3);
/** Running traffic: so many clients, each of which waits so many milliseconds between two requests. */
const CLIENTS = 16;
const THINK = 8;
/** Hosts that it asks for. */
const HOSTS = 1000;
/** Hosts that are asked for to fill what the worker remembers, in two steps. */
const FEW_ROUTES = Math.min(20_000, NAMES);
const MANY_ROUTES = Math.min(100_000, NAMES);
const SNAPSHOT = "/tmp/bench/snapshot/routes";
/** Measurements without a preload, so many before it and so many after it: a machine is not always as fast. */
const ALONE = 8;
/** Seconds that loading may take. */
const PATIENCE = 300;

interface State {
  names: number;
  free_bytes: number;
  loaded_in?: number;
  init_seconds: number;
  wall_ms: number;
  cpu_ms: number;
  heap_kb: number;
  memory_kb: number;
  step_ms?: number;
}

/** From here: a process in the container for each look would take a core of its own. */
async function look(stage: Stage, query = ""): Promise<State> {
  const answer = await fetch(`http://${stage.address}:8082/scale?${query}`);
  return (await answer.json()) as State;
}

/** Starts the router; its worker has the measured core to itself. */
async function start(stage: Stage, environment: string): Promise<void> {
  await stage.spawn(
    `${environment} exec taskset -c 0 nginx -p /tmp/bench/ -c /tmp/bench/scale.conf -g 'daemon off; user root;' >/tmp/bench/scale.log 2>&1`,
  );
  await eventually("the router", async () => (await look(stage)).names >= 0);
}

async function stop(stage: Stage): Promise<void> {
  await stage.exec("kill -TERM $(cat /tmp/bench/scale.pid)");
  await eventually("its end", async () => !(await stage.exec("ls /tmp/bench")).includes("scale.pid"));
}

async function loaded(stage: Stage): Promise<State> {
  await eventually("all routes", async () => (await look(stage)).loaded_in !== undefined, PATIENCE);
  const state = await look(stage);
  if (state.names !== NAMES) {
    throw new Error(`${state.names} names were loaded instead of ${NAMES}`);
  }
  return state;
}

/** Microseconds of the 99th percentile. */
async function wrk(stage: Stage, environment: string, clients: number): Promise<number> {
  const output = await stage.exec(
    `${environment} taskset -c 1-$(($(nproc) - 1)) wrk -t1 -c${clients} -d${SECONDS}s -s /tmp/bench/load.lua http://127.0.0.1:8080/`,
  );
  const { requests, bad, errors, p99 } = resultOf(output);
  if (requests === 0 || bad > 0 || errors > 0) {
    throw new Error(`${bad} of ${requests} answers were not 2xx, ${errors} errors`);
  }
  return p99;
}

async function paced(stage: Stage): Promise<number> {
  return wrk(stage, `HOSTS=${HOSTS} THINK=${THINK}`, CLIENTS);
}

/** Figures, or why there are none. */
async function refusable(what: () => Promise<Figures>): Promise<Figures> {
  try {
    return await what();
  } catch (failure) {
    console.error(`refused: ${(failure as Error).message}`);
    process.exitCode = 1;
    return { refused: (failure as Error).message };
  }
}

/** One worker without a request; and what the routes take. */
async function idle(stage: Stage): Promise<Figures> {
  await start(stage, "SWITCHBOARD_PRELOAD=off");
  const empty = await look(stage);
  await stop(stage);
  await start(stage, "SWITCHBOARD_PRELOAD=on");
  const state = await loaded(stage);
  const figures: Figures = {
    preload_seconds: state.loaded_in!,
    names_per_second: NAMES / state.loaded_in!,
    longest_stall_ms: state.cpu_ms,
    longest_stall_on_the_clock_ms: state.wall_ms,
    shared_bytes_per_name: (empty.free_bytes - state.free_bytes) / NAMES,
    worker_mb_after: state.memory_kb / 1024,
  };
  await wrk(stage, `HOSTS=${FEW_ROUTES}`, CLIENTS);
  await look(stage, "steps=1");
  const few = await look(stage);
  for (let step = 0; step < 4; step += 1) {
    await wrk(stage, `HOSTS=${MANY_ROUTES} START=${(step * MANY_ROUTES) / 4}`, CLIENTS);
  }
  const { step_ms: step } = await look(stage, "steps=1");
  const many = await look(stage);
  await stop(stage);
  return {
    ...figures,
    worker_mb_20k_hosts: few.memory_kb / 1024,
    worker_mb_100k_hosts: many.memory_kb / 1024,
    heap_mb_20k_hosts: few.heap_kb / 1024,
    heap_mb_100k_hosts: many.heap_kb / 1024,
    longest_gc_step_ms: step!,
  };
}

/** Measures some times without a preload; the first time connections and caches are new. */
async function alone(stage: Stage): Promise<number[]> {
  await paced(stage);
  const found: number[] = [];
  while (found.length < ALONE) {
    found.push(await paced(stage));
  }
  return found;
}

/** The same worker serves requests meanwhile. */
async function underLoad(stage: Stage): Promise<Figures> {
  await start(stage, "SWITCHBOARD_PRELOAD=off");
  const before = await alone(stage);
  await stop(stage);
  await start(stage, "SWITCHBOARD_PRELOAD=on");
  const during: number[] = [];
  let state = await look(stage);
  while (state.loaded_in === undefined && during.length < PATIENCE / SECONDS) {
    const p99 = await paced(stage);
    state = await look(stage);
    // Of the last one a part may have been after the end, of the first one connections and caches were new.
    if (state.loaded_in === undefined || during.length === 0) {
      during.push(p99);
    }
  }
  const { loaded_in: seconds, cpu_ms: stall } = await loaded(stage);
  const after = await alone(stage);
  await stop(stage);
  const otherwise = quantile([...before, ...after], 0.5);
  return {
    names_per_second: NAMES / seconds!,
    requests_per_second: (CLIENTS * 1000) / THINK,
    p99_us_while_loading: quantile(during, 0.5),
    p99_us_else: otherwise,
    p99_us_before: quantile(before, 0.5),
    p99_us_after: quantile(after, 0.5),
    p99_ratio: quantile(during, 0.5) / otherwise,
    longest_stall_ms: stall,
  };
}

async function statOf(stage: Stage): Promise<{ bytes: number; seconds: number }> {
  const [bytes, born, written] = (await stage.exec(`stat -c '%s %.W %.Y' ${SNAPSHOT}`))
    .split(" ")
    .map(Number);
  return { bytes: bytes!, seconds: written! - born! };
}

async function snapshot(stage: Stage): Promise<Figures> {
  await stage.exec("mkdir -p /tmp/bench/snapshot");
  const environment = `SWITCHBOARD_PRELOAD=on SWITCHBOARD_SNAPSHOT=${SNAPSHOT}`;
  await start(stage, environment);
  await loaded(stage);
  const inode = async (): Promise<string> => stage.exec(`stat -c %i ${SNAPSHOT} 2>/dev/null || true`);
  const anotherFile = async (): Promise<void> => {
    const before = await inode();
    await eventually("a snapshot", async () => (await inode()) !== before, PATIENCE);
  };
  await eventually("the first snapshot", async () => (await inode()) !== "", PATIENCE);
  // The first one was begun while routes were loaded.
  await stage.exec("redis-cli srem backends:app-0.bench.example 127.0.0.1:9003");
  await anotherFile();
  // Traces of what requests run are made now.
  await paced(stage);
  await paced(stage);
  await look(stage, "reset=1");
  await stage.exec("redis-cli sadd backends:app-0.bench.example 127.0.0.1:9003");
  const times: number[] = [];
  let done = false;
  const written = anotherFile().then(() => (done = true));
  while (!done) {
    times.push(await paced(stage));
  }
  await written;
  const { cpu_ms: stall, wall_ms: stallOnTheClock } = await look(stage);
  const { bytes, seconds } = await statOf(stage);
  await stop(stage);
  await stage.exec("redis-cli shutdown nosave || true");
  await start(stage, environment);
  const back = await look(stage);
  await stop(stage);
  if (back.names !== NAMES) {
    throw new Error(`${back.names} names came back from the snapshot instead of ${NAMES}`);
  }
  return {
    bytes,
    written_in_seconds: seconds,
    longest_stall_ms: stall,
    longest_stall_on_the_clock_ms: stallOnTheClock,
    loaded_in_seconds: back.init_seconds,
  };
}

await play("many names", async (stage) => {
  await register(stage, NAMES);
  await keepCoreFree(stage);
  const scale: Figures = { names: NAMES };
  for (const [name, part] of Object.entries({ idle, under_load: underLoad, snapshot })) {
    scale[name] = await refusable(async () => part(stage));
    console.log(`${name}: ${JSON.stringify(scale[name], undefined, 2)}`);
    if ("refused" in (scale[name] as object)) {
      await stage.exec("kill -TERM $(cat /tmp/bench/scale.pid) 2>/dev/null || true; sleep 1");
    }
  }
  record("scale", stage.image, { scale });
});
