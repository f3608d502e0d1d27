/** The contract of the algorithms. */

import { Peer } from "./peer";

/**
 * One algorithm over one list of peers.
 *
 * The peers that it is made of may all be picked, except where `skips` is set. What is not to be picked at the
 * moment (ejected, another zone's, a backup) is the pool's matter: it makes a picker of the rest. So no
 * algorithm knows why a peer is missing, and none pays for it.
 */
export interface Picker {
  /**
   * The next peer. Allocates nothing and costs the same from 3 to 1,000 peers, or O(log n).
   *
   * @param picker itself
   * @param key what the request is told apart by, 32 bits; only `hash` looks at it
   * @param tried peers that this request has tried; only `hash` goes past them, others are asked again
   */
  pick: (this: void, picker: Picker, key: number, tried: Peer[]) => Peer;
  /** At least one. */
  peers: Peer[];
  count: number;
  /** It goes past peers whose `share` does not let the key in: it is too dear to be made anew for a while. */
  skips: boolean;
  /** It wants to hear of every try how long it took or that it failed. */
  listens: boolean;
  /** Where a rotation stands, so that its successor goes on there; 0 where nothing rotates. */
  position: number;
}

/**
 * Makes a picker.
 *
 * @param peers at least one, each with a weight above 0
 * @param start where to begin, 0 or more
 * @param bound how far above the average a peer's load may be, for `hash`; 0: anything
 */
export type MakePicker = (this: void, peers: Peer[], start: number, bound: number) => Picker;
