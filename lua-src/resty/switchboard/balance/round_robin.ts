/**
 * Smooth weighted round-robin: in turn, and a heavy instance's turns spread between the others'.
 *
 * It is nginx's algorithm: at each turn every peer gains its weight, the one that leads is picked and pays the
 * sum of all. After as many turns as the weights (freed of their common divisor) add up to it begins again, so
 * a round that is short enough is worked out once and then only read: a pick costs the same however many peers
 * there are, and LuaJIT has no loop to fail at. With equal weights the round is the peers themselves.
 *
 * A longer round is not kept but walked over in golden steps: every peer owns as many neighbouring places on a
 * ruler as it weighs, and each turn goes on by about 0.618 of its length (Kronecker's sequence, whose places are as
 * even as can be at any time). The step has no divisor in common with the length, so a round comes to every place
 * once and gives each its weight exactly.
 */

import { Peer } from "./peer";
import { Picker } from "./picker";
import { create as create_ruler, first_from, numbers, Ruler } from "./ruler";

interface RoundRobin extends Picker {
  /** The peers of one round in their turns. */
  round: Peer[];
  turns: number;
}

interface LongRoundRobin extends Picker {
  /** The last place of each peer. */
  ruler: Ruler;
  turns: number;
  step: number;
  place: number;
}

/** Turns of a round that is kept: 2 kB. */
const MOST_TURNS = 256;
/** (sqrt(5) - 1) / 2 */
const GOLDEN = 0.6180339887498949;

function common_divisor(a: number, b: number): number {
  return b === 0 ? a : common_divisor(b, a % b);
}

/** One round of nginx's algorithm. */
function work_out(peers: Peer[], turns: number, total: number): Peer[] {
  const count = peers.length;
  const standings: number[] = [];
  for (const i of $range(1, count)) {
    standings[i - 1] = 0;
  }
  const round: Peer[] = [];
  for (const turn of $range(1, turns)) {
    let best = 0;
    for (const i of $range(1, count)) {
      const standing = standings[i - 1]! + peers[i - 1]!.weight;
      standings[i - 1] = standing;
      if (standing > standings[best]!) {
        best = i - 1;
      }
    }
    standings[best] = standings[best]! - total;
    round[turn - 1] = peers[best]!;
  }
  return round;
}

function pick(picker: Picker): Peer {
  const ring = picker as RoundRobin;
  const position = ring.position;
  ring.position = position + 1 < ring.turns ? position + 1 : 0;
  return ring.round[position]!;
}

function pick_long(picker: Picker): Peer {
  const ring = picker as LongRoundRobin;
  const place = ring.place;
  const next = place + ring.step;
  ring.place = next < ring.turns ? next : next - ring.turns;
  ring.position += 1;
  return ring.peers[first_from(ring.ruler, place)]!;
}

function create_long(peers: Peer[], start: number, turns: number, divisor: number): LongRoundRobin {
  const count = peers.length;
  const lasts = numbers("uint32_t", count);
  let sum = 0;
  for (const i of $range(1, count)) {
    sum += peers[i - 1]!.weight / divisor;
    lasts.set(i - 1, sum - 1);
  }
  let step = math.floor(turns * GOLDEN);
  while (common_divisor(turns, step) !== 1) {
    step += 1;
  }
  // Small enough that its product with the step is exact.
  const position = (start % turns) % 1000000;
  return {
    pick: pick_long,
    peers,
    count,
    skips: false,
    listens: false,
    position,
    ruler: create_ruler(lasts, count, turns),
    turns,
    step,
    place: (position * step) % turns,
  };
}

/**
 * @param start where to begin. Workers must pass different ones: were all to begin at the first peer, it
 * would get every worker's first request after each change.
 */
function create(peers: Peer[], start: number): Picker {
  const count = peers.length;
  let total = 0;
  let divisor = 0;
  for (const peer of peers) {
    total += peer.weight;
    divisor = common_divisor(peer.weight, divisor);
  }
  const turns = total / divisor;
  if (turns > MOST_TURNS && turns !== count) {
    return create_long(peers, start, turns, divisor);
  }
  const ring: RoundRobin = {
    pick,
    peers,
    count,
    skips: false,
    listens: false,
    position: start % turns,
    round: turns === count ? peers : work_out(peers, turns, total),
    turns,
  };
  return ring;
}

export { create };
