/** The clients: so many requests a second, each answer held against what it must be. */

import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { Answer, Question } from "../../integration/support/http-client.ts";
import { askOnce } from "../../integration/support/load.ts";
import { before, outdated, wrongAnyway, type Name } from "./names.ts";
import type { Tried, World } from "./world.ts";

/** What clients have seen. */
export interface Load {
  requests: number;
  /** Answers of an earlier write than the last that were right when asked again a moment later. */
  late: number;
  /** Milliseconds until an answer was there, by whole ones; the last has all that took longer. */
  times: Uint32Array;
}

/** Requests on one connection: so all workers get their share, though connections are handed out by chance. */
const PER_CONNECTION = 50;
/** Seconds in which an answer that was late must have become right. */
const LOST_AFTER = 30;
const LONGEST = 10_000;

export function newLoad(): Load {
  return { requests: 0, late: 0, times: new Uint32Array(LONGEST + 1) };
}

/** Milliseconds within which a share of the answers was there. */
export function quantile(load: Load, share: number): number {
  let left = load.times.reduce((sum, count) => sum + count, 0) * share;
  return load.times.findIndex((count) => (left -= count) <= 0);
}

/** A client that asks one thing after the other, on a connection that it changes now and then. */
export interface Client {
  ask(question: Question): Promise<Answer>;
  close(): void;
}

function newClient(tried: Tried, load: Load): Client {
  let agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let asked = 0;
  return {
    ask: async (question) => {
      asked += 1;
      if (asked % PER_CONNECTION === 0) {
        agent.destroy();
        agent = new Agent({ keepAlive: true, maxSockets: 1 });
      }
      const began = performance.now();
      const answer = await askOnce(tried.port, { ...question, agent });
      load.requests += 1;
      const took = Math.min(LONGEST, Math.round(performance.now() - began));
      load.times[took] = load.times[took]! + 1;
      return answer;
    },
    close: () => agent.destroy(),
  };
}

/**
 * Runs clients until the soak is over. What they throw is a failure of the router.
 *
 * @param perSecond of all of them together
 * @param once asks once
 */
export function runClients(
  world: World,
  tried: Tried,
  load: Load,
  clients: number,
  perSecond: number,
  once: (client: Client) => Promise<void>,
): Promise<unknown> {
  const apart = (clients * 1000) / perSecond;
  const run = async (_: unknown, i: number): Promise<void> => {
    const client = newClient(tried, load);
    let due = performance.now() + (apart * i) / clients;
    while (world.running) {
      const wait = due - performance.now();
      if (wait > 0) {
        await pause(wait);
      }
      // A client that was held up does not make up for it: that would be another load.
      due = Math.max(due + apart, performance.now() - apart);
      await once(client).catch((failure: unknown) => {
        world.journal.fail(`${tried.name}: ${String(failure)}`);
      });
    }
    client.close();
  };
  return Promise.all(Array.from({ length: clients }, run));
}

/** Asks again until the answer is the last write's, or somebody writes again; or finds that it was lost. */
async function askAgain(world: World, client: Client, name: Name, first: string): Promise<void> {
  const until = performance.now() + LOST_AFTER * 1000;
  while (performance.now() < until) {
    await pause(100);
    const asked = before(name, world.trusted);
    if (!asked.settled || outdated(name, asked, await client.ask({ host: name.host })) === undefined) {
      return;
    }
  }
  throw new Error(`an update was lost: ${first}`);
}

/** Asks for a name that changes. */
export async function askName(world: World, client: Client, load: Load, name: Name): Promise<void> {
  const asked = before(name, world.trusted);
  const wasWell = world.storeIsWell;
  const answer = await client.ask({ host: name.host });
  const wrong = wrongAnyway(name, answer);
  if (wrong !== undefined) {
    // Nobody knows a name that was never read, while there is nobody to ask.
    const unread = answer.headers["x-switchboard-error"] === "store_unreachable" && !name.stays;
    if (!unread || (wasWell && world.storeIsWell)) {
      throw new Error(wrong);
    }
    return;
  }
  const old = outdated(name, asked, answer);
  if (old !== undefined) {
    load.late += 1;
    world.journal.note(`late: ${old}`);
    await askAgain(world, client, name, old);
  }
}
