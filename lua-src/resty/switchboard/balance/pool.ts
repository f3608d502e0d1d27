/**
 * The peers of a route, and who of them may be picked at the moment.
 *
 * Zones, backups, ejected instances and warming up are all decided here, when something changes, and not at the
 * pick: the algorithm gets the peers that are left. So a pick costs one comparison more than the algorithm.
 */

import { absent } from "../absent";
import { claim } from "../health/ward";
import { usability } from "./instances";
import { Peer } from "./peer";
import { MakePicker, Picker } from "./picker";
import { share_of } from "./slow_start";

export interface Pool {
  /** Of those that may be picked now. */
  picker: Picker;
  /** While some of them warm up: of those that do not. */
  settled: Picker | undefined;
  /** One that is out, and that a request is to try; undefined: none. */
  trial: Peer | undefined;
  /** `usability.version` for which `picker` is right; 0: look again at each pick, somebody warms up or is on trial. */
  seen: number;
  /** The version that was looked at last. */
  version: number;
  /** ngx.now() at which the warming peers were looked at last. */
  tick: number;
  /** The list that `picker` was made from: one of the next three. */
  tier: Peer[];
  /** Peers in the router's own zone; empty where zones do not matter. */
  near: Peer[];
  /** Neither backup nor resting. */
  primaries: Peer[];
  backups: Peer[];
  /** These and those that rest. */
  all: Peer[];
  make: MakePicker;
  bound: number;
  /** Seconds; 0: off. */
  slow_start: number;
}

/** How a route balances. */
export interface Balancing {
  make: MakePicker;
  /** For `hash`: how far above the average a load may be; 0: anything. */
  bound: number;
  /** Seconds that a new or recovered instance takes to its full share; 0: off. */
  slow_start: number;
  /** The zone that is preferred; undefined: none. */
  zone: string | undefined;
}

/** With less of a tier usable than this, those that are left would fall over too: then all of it is used. */
const ENOUGH = 0.5;

function usable_weight(peers: Peer[]): number {
  let weight = 0;
  for (const peer of peers) {
    weight += peer.state.usable ? peer.weight : 0;
  }
  return weight;
}

function total_weight(peers: Peer[]): number {
  let weight = 0;
  for (const peer of peers) {
    weight += peer.weight;
  }
  return weight;
}

function choose_tier(pool: Pool): Peer[] {
  if (pool.near.length > 0 && usable_weight(pool.near) >= ENOUGH * total_weight(pool.near)) {
    return pool.near;
  }
  if (
    pool.primaries.length === 0 ||
    (usable_weight(pool.primaries) === 0 && usable_weight(pool.backups) > 0)
  ) {
    return pool.backups;
  }
  return pool.primaries;
}

/** Sets the share of each and returns those that have one; the same list where all have. */
function members_of(pool: Pool, tier: Peer[], now: number): Peer[] {
  const panics = usable_weight(tier) < ENOUGH * total_weight(tier);
  const members: Peer[] = [];
  for (const peer of tier) {
    if (peer.state.usable || panics) {
      peer.share = panics ? 1 : share_of(peer, pool.slow_start, now);
      members.push(peer);
    } else {
      peer.share = 0;
    }
  }
  return members.length === tier.length ? tier : members;
}

function are_same(a: Peer[], b: Peer[]): boolean {
  if (a.length !== b.length) {
    return false;
  }
  for (const i of $range(1, a.length)) {
    if (a[i - 1] !== b[i - 1]) {
      return false;
    }
  }
  return true;
}

/** The picker of these peers; the old one where it has the same. */
function picker_of(pool: Pool, peers: Peer[], old: Picker | undefined, start: number): Picker {
  if (old !== undefined && are_same(old.peers, peers)) {
    return old;
  }
  return pool.make(peers, old !== undefined ? old.position : start, pool.bound);
}

function settled_of(members: Peer[]): Peer[] {
  const settled: Peer[] = [];
  for (const peer of members) {
    if (peer.share >= 1) {
      settled.push(peer);
    }
  }
  return settled;
}

function trial_among(peers: Peer[]): Peer | undefined {
  for (const peer of peers) {
    if (peer.state.on_trial_since > 0) {
      return peer;
    }
  }
  return undefined;
}

/** Whom a request is to try: of the tier, unless all of it is used anyway, and first of those that backups stand in for. */
function trial_of(pool: Pool, tier: Peer[], members: Peer[]): Peer | undefined {
  const stood_in_for = tier === pool.backups ? trial_among(pool.primaries) : undefined;
  return stood_in_for ?? (members.length < tier.length ? trial_among(tier) : undefined);
}

/** Decides anew who may be picked. */
function look(pool: Pool, old: Picker | undefined, start: number, now: number): Picker {
  const tier = choose_tier(pool);
  const members = members_of(pool, tier, now);
  // Who skips is made of the whole tier: it sees by their shares whom to go past.
  const picker = picker_of(pool, old !== undefined && old.skips ? tier : members, old, start);
  const settled = settled_of(members);
  // While all of them warm up none does: nobody is there to take what they let pass.
  const warms = settled.length > 0 && settled.length < members.length;
  if (settled.length === 0) {
    for (const peer of members) {
      peer.share = 1;
    }
  }
  pool.settled = warms && !picker.skips ? picker_of(pool, settled, pool.settled, start) : undefined;
  const trial = trial_of(pool, tier, members);
  pool.trial = trial;
  pool.tier = tier;
  pool.picker = picker;
  pool.version = usability.version;
  pool.seen = warms || trial !== undefined ? 0 : pool.version;
  pool.tick = now;
  return picker;
}

/**
 * @param peers of the route, at least one that is not resting
 * @param start where a rotation begins, 0 or more
 * @param now ngx.now()
 */
function create(peers: Peer[], balancing: Balancing, start: number, now: number): Pool {
  const near: Peer[] = [];
  const primaries: Peer[] = [];
  const backups: Peer[] = [];
  for (const peer of peers) {
    if (peer.backup && !peer.resting) {
      backups.push(peer);
    } else if (!peer.resting) {
      primaries.push(peer);
      if (balancing.zone !== undefined && peer.zone === balancing.zone) {
        near.push(peer);
      }
    }
  }
  const pool: Pool = {
    picker: undefined as unknown as Picker,
    settled: absent,
    trial: absent,
    seen: 0,
    version: 0,
    tick: 0,
    tier: primaries,
    near,
    primaries,
    backups,
    all: peers,
    make: balancing.make,
    bound: balancing.bound,
    slow_start: balancing.slow_start,
  };
  look(pool, undefined, start, now);
  return pool;
}

/** Decides anew who may be picked, where that may have changed since it was decided last. */
function refresh(pool: Pool): void {
  if (pool.seen === usability.version) {
    return;
  }
  const now = ngx.now();
  if (pool.version !== usability.version || pool.tick !== now) {
    look(pool, pool.picker, pool.picker.position, now);
  }
}

/** Whether a request may try this one: any, unless the algorithm goes by its key and has it elsewhere. */
function may_try(pool: Pool, trial: Peer, key: number, tried: Peer[]): boolean {
  const { picker } = pool;
  if (!picker.skips) {
    return true;
  }
  trial.share = 1;
  const owner = picker.pick(picker, key, tried);
  trial.share = 0;
  return owner === trial;
}

function pick_slowly(pool: Pool, key: number, tried: Peer[]): Peer {
  refresh(pool);
  const { trial } = pool;
  // A request that has failed elsewhere has risked enough.
  if (
    trial !== undefined &&
    tried[0] === undefined &&
    may_try(pool, trial, key, tried) &&
    claim(trial.state)
  ) {
    return trial;
  }
  const peer = pool.picker.pick(pool.picker, key, tried);
  const settled = pool.settled;
  if (settled === undefined || peer.share >= 1) {
    return peer;
  }
  // It saves up its parts of turns until they are a whole one; the others have the turns it lets pass.
  peer.credit += peer.share;
  if (peer.credit >= 1) {
    peer.credit -= 1;
    return peer;
  }
  return settled.pick(settled, key, tried);
}

/**
 * The peer for a request. Allocates nothing unless an instance has become usable, or stopped being so, since the
 * last pick; while peers warm up it looks at all of them once per event-loop tick.
 *
 * @param key 32 bits; only `hash` looks at it
 * @param tried empty at the first try
 */
function pick(pool: Pool, key: number, tried: Peer[]): Peer {
  if (pool.seen === usability.version) {
    return pool.picker.pick(pool.picker, key, tried);
  }
  return pick_slowly(pool, key, tried);
}

export { create, pick, refresh };
