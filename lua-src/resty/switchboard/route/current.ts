/** Whether what stands in the shared dicts is what Redis has, as far as this node has been told. */

import { parent_of } from "../schema/within";
import { epoch_of } from "../store/trust";
import { part_of } from "./codec";
import * as dict from "./dict";
import { Dicts, Match } from "./dict";
import { Stored } from "./stored";
import { is_settled, match_stamp, route_stamp } from "./fence";
import { patterns } from "./host";
import { Loaded } from "./loader";

/**
 * Whether nothing that a stored route was made of has changed since its load began.
 *
 * Where it is made of its own keys alone, other names under its counter may have changed. Where there is a pool or a host
 * whose options it has, nobody reads it again when these change: who asks for it does.
 */
function is_current(dicts: Dicts, name: string, stored: Stored): boolean {
  const part = part_of(stored.text);
  return (
    stored.stamp === route_stamp(dicts.state, name, part) ||
    (part === undefined && parent_of(name) === undefined && is_settled(dicts.state, name))
  );
}

/** The same for a host without a route of its own. */
function is_current_match(dicts: Dicts, name: string, match: Match): boolean {
  return match.stamp === match_stamp(dicts.state, name, patterns(name));
}

/**
 * What a load that began at `began` in another worker has left in the dicts; undefined: nothing.
 *
 * What is of an earlier epoch is not enough, though it was written just now: its route is gone from Redis and served until
 * that is believed (`doubt` of route/conclude). Taken for the answer, it was served for a whole `ttl`.
 */
function left_by_others(dicts: Dicts, name: string, began: number): Loaded | undefined {
  const epoch = epoch_of(dicts.state);
  const serves = (found: Stored | Match): boolean => found.loaded >= began && found.epoch === epoch;
  const stored = dict.read_route(dicts, name);
  if (stored !== undefined) {
    return serves(stored) && is_current(dicts, name, stored)
      ? { stored, pattern: "", missing: false }
      : undefined;
  }
  const match = dict.read_match(dicts, name);
  return match !== undefined && serves(match) && is_current_match(dicts, name, match)
    ? { stored: undefined, pattern: match.pattern, missing: true }
    : undefined;
}

export { is_current, is_current_match, left_by_others };
