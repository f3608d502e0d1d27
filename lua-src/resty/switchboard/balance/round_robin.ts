/**
 * Smooth weighted round-robin: in turn, and a heavy instance's turns spread between the others'.
 *
 * It is nginx's algorithm: at each turn every peer gains its weight, the one that leads is picked and pays the
 * sum of all. After as many turns as the weights (freed of their common divisor) add up to it begins again, so
 * a round that is short enough is worked out once and then only read: a pick costs the same however many peers
 * there are, and LuaJIT has no loop to fail at. With equal weights the round is the peers themselves. A round
 * that is longer is worked out by deadlines (`timetable`), at O(log n) a turn instead of O(n), and one that is
 * too long to be kept is run by them turn by turn.
 */

import { Peer } from "./peer";
import { Picker } from "./picker";
import { create as create_timetable, next_turn, Timetable } from "./timetable";

interface RoundRobin extends Picker {
  /** The peers of one round in their turns. */
  round: Peer[];
  turns: number;
}

interface LongRoundRobin extends Picker {
  timetable: Timetable;
}

/** Turns of a round that is worked out as nginx does it. Beyond, that would take too long. */
const MOST_TURNS_OF_NGINX = 256;
/** Turns of a round that is kept: 32 kB. */
const MOST_TURNS = 4096;
/** A start within a round that is too long is found by picking ahead; more make nothing evener. */
const MOST_TURNS_AHEAD = 64;

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

function timetable_of(peers: Peer[]): Timetable {
  const weights: number[] = [];
  for (const i of $range(1, peers.length)) {
    weights[i - 1] = peers[i - 1]!.weight;
  }
  return create_timetable(weights);
}

/** The same by deadlines. */
function work_out_long(peers: Peer[], turns: number): Peer[] {
  const timetable = timetable_of(peers);
  const round: Peer[] = [];
  for (const turn of $range(1, turns)) {
    round[turn - 1] = peers[next_turn(timetable)]!;
  }
  return round;
}

function round_of(peers: Peer[], turns: number, total: number): Peer[] {
  if (turns === peers.length) {
    return peers;
  }
  return turns <= MOST_TURNS_OF_NGINX ? work_out(peers, turns, total) : work_out_long(peers, turns);
}

function pick(picker: Picker): Peer {
  const ring = picker as RoundRobin;
  const position = ring.position;
  ring.position = position + 1 < ring.turns ? position + 1 : 0;
  return ring.round[position]!;
}

function pick_long(picker: Picker): Peer {
  const ring = picker as LongRoundRobin;
  ring.position += 1;
  return ring.peers[next_turn(ring.timetable)]!;
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
  if (turns <= MOST_TURNS || turns === count) {
    const ring: RoundRobin = {
      pick,
      peers,
      count,
      skips: false,
      listens: false,
      position: start % turns,
      round: round_of(peers, turns, total),
      turns,
    };
    return ring;
  }
  const timetable = timetable_of(peers);
  const ring: LongRoundRobin = {
    pick: pick_long,
    peers,
    count,
    skips: false,
    listens: false,
    position: start % MOST_TURNS_AHEAD,
    timetable,
  };
  for (const _ of $range(1, ring.position)) {
    next_turn(timetable);
  }
  return ring;
}

export { create };
