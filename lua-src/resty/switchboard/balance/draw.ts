/**
 * Draws a peer at random by weight, at the same cost however many there are: Walker's alias method, its table
 * built as Vose does it (IEEE Transactions on Software Engineering 17/9, 1991).
 */

import { throw_below } from "./dice";
import { Peer } from "./peer";

export interface Urn {
  count: number;
  /** All weigh the same: every draw is one throw. */
  even: boolean;
  /** How much of each column is its own, of `depth`; the rest is its alias's. */
  own: number[];
  alias: number[];
  depth: number;
}

/** @param peers at least one, each with a weight above 0 */
function create(peers: Peer[]): Urn {
  const count = peers.length;
  const urn: Urn = { count, even: true, own: [], alias: [], depth: 0 };
  let total = 0;
  for (const peer of peers) {
    total += peer.weight;
    urn.even = urn.even && peer.weight === peers[0]!.weight;
  }
  if (urn.even) {
    return urn;
  }
  // Whole numbers: every column holds `total`, a peer brings its weight as often as there are columns.
  urn.depth = total;
  const left: number[] = [];
  const small: number[] = [];
  const large: number[] = [];
  for (const i of $range(0, count - 1)) {
    const share = peers[i]!.weight * count;
    left[i] = share;
    urn.own[i] = total;
    urn.alias[i] = i;
    if (share < total) {
      small.push(i);
    } else {
      large.push(i);
    }
  }
  while (small.length > 0 && large.length > 0) {
    const poor = small.pop()!;
    const rich = large[large.length - 1]!;
    urn.own[poor] = left[poor]!;
    urn.alias[poor] = rich;
    left[rich] = left[rich]! - (total - left[poor]!);
    if (left[rich]! < total) {
      large.pop();
      small.push(rich);
    }
  }
  return urn;
}

/** The place of a peer, 0-based. */
function draw(urn: Urn): number {
  const column = throw_below(urn.count);
  if (urn.even || throw_below(urn.depth) < urn.own[column]!) {
    return column;
  }
  return urn.alias[column]!;
}

/**
 * The place of a second one to compare the first one with. Among equals it is another one; by weight it may be
 * the same, or light peers would be compared, and win, far more often than they weigh.
 */
function draw_second(urn: Urn, first: number): number {
  if (!urn.even) {
    return draw(urn);
  }
  if (urn.count === 1) {
    return first;
  }
  const other = throw_below(urn.count - 1);
  return other < first ? other : other + 1;
}

export { create, draw, draw_second };
