/**
 * Smooth weighted round-robin: in turn, and a heavy instance's turns spread between the others'.
 *
 * With weights it is nginx's algorithm: at each pick every peer gains its weight, the one that leads is
 * picked and pays the sum of all. With equal weights that is a plain rotation, which costs the same however
 * many peers there are.
 */

import { Peer } from "./peer";

export interface RoundRobin {
  peers: Peer[];
  count: number;
  /** 0-based place of the next peer in the rotation. */
  position: number;
  /** Each peer's standing; undefined with equal weights. */
  standings: number[] | undefined;
  total: number;
}

/** A weighted start is found by picking ahead; more steps than this make nothing evener. */
const MOST_STEPS_AHEAD = 64;

function have_equal_weights(peers: Peer[]): boolean {
  for (const peer of peers) {
    if (peer.weight !== peers[0]!.weight) {
      return false;
    }
  }
  return true;
}

function next_weighted(ring: RoundRobin, standings: number[]): Peer {
  const peers = ring.peers;
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
  let total = 0;
  for (const peer of peers) {
    total += peer.weight;
  }
  const ring: RoundRobin = { peers, count, position: start % count, standings: undefined, total };
  if (!have_equal_weights(peers)) {
    const standings: number[] = [];
    for (const i of $range(1, count)) {
      standings[i - 1] = 0;
    }
    ring.standings = standings;
    for (const _ of $range(1, start % math.min(count, MOST_STEPS_AHEAD))) {
      next_weighted(ring, standings);
    }
  }
  return ring;
}

/** The next peer. Allocates nothing. */
function next_peer(ring: RoundRobin): Peer {
  const standings = ring.standings;
  if (standings !== undefined) {
    return next_weighted(ring, standings);
  }
  const position = ring.position;
  ring.position = position + 1 < ring.count ? position + 1 : 0;
  return ring.peers[position]!;
}

export { create, next_peer };
