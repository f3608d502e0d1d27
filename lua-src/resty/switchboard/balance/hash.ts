/**
 * Consistent hashing: the same key goes to the same instance, and a change of instances moves few keys.
 *
 * While all are usable it is the instance that nginx's `hash … consistent` would choose for the same addresses
 * and weights (`circle`). A peer that may not be picked is passed, so its keys spread over all others. With a
 * bound, one whose load is too far above the average is passed too (Mirrokni, Thorup, Zadimoghaddam 2016).
 */

import { Circle, create as create_circle, place_of } from "./circle";
import { Peer } from "./peer";
import { Picker } from "./picker";

interface Hash extends Picker {
  circle: Circle;
  /** How many times the average load a peer may have; 0: any. */
  bound: number;
  total_weight: number;
  /** Running requests on all peers, as of the event-loop tick `counted_at`, and those picked in it since. */
  running: number;
  counted_at: number;
}

/** Where a key stands among those that a peer which warms up already takes: always the same, 0 to 1. */
function rank_of(key: number): number {
  // Knuth's multiplicative hash; the key itself says where on the circle it is.
  return (((key & 0xffff) * 40503 + (key >>> 16)) % 65536) / 65536;
}

function has_tried(tried: Peer[], peer: Peer): boolean {
  for (const other of tried) {
    if (other === peer) {
      return true;
    }
  }
  return false;
}

function count_running(hash: Hash): void {
  const now = ngx.now();
  if (now === hash.counted_at) {
    return;
  }
  let running = 0;
  for (const peer of hash.peers) {
    running += peer.state.in_flight;
  }
  hash.running = running;
  hash.counted_at = now;
}

function is_full(hash: Hash, peer: Peer): boolean {
  const running = peer.state.in_flight;
  // Everybody may have one.
  if (hash.bound === 0 || running === 0) {
    return false;
  }
  count_running(hash);
  return running + 1 > math.ceil((hash.bound * (hash.running + 1) * peer.weight) / hash.total_weight);
}

function may_take(hash: Hash, peer: Peer, key: number, tried: Peer[]): boolean {
  return (
    (peer.share >= 1 || (peer.share > 0 && rank_of(key) < peer.share)) &&
    (tried[0] === undefined || !has_tried(tried, peer)) &&
    !is_full(hash, peer)
  );
}

/** From the next point on; when everybody is full, or warms up without this key, the first that is not out. */
function pick_onwards(hash: Hash, place: number, key: number, tried: Peer[]): Peer {
  const circle = hash.circle;
  const first = hash.peers[circle.owners.get(place)]!;
  let spare = first.share > 0 && !has_tried(tried, first) ? first : undefined;
  let at = place;
  for (const _ of $range(2, circle.count)) {
    at = at + 1 < circle.count ? at + 1 : 0;
    const peer = hash.peers[circle.owners.get(at)]!;
    if (may_take(hash, peer, key, tried)) {
      return peer;
    }
    if (spare === undefined && peer.share > 0 && !has_tried(tried, peer)) {
      spare = peer;
    }
  }
  return spare ?? first;
}

function pick(picker: Picker, key: number, tried: Peer[]): Peer {
  const hash = picker as Hash;
  hash.running += 1;
  const place = place_of(hash.circle, key);
  const peer = hash.peers[hash.circle.owners.get(place)]!;
  if (may_take(hash, peer, key, tried)) {
    return peer;
  }
  return pick_onwards(hash, place, key, tried);
}

function create(peers: Peer[], _start: number, bound: number): Picker {
  let total_weight = 0;
  for (const peer of peers) {
    total_weight += peer.weight;
  }
  const picker: Hash = {
    pick,
    peers,
    count: peers.length,
    skips: true,
    listens: false,
    position: 0,
    circle: create_circle(peers),
    bound,
    total_weight,
    running: 0,
    counted_at: -1,
  };
  return picker;
}

export { create };
