/**
 * Smooth weighted round-robin: in turn, and a heavy instance's turns spread between the others'.
 *
 * It is nginx's algorithm: at each turn every peer gains its weight, the one that leads is picked and pays the
 * sum of all. After as many turns as the weights (freed of their common divisor) add up to it begins again, so
 * a round that is short enough is worked out once and then only read: a pick costs the same however many peers
 * there are, and LuaJIT has no loop to fail at. With equal weights the round is the peers themselves.
 */

import { Peer } from "./peer";

export interface RoundRobin {
  peers: Peer[];
  count: number;
  /** The peers of one round in their turns; undefined: the round is too long, `standings` count. */
  round: Peer[] | undefined;
  turns: number;
  /** 0-based place of the next turn in the round. */
  position: number;
  /** What each peer has gained and not paid, in a round that is too long. */
  standings: number[];
  total: number;
}

/** Turns of a round that is kept: 2 kB. A longer one would cost more memory than it saves time. */
const MOST_TURNS = 256;
/** A start within a round that is too long is found by picking ahead; more make nothing evener. */
const MOST_TURNS_AHEAD = 64;

function common_divisor(a: number, b: number): number {
  return b === 0 ? a : common_divisor(b, a % b);
}

/** One turn of the algorithm itself. */
function take_turn(ring: RoundRobin): Peer {
  const peers = ring.peers;
  const standings = ring.standings;
  let best = 0;
  for (const i of $range(1, ring.count)) {
    const standing = standings[i - 1]! + peers[i - 1]!.weight;
    standings[i - 1] = standing;
    if (standing > standings[best]!) {
      best = i - 1;
    }
  }
  standings[best] = standings[best]! - ring.total;
  return peers[best]!;
}

/**
 * @param peers at least one, each with a weight above 0
 * @param start where to begin, 0 or more. Workers must pass different ones: were all to begin at the first
 * peer, it would get every worker's first request after each change.
 */
function create(peers: Peer[], start: number): RoundRobin {
  const count = peers.length;
  const standings: number[] = [];
  let total = 0;
  let divisor = 0;
  for (const i of $range(1, count)) {
    const weight = peers[i - 1]!.weight;
    standings[i - 1] = 0;
    total += weight;
    divisor = common_divisor(weight, divisor);
  }
  const turns = total / divisor;
  const ring: RoundRobin = { peers, count, round: undefined, turns, position: 0, standings, total };
  if (turns === count) {
    ring.round = peers;
  } else if (turns <= MOST_TURNS) {
    const round: Peer[] = [];
    for (const i of $range(1, turns)) {
      round[i - 1] = take_turn(ring);
    }
    ring.round = round;
  }
  if (ring.round !== undefined) {
    ring.position = start % turns;
  } else {
    for (const _ of $range(1, start % math.min(turns, MOST_TURNS_AHEAD))) {
      take_turn(ring);
    }
  }
  return ring;
}

/** The next peer. Allocates nothing. */
function next_peer(ring: RoundRobin): Peer {
  const round = ring.round;
  if (round === undefined) {
    return take_turn(ring);
  }
  const position = ring.position;
  ring.position = position + 1 < ring.turns ? position + 1 : 0;
  return round[position]!;
}

export { create, next_peer };
