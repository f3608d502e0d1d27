/**
 * Part of `make bench`: what held WebSockets cost a proxy. 5,000 are opened through each in turn; they are idle for a while,
 * then messages go back and forth on all of them. A message is one that goes and its echo.
 *
 * Environment: ROUNDS (3), SECONDS of messages (2), SOCKETS (5000).
 */

import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { WebSocket } from "ws";
import { ratioOf, show } from "./figure.ts";
import { keepCoreFree, onMeasuredCore, Starved, waitedTooLong } from "./load.ts";
import { play } from "./part.ts";
import { type Proxy, proxy, startProxies, stopProxies, workerOf } from "./proxies.ts";
import { QUICK, record } from "./results.ts";
import { Series } from "./series.ts";
import { prepareHaproxy, type Stage } from "./stage.ts";
import { HOST, register } from "./targets.ts";

const ROUNDS = Number(process.env.ROUNDS ?? (QUICK ? 1 : 3));
const SECONDS = Number(process.env.SECONDS ?? (QUICK ? 1 : 2));
const SOCKETS = Number(process.env.SOCKETS ?? (QUICK ? 1000 : 5000));
const PROXIES = ["bare", "router", "haproxy"];
/** Handshakes at a time. */
const AT_A_TIME = 100;
/** Messages at a time. */
const IN_FLIGHT = 64;
const TEXT = "thirty-two bytes of some message";

interface Sample {
  /** Bytes of memory per socket. */
  memory: number;
  /** Microseconds of CPU per socket opened, and per message. */
  opening: number;
  message: number;
  p99: number;
  /** Of a core, while all are idle. */
  idle: number;
}

interface Spent {
  ran: number;
  waited: number;
  turns: number;
  /** kB. */
  resident: number;
}

async function spentBy(stage: Stage, pid: number): Promise<Spent> {
  const text = await stage.exec(`cat /proc/${pid}/schedstat; grep VmRSS /proc/${pid}/status`);
  const [ran, waited, turns, resident] = text.match(/\d+/g)!.map(Number);
  return { ran: ran!, waited: waited!, turns: turns!, resident: resident! };
}

async function open(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: { Host: HOST }, perMessageDeflate: false });
    socket.once("open", () => resolve(socket));
    socket.once("error", (failure) => reject(new Error(`a handshake failed: ${failure.message}`)));
  });
}

async function openAll(url: string): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  while (sockets.length < SOCKETS) {
    const count = Math.min(AT_A_TIME, SOCKETS - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: count }, async () => open(url)))));
  }
  return sockets;
}

/** Milliseconds that each message took. Each socket has one in its turn. */
async function talk(sockets: WebSocket[]): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const end = performance.now() + SECONDS * 1000;
  const converse = async (): Promise<void> => {
    while (performance.now() < end) {
      const socket = sockets[next++ % sockets.length]!;
      const began = performance.now();
      await new Promise<void>((resolve, reject) => {
        socket.once("message", (data: Buffer) =>
          data.toString() === TEXT ? resolve() : reject(new Error("an echo was another text")),
        );
        socket.send(TEXT);
      });
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, sockets.length) }, converse));
  return times;
}

async function measure(stage: Stage, which: Proxy): Promise<Sample> {
  const pid = await workerOf(stage, which);
  const before = await spentBy(stage, pid);
  const sockets = await openAll(`ws://${stage.address}:${which.port}/echo`);
  const broken = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new Error("a held socket was closed"));
    sockets.forEach((socket) => socket.on("close", fail).on("error", fail));
  });
  broken.catch(() => undefined);
  try {
    const opened = await spentBy(stage, pid);
    const rests = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const rested = await spentBy(stage, pid);
    const resting = performance.now() - rests;
    const times = (await Promise.race([talk(sockets), broken])).sort((a, b) => a - b);
    const talked = await spentBy(stage, pid);
    const starved = waitedTooLong(
      talked.ran - before.ran,
      talked.waited - before.waited,
      talked.turns - before.turns,
    );
    if (starved !== "") {
      throw new Starved(`the machine is starved: ${starved}`);
    }
    return {
      memory: ((opened.resident - before.resident) * 1024) / SOCKETS,
      opening: (opened.ran - before.ran) / 1000 / SOCKETS,
      idle: (rested.ran - opened.ran) / 1e6 / resting,
      message: (talked.ran - rested.ran) / 1000 / times.length,
      p99: times[Math.floor(times.length * 0.99)]!,
    };
  } finally {
    sockets.forEach((socket) => socket.terminate());
  }
}

/** The client takes what time it needs on the cores that the proxy has not. */
function keepOffTheCore(): void {
  try {
    execFileSync("taskset", ["-acp", `1-${availableParallelism() - 1}`, String(process.pid)], {
      stdio: "ignore",
    });
  } catch {
    // Where containers run in a machine of their own this process has no core of it.
  }
}

await play("held WebSockets", async (stage) => {
  keepOffTheCore();
  await keepCoreFree(stage);
  await register(stage, 1);
  await prepareHaproxy(stage, 1);
  const series = new Series<Sample>();
  const proxies = PROXIES.map((name, place) => proxy(name, name, place));
  for (let round = 1; round <= ROUNDS; round += 1) {
    await startProxies(stage, proxies, HOST);
    for (const which of proxies) {
      const sample = await series.add(which.id, async () =>
        onMeasuredCore(stage, await workerOf(stage, which), async () => measure(stage, which)),
      );
      if (sample !== undefined) {
        console.log(
          `round ${round}/${ROUNDS}  ${which.id.padEnd(9)}${(sample.memory / 1024).toFixed(1)} kB a socket, us CPU: ${sample.opening.toFixed(1)} to open one, ${sample.message.toFixed(1)} a message; idle ${(sample.idle * 100).toFixed(2)} % of a core`,
        );
      }
    }
    await stopProxies(stage, proxies);
  }
  const figures = PROXIES.map((name): [string, unknown] => {
    if (series.refusal(name) !== undefined) {
      process.exitCode = 1;
      return [name, { refused: series.refusal(name) }];
    }
    return [
      name,
      {
        bytes: series.figure(name, ({ memory }) => memory),
        opening_us: series.figure(name, ({ opening }) => opening),
        message_us: series.figure(name, ({ message }) => message),
        p99_ms: series.figure(name, ({ p99 }) => p99),
        idle_percent_of_core: series.figure(name, ({ idle }) => idle * 100),
      },
    ];
  });
  const [ones, others] = ["router", "bare"].map((name) => series.of(name, ({ message }) => message));
  const ratio = ones !== undefined && others !== undefined ? ratioOf(ones, others) : undefined;
  if (ratio !== undefined) {
    console.log(`a message by the router over one by bare nginx: ${show(ratio, 2)}`);
  }
  record("websockets", stage.image, {
    websockets: { held: SOCKETS, proxies: Object.fromEntries(figures), message_ratio: ratio },
  });
});
