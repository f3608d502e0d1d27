/** Random by weight: needs no memory of what came before, and no two workers fall into step. */

import { create as create_urn, draw, Urn } from "./draw";
import { Peer } from "./peer";
import { Picker } from "./picker";

interface Random extends Picker {
  urn: Urn;
}

function pick(picker: Picker): Peer {
  return picker.peers[draw((picker as Random).urn)]!;
}

function create(peers: Peer[]): Picker {
  const picker: Random = {
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
