/**
 * The regression guard: counts, not times, against committed bounds.
 *
 *   tsx bench/guard.ts             fails when a count is above its bound
 *   UPDATE=1 tsx bench/guard.ts    writes the counts as the new bounds
 */

import { readFileSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { instructionsOf } from "./instructions.ts";
import { eventually, openStage, send, type Stage } from "./stage.ts";
import { register } from "./targets.ts";

const BOUNDS = new URL("bounds.json", import.meta.url);
/** What a count may be above its bound. */
const SLACK = 1.02;
/** Enough that the dict's pages of 4 kB do not matter. */
const HOSTS = 2000;
/** The contract of the shared dicts: routes and their names. */
const MOST_BYTES = 260;
/** The contract of metrics. */
const MOST_OBSERVED = 2000;

interface Bounds {
  image: string;
  architecture: string;
  instructions: number;
  instructions_over_bare: number;
  /** What counting a request costs: over the same router with observe=off. */
  instructions_observed: number;
  dict_bytes_per_host: number;
}

/** What a host with three instances takes in the shared dicts, through real requests. */
async function dictBytesPerHost(stage: Stage): Promise<number> {
  const free = async (): Promise<number> => {
    const page = await stage.exec("curl -s http://127.0.0.1:8082/metrics");
    const of = (dict: string): number =>
      Number(new RegExp(`dict_free_bytes\\{dict="${dict}"\\} (\\d+)`).exec(page)?.[1]);
    return of("switchboard_routes") + of("switchboard_names");
  };
  await stage.exec("SWITCHBOARD_TTL=3600 nginx -p /tmp/bench/ -c /tmp/bench/router.conf -g 'user root;'");
  await eventually("the router", async () => Number.isFinite(await free()));
  const before = await free();
  await send(stage, HOSTS, (i) => `app-${i}.bench.example`);
  const after = await free();
  await stage.exec("kill -QUIT $(cat /tmp/bench/proxy.pid)");
  await eventually(
    "the router's end",
    async () => (await stage.exec("ls /tmp/bench")).includes("proxy.pid") === false,
  );
  return Math.round((before - after) / HOSTS);
}

async function measure(mostInstructions: number): Promise<Bounds> {
  const stage = await openStage();
  try {
    await register(stage, HOSTS);
    const dict_bytes_per_host = await dictBytesPerHost(stage);
    const bare = await instructionsOf(stage, "bare");
    let instructions = await instructionsOf(stage, "router");
    for (let again = 0; again < 2 && instructions > mostInstructions; again += 1) {
      // LuaJIT begins its traces elsewhere in each run, and now and then in a worse place; a regression is there each time.
      instructions = Math.min(instructions, await instructionsOf(stage, "router"));
    }
    const unobserved = await instructionsOf(stage, "unobserved");
    return {
      image: stage.image,
      architecture: arch(),
      instructions,
      instructions_over_bare: instructions - bare,
      instructions_observed: instructions - unobserved,
      dict_bytes_per_host,
    };
  } finally {
    await stage.close();
  }
}

const bounds = JSON.parse(readFileSync(BOUNDS, "utf8")) as Bounds;
const found = await measure(bounds.instructions * SLACK);
console.log(
  `instructions per request: ${found.instructions}, ${found.instructions_over_bare} over bare nginx, ${found.instructions_observed} over observe=off; shared dicts: ${found.dict_bytes_per_host} bytes a host`,
);
if (process.env.UPDATE === "1") {
  writeFileSync(BOUNDS, `${JSON.stringify(found, undefined, 2)}\n`);
  console.log("bench/bounds.json holds these from now on");
  process.exit();
}
const complaints: string[] = [];
if (found.dict_bytes_per_host > MOST_BYTES) {
  complaints.push(
    `a host takes ${found.dict_bytes_per_host} bytes of the shared dicts; ${MOST_BYTES} are allowed`,
  );
}
if (found.instructions_observed > MOST_OBSERVED) {
  complaints.push(
    `counting a request costs ${found.instructions_observed} instructions; ${MOST_OBSERVED} are allowed`,
  );
}
if (found.image !== bounds.image || found.architecture !== bounds.architecture) {
  console.log(
    `the bounds are of ${bounds.image} on ${bounds.architecture}, this is ${found.image} on ${found.architecture}: instructions are not compared (make guard UPDATE=1 takes these)`,
  );
} else {
  if (found.instructions > bounds.instructions * SLACK) {
    complaints.push(
      `a request costs ${found.instructions} instructions; the bound is ${bounds.instructions} and 2 % (if it is worth it: make guard UPDATE=1)`,
    );
  }
  if (found.dict_bytes_per_host > bounds.dict_bytes_per_host * SLACK) {
    complaints.push(
      `a host takes ${found.dict_bytes_per_host} bytes of the shared dicts; it took ${bounds.dict_bytes_per_host}`,
    );
  }
}
for (const complaint of complaints) {
  console.error(complaint);
}
process.exit(complaints.length === 0 ? 0 : 1);
