/** What goes wrong on purpose, beside the sites that fail: one thing after the other, until the soak is over. */

import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../../integration/support/eventually.ts";
import { flood } from "../../integration/support/flood.ts";
import { replaceOne, type Sites } from "./sites.ts";
import type { Tried, World } from "./world.ts";

/** What has happened how often. */
export interface Troubles {
  floods: number;
  made_up_hosts: number;
  reloads: number;
  store_restarts: number;
  store_freezes: number;
  deployments: number;
  deaths: number;
}

const FLOOD = 16_000;
const FLOODERS = 16;
/** Seconds that a flood may take. */
const FLOOD_PATIENCE = 120;
/** Seconds that Redis is away. */
const AWAY = 1.5;
/** Seconds that a write may take to be heard of on a machine that does all this at once. */
const HEARD = 1.5;
/** Seconds from its return until everything was read again and every router hears of every change. */
const READ_AGAIN = 15;
/** Seconds from its return until a router asks it again: it does not ask a server that is down all the time. */
const ASKED_AGAIN = 2;
/** Seconds from one trouble to the next. */
const CALM = 8;
const DEPLOY_EVERY = 0.5;
const DIES_ONE_OF = 4;

async function makeFlood(world: World, troubles: Troubles, tried: Tried): Promise<void> {
  const each = FLOOD / FLOODERS;
  troubles.floods += 1;
  const mark = `${tried.name}-${troubles.floods}`;
  const all = Promise.all(
    Array.from({ length: FLOODERS }, async (_, n) =>
      flood(tried.port, each, (i) => `m${n}-${i}.${mark}.test`),
    ),
  );
  const done = await Promise.race([all, pause(FLOOD_PATIENCE * 1000, undefined, { ref: false })]);
  if (done === undefined) {
    world.journal.fail(`${tried.name}: not all of ${FLOOD} made-up hosts were answered 404 unknown_route`);
  }
  troubles.made_up_hosts += FLOOD;
}

/** Something befalls Redis, from which it comes back. */
async function befall(
  world: World,
  sites: Sites,
  begin: () => Promise<void>,
  end: () => Promise<void>,
): Promise<void> {
  world.storeIsWell = false;
  // A platform that ends an instance which it could not take out of Redis before has taken it from everybody.
  await eventually("the deployments that have begun are over", () =>
    assert.ok(sites.fleet.every((fleet) => !fleet.busy)),
  );
  // Everybody has heard of the last writes.
  await pause(HEARD * 1000);
  await begin();
  await pause(AWAY * 1000);
  await end();
  world.trusted = performance.now() + READ_AGAIN * 1000;
  await pause(ASKED_AGAIN * 1000);
  world.storeIsWell = true;
}

function steps(world: World, sites: Sites, troubles: Troubles): [string, () => Promise<void>][] {
  const { redis, old, renewed } = world;
  const reload = async (): Promise<void> => {
    troubles.reloads += 1;
    await renewed.router.signal("HUP");
  };
  const restart = async (): Promise<void> => {
    troubles.store_restarts += 1;
    await befall(world, sites, redis.stop, redis.start);
  };
  const freeze = async (): Promise<void> => {
    troubles.store_freezes += 1;
    await befall(world, sites, redis.pause, redis.resume);
  };
  return [
    [`a flood of ${FLOOD} made-up hosts at ${old.name}`, async () => makeFlood(world, troubles, old)],
    ["a reload", reload],
    [`a flood of ${FLOOD} made-up hosts at ${renewed.name}`, async () => makeFlood(world, troubles, renewed)],
    ["Redis is restarted", restart],
    ["a reload", reload],
    [
      "Redis is restarted, and a reload",
      async () => {
        await Promise.all([restart(), reload()]);
      },
    ],
    ["Redis stands still", freeze],
  ];
}

async function deploy(world: World, sites: Sites, troubles: Troubles): Promise<void> {
  for (let i = 1; world.running; i += 1) {
    await pause(DEPLOY_EVERY * 1000);
    const free = sites.fleet.filter((fleet) => !fleet.busy);
    const fleet = free[Math.floor(Math.random() * free.length)];
    if (fleet === undefined || !world.storeIsWell) {
      continue;
    }
    const dies = i % DIES_ONE_OF === 0;
    fleet.busy = true;
    void replaceOne(world, fleet, dies)
      .catch((failure: unknown) => world.journal.fail(`the soak itself could not deploy: ${String(failure)}`))
      .finally(() => {
        fleet.busy = false;
        troubles[dies ? "deaths" : "deployments"] += 1;
      });
  }
}

/** @returns what happens, while it happens; and its end */
export function startTroubles(
  world: World,
  sites: Sites,
  until: number,
): { troubles: Troubles; ended: Promise<unknown> } {
  const troubles: Troubles = {
    floods: 0,
    made_up_hosts: 0,
    reloads: 0,
    store_restarts: 0,
    store_freezes: 0,
    deployments: 0,
    deaths: 0,
  };
  const inTurn = async (): Promise<void> => {
    const all = steps(world, sites, troubles);
    for (let i = 0; world.running && world.journal.seconds() < until; i += 1) {
      await pause(CALM * 1000);
      const [what, step] = all[i % all.length]!;
      world.journal.note(what);
      await step().catch((failure: unknown) => world.journal.fail(`${what}: ${String(failure)}`));
    }
  };
  return { troubles, ended: Promise.all([inTurn(), deploy(world, sites, troubles)]) };
}
