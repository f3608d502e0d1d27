/**
 * `make bench`: all parts, one after the other, each in a process of its own so that none spoils another; then tables and
 * plots of what results.json has then.
 *
 * Environment: QUICK=1 for a look of under three minutes, which writes results.quick.json instead. PARTS (all) names some.
 * ROUNDS and SECONDS change a part's rounds and the length of a measurement.
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { QUICK } from "./results.ts";

interface Part {
  /** A file of this folder. */
  name: string;
  says: string;
  /** It knows what to do with QUICK=1. */
  quick: boolean;
}

const PARTS: Part[] = [
  { name: "counts", says: "instructions and cache misses of a request", quick: true },
  { name: "costs", says: "CPU of a request, proxy by proxy and load by load", quick: true },
  { name: "latency", says: "how long requests take at the same load", quick: true },
  { name: "websockets", says: "held WebSockets", quick: true },
  { name: "watch", says: "how soon a change is served", quick: false },
  { name: "churn", says: "what changes do to requests", quick: false },
  { name: "scrape", says: "what scrapes do to requests, and what made-up hosts leave", quick: false },
  { name: "balance", says: "picks, and how evenly they spread", quick: false },
  { name: "workers", says: "what many workers cost each other", quick: false },
  { name: "fanout", says: "what nodes cost Redis", quick: false },
  { name: "scale", says: "a million names: loading, memory, snapshot", quick: false },
];
/** Milliseconds after which a part is given up. */
const PATIENCE = 25 * 60_000;
/** They draw and write what the parts have found. */
const AFTERWARDS = ["plots", "tables"];

function clock(since: number): string {
  const seconds = Math.round((Date.now() - since) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function play(name: string): boolean {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, [...process.execArgv, file], {
    stdio: "inherit",
    timeout: PATIENCE,
  });
  return status === 0;
}

const wanted = process.env.PARTS?.split(",");
const parts = PARTS.filter(({ name, quick }) => wanted?.includes(name) ?? (!QUICK || quick));
const began = Date.now();
const failed: string[] = [];
for (const [i, { name, says }] of parts.entries()) {
  console.log(`\n-- ${i + 1}/${parts.length} ${name}: ${says} (${clock(began)})`);
  if (!play(name)) {
    failed.push(name);
  }
}
if (!QUICK) {
  failed.push(...AFTERWARDS.filter((name) => !play(name)));
}
console.log(
  `\n${clock(began)} minutes; figures are in bench/${QUICK ? "results.quick.json" : "results.json"}`,
);
if (failed.length > 0) {
  console.error(`make bench: not all figures could be had, see above: ${failed.join(", ")}`);
  process.exitCode = 1;
}
