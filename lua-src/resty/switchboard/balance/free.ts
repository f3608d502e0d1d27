/** Peers for requests that cannot go to just anyone: those that were tried are passed, or those that have no place left. */

import { throw_below } from "./dice";
import { Peer } from "./peer";
import { pick, Pool } from "./pool";

/** Whether a peer can have the request; it may take a place there. */
export type Fits<Wish> = (this: void, wish: Wish, peer: Peer) => boolean;

/** Whom of a list to look at: those that the algorithm picks from, that are usable, or that are not. */
type Who = "picked" | "usable" | "out";

/** Picks that may fall on a peer that is passed before the list is gone through. */
const MOST_AGAIN = 4;
const NONE: Peer[] = [];

function is_one_of(peers: Peer[], peer: Peer): boolean {
  for (const other of peers) {
    if (other === peer) {
      return true;
    }
  }
  return false;
}

function copy_with(peers: Peer[], more: Peer): Peer[] {
  const longer: Peer[] = [];
  for (const peer of peers) {
    longer.push(peer);
  }
  longer.push(more);
  return longer;
}

function is_such(peer: Peer, who: Who): boolean {
  return who === "picked" ? peer.share > 0 : peer.state.usable === (who === "usable");
}

/** Any of a list, from a random one on. */
function any_of<Wish>(
  peers: Peer[],
  who: Who,
  passed: Peer[],
  fits: Fits<Wish> | undefined,
  wish: Wish,
): Peer | undefined {
  const count = peers.length;
  const start = count > 0 ? throw_below(count) : 0;
  for (const i of $range(start, start + count - 1)) {
    const peer = peers[i % count]!;
    if (is_such(peer, who) && !is_one_of(passed, peer) && (fits === undefined || fits(wish, peer))) {
      return peer;
    }
  }
  return undefined;
}

/**
 * By the algorithm, some times.
 *
 * @returns undefined: all its picks were passed; and who is to be passed from now on
 */
function pick_some<Wish>(
  pool: Pool,
  key: number,
  tried: Peer[],
  fits: Fits<Wish> | undefined,
  wish: Wish,
): LuaMultiReturn<[Peer | undefined, Peer[]]> {
  let passed = tried;
  for (const _ of $range(1, MOST_AGAIN)) {
    const peer = pick(pool, key, passed);
    // Where nobody of its own is left, `hash` names one that is out.
    if (peer.share > 0 && !is_one_of(passed, peer)) {
      if (fits === undefined || fits(wish, peer)) {
        return $multi(peer, passed);
      }
      passed = copy_with(passed, peer);
    }
  }
  return $multi(undefined, passed);
}

/**
 * A peer that the request has not tried: by the algorithm, else any usable one of its tier, of the others, of
 * the backups, and at last one that is not usable. Undefined: all were tried.
 *
 * @param fits undefined: all do
 */
function pick_untried<Wish>(
  pool: Pool,
  key: number,
  tried: Peer[],
  fits: Fits<Wish> | undefined,
  wish: Wish,
): Peer | undefined {
  const [peer, passed] = pick_some(pool, key, tried, fits, wish);
  return (
    peer ??
    any_of(pool.tier, "usable", passed, fits, wish) ??
    any_of(pool.primaries, "usable", passed, fits, wish) ??
    any_of(pool.backups, "usable", passed, fits, wish) ??
    any_of(pool.primaries, "out", passed, fits, wish) ??
    any_of(pool.backups, "out", passed, fits, wish)
  );
}

/**
 * A peer that has a place for a request: by the algorithm, else any that it picks from, or of another zone. Backups are no
 * help against load. Undefined: there is none.
 */
function pick_fitting<Wish>(pool: Pool, key: number, fits: Fits<Wish>, wish: Wish): Peer | undefined {
  const [peer, passed] = pick_some(pool, key, NONE, fits, wish);
  return (
    peer ??
    any_of(pool.tier, "picked", passed, fits, wish) ??
    any_of(pool.primaries, "usable", passed, fits, wish)
  );
}

export { pick_fitting, pick_untried };
