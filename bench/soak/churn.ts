/** A thousand updates a second, over many names: what a platform writes, in all the ways that one may. */

import type { ChainableCommander } from "ioredis";
import { newName, type Name } from "./names.ts";
import { newMember, type World } from "./world.ts";

/** Writes that wait for Redis at most; while it is down it is not asked for more. */
const MOST_WAITING = 2000;
/** Seconds of updates that are made up for at once. */
const MOST_DUE = 3;
/** Milliseconds that a passing name lives. */
const PASSES_AFTER = 10_000;
/** One name in so many has its instance in a sorted set, and heart-beats keep it. */
const BEATS = 20;
/** Seconds that a heart-beat counts. */
const BEAT_LASTS = 60;

export interface Churn {
  /** Updates that Redis has taken. */
  written: number;
  waiting: number;
  /** Names that were made and taken away. */
  passed: number;
}

function key(name: Name): string {
  return `backends:${name.host}`;
}

function beats(i: number): boolean {
  return i % BEATS === 0;
}

/** Writes, and notes what the name is from now on. Nobody else writes it meanwhile. */
async function write(
  world: World,
  churn: Churn,
  name: Name,
  at: string | undefined,
  commands: ChainableCommander,
): Promise<void> {
  name.version += 1;
  name.at = at;
  name.writing = true;
  churn.waiting += 1;
  try {
    const replies = await commands.exec();
    const wrong = replies?.find(([error]) => error !== null);
    if (wrong !== undefined) {
      throw wrong[0]!;
    }
    churn.written += 1;
  } catch (failure) {
    world.journal.fail(`the soak itself could not write ${name.host}: ${String(failure)}`);
  }
  churn.waiting -= 1;
  name.written = performance.now();
  name.writing = false;
}

/** The instance is another from now on. */
async function move(world: World, churn: Churn, name: Name, way: number): Promise<void> {
  const { client } = world.redis;
  const at = newMember(world);
  if (way < 0.6) {
    await write(world, churn, name, at, client.multi().srem(key(name), name.at!).sadd(key(name), at));
  } else if (way < 0.85 || !world.storeIsWell) {
    await write(world, churn, name, at, client.multi().del(key(name)).sadd(key(name), at));
  } else {
    // Platforms that do it in two steps; a Redis that stops between them would leave nobody.
    await write(world, churn, name, at, client.pipeline().del(key(name)).sadd(key(name), at));
  }
}

async function beat(world: World, churn: Churn, name: Name, lasts = BEAT_LASTS): Promise<void> {
  const until = Math.floor(Date.now() / 1000) + lasts;
  await write(world, churn, name, name.at, world.redis.client.pipeline().zadd(key(name), until, name.at!));
}

async function change(world: World, churn: Churn, name: Name): Promise<void> {
  const { client } = world.redis;
  const weight = 1 + (name.version % 5);
  const commands =
    name.version % 2 === 0
      ? client
          .multi()
          .del(`instances:${name.host}`)
          .hset(`instances:${name.host}`, name.at!, `weight=${weight}`)
      : client.pipeline().hset(`route:${name.host}`, "meta.version", name.version);
  await write(world, churn, name, name.at, commands);
}

async function make(world: World, churn: Churn): Promise<void> {
  const name = newName(`p${churn.passed + world.passing.length}-${Date.now()}.soak.test`, false);
  world.passing.push(name);
  const at = newMember(world);
  await write(world, churn, name, at, world.redis.client.pipeline().sadd(key(name), at));
}

/** Takes the oldest passing name away. Its keys go; it stays on the list for a while, to be asked for in vain. */
async function unmake(world: World, churn: Churn): Promise<void> {
  const now = performance.now();
  const gone = world.passing.findIndex((name) => name.at === undefined && now - name.written > PASSES_AFTER);
  if (gone >= 0 && !world.passing[gone]!.writing) {
    world.passing.splice(gone, 1);
    churn.passed += 1;
  }
  const name = world.passing.find(
    (each) => each.at !== undefined && !each.writing && now - each.written > PASSES_AFTER,
  );
  if (name !== undefined) {
    await write(world, churn, name, undefined, world.redis.client.pipeline().del(key(name)));
  }
}

/** The beats go round; all else is drawn. */
function step(world: World, churn: Churn, i: number): Promise<void> | undefined {
  const { names } = world;
  if (i % 10 === 0) {
    const name = names[((i / 10) % Math.ceil(names.length / BEATS)) * BEATS]!;
    return name.writing ? undefined : beat(world, churn, name);
  }
  if (i % 40 === 1) {
    return make(world, churn);
  }
  if (i % 40 === 2) {
    return unmake(world, churn);
  }
  const at = Math.floor(Math.random() * names.length);
  const name = names[at]!;
  if (beats(at) || name.writing) {
    return undefined;
  }
  return i % 10 === 5 ? change(world, churn, name) : move(world, churn, name, Math.random());
}

/** The last heart-beats, which outlast the soak. */
export async function beatLast(world: World, churn: Churn): Promise<void> {
  const beating = world.names.filter((_, i) => beats(i));
  await Promise.all(beating.map(async (name) => beat(world, churn, name, 100 * BEAT_LASTS)));
}

/** Gives every name its first instance. */
export async function fill(world: World): Promise<void> {
  const churn: Churn = { written: 0, waiting: 0, passed: 0 };
  const { client } = world.redis;
  const until = Math.floor(Date.now() / 1000) + BEAT_LASTS;
  await Promise.all(
    world.names.map(async (name, i) => {
      const at = newMember(world);
      const first = beats(i)
        ? client.pipeline().zadd(key(name), until, at)
        : client.pipeline().sadd(key(name), at);
      await write(world, churn, name, at, first);
    }),
  );
}

/** Writes so many updates a second until the soak is over. */
export function startChurn(world: World, perSecond: number): Churn {
  const churn: Churn = { written: 0, waiting: 0, passed: 0 };
  let due = 0;
  let last = performance.now();
  let i = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    due += ((now - last) / 1000) * perSecond;
    last = now;
    if (!world.running) {
      clearInterval(timer);
    }
    // A restart of Redis is made up for; what a starved machine cannot do is not.
    due = Math.min(due, perSecond * MOST_DUE);
    while (due >= 1 && world.running && churn.waiting < MOST_WAITING) {
      const written = step(world, churn, i);
      i += 1;
      if (written !== undefined) {
        due -= 1;
        void written;
      }
    }
  }, 10);
  return churn;
}
