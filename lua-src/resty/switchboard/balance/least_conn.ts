/**
 * Fewest running requests for its weight, of two drawn by weight.
 *
 * Two random choices are almost as good as the best of all (Mitzenmacher 2001), cost the same with 1,000 peers,
 * and workers that do not know of each other do not all run to the same one. What runs is counted from the pick
 * to the end of the body, so streams and WebSockets count for as long as they last; per worker.
 */

import { create as create_urn, draw, draw_second, Urn } from "./draw";
import { Peer } from "./peer";
import { Picker } from "./picker";

interface LeastConn extends Picker {
  urn: Urn;
}

function pick(picker: Picker): Peer {
  const urn = (picker as LeastConn).urn;
  const first = draw(urn);
  const a = picker.peers[first]!;
  const b = picker.peers[draw_second(urn, first)]!;
  return b.state.in_flight * a.weight < a.state.in_flight * b.weight ? b : a;
}

function create(peers: Peer[]): Picker {
  const picker: LeastConn = {
    pick,
    peers,
    count: peers.length,
    skips: false,
    listens: false,
    position: 0,
    urn: create_urn(peers),
  };
  return picker;
}

export { create };
