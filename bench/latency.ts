/**
 * Part of `make bench`: how long requests take while a proxy has the same, moderate load as the others: 64 clients that wait
 * some milliseconds between two requests, 1,000 hosts. At full load latency says only how many requests queue.
 *
 * Environment: ROUNDS (5), SECONDS of a measurement (3).
 */

import { figureOf } from "./figure.ts";
import { keepCoreFree, type Load, measure, type Sample } from "./load.ts";
import { play } from "./part.ts";
import { proxy, startProxies, stopProxies } from "./proxies.ts";
import { QUICK, record } from "./results.ts";
import { Series } from "./series.ts";
import { prepareHaproxy, type Stage } from "./stage.ts";
import { HOST, register } from "./targets.ts";

const ROUNDS = Number(process.env.ROUNDS ?? (QUICK ? 1 : 5));
const SECONDS = Number(process.env.SECONDS ?? (QUICK ? 1 : 3));
const WARM = 1;
const HOSTS = 1000;
const PROXIES = ["bare", "empty", "router", "haproxy", "naive"];
/** Milliseconds between two requests of a client: 64 of them ask 16,000 times a second. */
const LOAD: Load = { HOSTS: String(HOSTS), THINK: "4" };
/** Rates may differ by so much: a proxy that cannot keep pace has another load. */
const EVEN = 0.1;

async function playAll(stage: Stage, series: Series<Sample>): Promise<void> {
  const proxies = PROXIES.map((name, place) => proxy(name, name, place));
  for (let round = 1; round <= ROUNDS; round += 1) {
    await startProxies(stage, proxies, HOST);
    for (const which of proxies) {
      const sample = await series.add(which.id, async () =>
        measure(stage, which, LOAD, { paced: true }, WARM, SECONDS),
      );
      if (sample !== undefined) {
        const { percentiles, rps } = sample;
        console.log(
          `round ${round}/${ROUNDS}  ${which.id.padEnd(9)}${rps.toFixed(0).padStart(7)} requests/s, us: median ${percentiles[50]}, 99 % ${percentiles[99]}, 99.9 % ${percentiles[99.9]}`,
        );
      }
    }
    await stopProxies(stage, proxies);
  }
}

await play("latency", async (stage) => {
  await keepCoreFree(stage);
  await register(stage, HOSTS);
  await prepareHaproxy(stage, HOSTS);
  const series = new Series<Sample>();
  await playAll(stage, series);
  const rateOf = (name: string): number | undefined => series.figure(name, ({ rps }) => rps)?.median;
  const rate = rateOf("bare") ?? 0;
  const latency = PROXIES.map((name): [string, unknown] => {
    const own = rateOf(name);
    const refused =
      series.refusal(name) ??
      (Math.abs(own! / rate - 1) < EVEN
        ? undefined
        : `it had ${own!.toFixed(0)} requests/s, bare nginx ${rate.toFixed(0)}`);
    if (refused !== undefined) {
      console.error(`no latency of ${name}: ${refused}`);
      process.exitCode = 1;
      return [name, { refused }];
    }
    const percentiles = series.of(name, (sample) => sample.percentiles)!;
    const figures = Object.fromEntries(
      Object.keys(percentiles[0]!).map((each) => [each, figureOf(percentiles.map((us) => us[each]!))]),
    );
    return [name, { us: figures, cpu_us: series.figure(name, ({ cpu }) => cpu) }];
  });
  record("latency", stage.image, {
    latency: { rps: Math.round(rate), hosts: HOSTS, proxies: Object.fromEntries(latency) },
  });
});
