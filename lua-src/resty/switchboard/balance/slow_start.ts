/**
 * Slow start: a new or recovered instance gets its share of requests bit by bit, while caches fill and code
 * gets compiled there.
 */

import { InstanceState } from "./instances";
import { Peer } from "./peer";

/** What it begins with. */
const LEAST = 0.1;

/**
 * The share of its turns that a peer may take: from a tenth, in a straight line, to all.
 *
 * @param seconds that it takes; 0: off
 * @param now ngx.now()
 */
function share_of(peer: Peer, seconds: number, now: number): number {
  const since = math.max(peer.joined_at, peer.state.recovered_at);
  if (seconds <= 0 || since <= 0) {
    return 1;
  }
  return math.min(1, math.max(LEAST, (now - since) / seconds));
}

/**
 * Notes who of the peers is new. While all are nobody is: somebody must take the requests.
 *
 * @param previous of the route before it changed; undefined: it was not known, so nothing is known to be new
 */
function note_new(peers: Peer[], previous: Peer[] | undefined, now: number): void {
  if (previous === undefined) {
    return;
  }
  const before = new LuaTable<InstanceState, Peer>();
  for (const peer of previous) {
    before.set(peer.state, peer);
  }
  let stays = false;
  for (const peer of peers) {
    stays = stays || before.get(peer.state) !== undefined;
  }
  for (const peer of peers) {
    const same = before.get(peer.state);
    peer.joined_at = same !== undefined ? same.joined_at : stays ? now : 0;
    peer.credit = same !== undefined ? same.credit : 0;
  }
}

export { note_new, share_of };
