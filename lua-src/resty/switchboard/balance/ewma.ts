/**
 * The quickest for its load, of two drawn by weight: peak-EWMA latency x (running requests + 1) / weight.
 *
 * The number of running requests is in it because latency alone reacts too late: until the first slow answers
 * are back a peer would have got everything. Failures count as slow (`latency`), or an instance that fails fast
 * would get everything.
 */

import { create as create_urn, draw, draw_second, Urn } from "./draw";
import { latency_at } from "./latency";
import { Peer } from "./peer";
import { Picker } from "./picker";

interface Ewma extends Picker {
  urn: Urn;
}

/** Seconds that an unmeasured peer counts for once a request runs there: one finds out, not a hundred. */
const UNMEASURED = 60;

function load_of(peer: Peer, now: number): number {
  const state = peer.state;
  if (state.measured_at === 0) {
    return (UNMEASURED * state.in_flight) / peer.weight;
  }
  return (latency_at(state, now) * (state.in_flight + 1)) / peer.weight;
}

function pick(picker: Picker): Peer {
  const urn = (picker as Ewma).urn;
  const now = ngx.now();
  const first = draw(urn);
  const a = picker.peers[first]!;
  const b = picker.peers[draw_second(urn, first)]!;
  return load_of(b, now) < load_of(a, now) ? b : a;
}

function create(peers: Peer[]): Picker {
  const picker: Ewma = {
    pick,
    peers,
    count: peers.length,
    skips: false,
    listens: true,
    position: 0,
    urn: create_urn(peers),
  };
  return picker;
}

export { create };
