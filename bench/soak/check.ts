/** What must be so once it is quiet: every worker serves what stands in Redis, and nothing runs any more. */

import { strict as assert } from "node:assert";
import type { Agent } from "node:http";
import { eventually } from "../../integration/support/eventually.ts";
import { ask } from "../../integration/support/http-client.ts";
import { look } from "./memory.ts";
import { whom, type Name } from "./names.ts";
import { eachWorker, type Tried, type World } from "./world.ts";

/** Seconds in which requests, and workers of before a reload, must have ended. */
const ENDS_WITHIN = 30;

/** What Redis itself says. */
async function truth(world: World, name: Name): Promise<string | undefined> {
  const key = `backends:${name.host}`;
  const { client } = world.redis;
  const [member] =
    (await client.type(key)) === "zset" ? await client.zrange(key, "0", "-1") : await client.smembers(key);
  return member;
}

/** Asks one worker for all names; what is not right at once must soon be. */
async function checkWorker(
  world: World,
  tried: Tried,
  worker: string,
  agent: Agent,
  names: Name[],
): Promise<void> {
  for (const name of names) {
    await eventually(
      `worker ${worker} of ${tried.name} says of ${name.host} what Redis does: ${name.at ?? "nobody"}`,
      async () => {
        const answer = await ask(tried.port, { host: name.host, agent });
        assert.equal(answer.headers["x-worker"], worker, "the connection is kept");
        assert.equal(whom(answer), name.at);
      },
    ).catch((failure: Error) => {
      world.journal.fail(`an update was lost: ${failure.message}: ${String(failure.cause)}`);
    });
    if (world.journal.failures.length > 0) {
      return;
    }
  }
}

/**
 * Every worker serves what stands in Redis, name by name.
 *
 * @returns how many answers were compared
 */
export async function checkNames(world: World): Promise<number> {
  const names = [...world.names, ...world.passing];
  await Promise.all(
    names.map(async (name) => {
      const said = await truth(world, name);
      if (said !== name.at) {
        world.journal.fail(`the soak itself: Redis says ${said} for ${name.host}, not ${name.at}`);
      }
    }),
  );
  const checks: Promise<void>[] = [];
  for (const tried of world.tried) {
    for (const [worker, agent] of await eachWorker(tried)) {
      checks.push(checkWorker(world, tried, worker, agent, names).finally(() => agent.destroy()));
    }
  }
  await Promise.all(checks);
  return checks.length * names.length;
}

/** Nothing runs any more, and every page says that all is well. */
export async function checkQuiet(world: World): Promise<void> {
  for (const tried of world.tried) {
    await eventually(
      `${tried.name} has no request and no old worker left, and is ready`,
      async () => {
        const sample = await look(world, tried);
        assert.equal(sample.in_flight, 0, "requests in flight");
        assert.equal(sample.processes.filter(({ role }) => role === "ending").length, 0, "old workers");
        assert.equal(sample.processes.filter(({ role }) => role === "worker").length, tried.workers);
        const { status, body } = await tried.router.health("/readyz");
        assert.deepEqual([status, body], [200, "ready\n"]);
      },
      ENDS_WITHIN,
    ).catch((failure: Error) => {
      world.journal.fail(`${failure.message}: ${String(failure.cause)}`);
    });
  }
}

/** What lives in a worker's Lua: kilobytes, and how many traces. */
export interface Heap {
  kilobytes: number;
  traces: number;
}

/** What lives in each worker's Lua. */
export async function heaps(tried: Tried): Promise<Map<string, Heap>> {
  const found = new Map<string, Heap>();
  for (const [worker, agent] of await eachWorker(tried)) {
    const { body } = await ask(tried.port, { host: "who.soak.test", path: "/soak-heap", agent });
    const [, kilobytes, traces] = body.split(" ").map(Number);
    found.set(worker, { kilobytes: kilobytes!, traces: traces! });
    agent.destroy();
  }
  return found;
}
