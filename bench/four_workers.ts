/** Four workers that watch a Redis: what the parts do alike that measure what changes cost. */

import type { Figures } from "./results.ts";
import { eventually, metricOf, type Stage } from "./stage.ts";

export const WORKERS = 4;
export const INSTANCES = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"];

export async function metric(stage: Stage, series: string): Promise<number> {
  return metricOf(stage, 8082, series);
}

export async function startRouter(stage: Stage, preload: boolean): Promise<void> {
  await stage.spawn(
    `SWITCHBOARD_PRELOAD=${preload ? "on" : "off"} exec nginx -p /tmp/bench/ -c /tmp/bench/watch.conf -g 'daemon off; user root;' >/tmp/bench/watch.log 2>&1`,
  );
  await eventually(
    "the watch",
    async () => (await metric(stage, 'switchboard_watch{mode="tracking"}')) === 1,
  );
}

export async function stopRouter(stage: Stage): Promise<void> {
  await stage.exec("kill -TERM $(cat /tmp/bench/proxy.pid)");
  await eventually("its end", async () => !(await stage.exec("ls /tmp/bench")).includes("proxy.pid"));
}

/** Nanoseconds of CPU of each worker so far. */
export async function cpu(stage: Stage): Promise<number[]> {
  const text = await stage.exec(
    "for p in $(pgrep -P $(cat /tmp/bench/proxy.pid)); do cat /proc/$p/schedstat; done",
  );
  return text.split("\n").map((line) => Number(line.split(" ")[0]));
}

/** Percent of a core that all workers together take while something goes on. */
export async function cost(stage: Stage, during: () => Promise<void>): Promise<number> {
  const [before, began] = [await cpu(stage), performance.now()];
  await during();
  const [after, ended] = [await cpu(stage), performance.now()];
  return (after.reduce((sum, ns, i) => sum + ns - before[i]!, 0) / ((ended - began) * 1e6)) * 100;
}

/** Calls so many times a second, in steps of a millisecond, until stopped: platforms write one thing after another. */
export function steadily(perSecond: number, write: (i: number) => void): () => void {
  let count = 0;
  const began = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * perSecond;
    while (count < due) {
      write(count);
      count += 1;
    }
  }, 1);
  return () => clearInterval(timer);
}

/** Shows a figure and keeps it. */
export function noteIn(results: Figures): (name: string, value: number, digits: number) => void {
  return (name, value, digits) => {
    results[name] = Number(value.toFixed(digits));
    console.log(`${name.padEnd(36)} ${value.toFixed(digits)}`);
  };
}
