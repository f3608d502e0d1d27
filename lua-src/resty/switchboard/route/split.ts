/**
 * Routes whose requests are split over pools: canaries, blue/green, tests.
 *
 * Each pool of such a route is a route of its own (`app.example.com#@shop-v2`), which has the instances of the pool and
 * the options of the route: so it is cached, fenced and balanced as any other. Which of them has a request is said by
 * smooth weighted turns, as with instances: 5 of 100 are 5 of every 100, spread evenly.
 */

import { arm_name } from "../schema/within";
import { Share } from "../schema/split";

export interface Arm {
  /** The route of the pool within this route. */
  name: string;
  /** What a client's cookie has: it cannot name anything but an arm of its own route. */
  mark: string;
  share: number;
  /** What it has gained and not paid. */
  standing: number;
}

export interface Split {
  arms: Arm[];
  by_mark: LuaTable<string, Arm>;
  /** The cookie that keeps a client where it landed; undefined: none does. */
  cookie: string | undefined;
}

/**
 * @param name of the route
 * @param shares at least one above 0
 */
function create(name: string, shares: Share[], cookie: string | undefined): Split {
  const arms: Arm[] = [];
  const by_mark = new LuaTable<string, Arm>();
  for (const { pool, share } of shares) {
    const mark = string.format("%08x", ngx.crc32_short(pool));
    const arm: Arm = { name: arm_name(name, pool), mark, share, standing: 0 };
    arms.push(arm);
    by_mark.set(mark, arm);
  }
  return { arms, by_mark, cookie };
}

function is_one_of(arms: Arm[], arm: Arm): boolean {
  for (const each of arms) {
    if (each === arm) {
      return true;
    }
  }
  return false;
}

/**
 * The arm whose turn it is.
 *
 * @param passed arms without a usable instance: for this request the others share what they have
 * @returns undefined when all with a share were passed over
 */
function take_turn(split: Split, passed: Arm[]): Arm | undefined {
  let best: Arm | undefined = undefined;
  let total = 0;
  for (const arm of split.arms) {
    if (arm.share > 0 && !is_one_of(passed, arm)) {
      total += arm.share;
      arm.standing += arm.share;
      if (best === undefined || arm.standing > best.standing) {
        best = arm;
      }
    }
  }
  if (best !== undefined) {
    best.standing -= total;
  }
  return best;
}

export { create, take_turn };
