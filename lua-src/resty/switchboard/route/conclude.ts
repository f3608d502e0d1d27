/**
 * What an answer of Redis makes of the shared dicts: a route, a host of a pattern, nobody; or a doubt.
 *
 * Everything that a load must have noted before it asks is noted by `begin`.
 */

import { note_event } from "../observe/events";
import { check_of } from "../schema/check";
import { Kind, part_of } from "../schema/record";
import { believes_losses, epoch_of } from "../store/trust";
import { publish, revise } from "./changes";
import { decode, encode, encode_lives, has_members } from "./codec";
import * as dict from "./dict";
import { Stored } from "./stored";
import { hear_marks } from "./heard_marks";
import { bump_pattern, match_stamp, own_stamp, route_stamp, stamp } from "./fence";
import { patterns } from "./host";
import { Loaded, Loader } from "./loader";
import { keep_problems } from "./problems";
import { Answer, read_route, Source } from "./read";
import { Began, has_others, is_pattern, is_pool, remember, Said, save } from "./remember";
import { resolve_instances } from "./resolve";

/** Seconds by which a timer may be early. */
const A_MOMENT = 0.002;
const CHANGED = "it changed while it was read";

function begin(loader: Loader, name: string): Began {
  const state = loader.dicts.state;
  const candidates = is_pattern(name) || is_pool(name) ? [] : patterns(name);
  const began: Began = {
    now: ngx.now(),
    epoch: epoch_of(state),
    stamp: own_stamp(state, name),
    match_stamp: match_stamp(state, name, candidates),
    candidates,
    old: undefined,
    last: undefined,
  };
  // After the counters: what another load has written is then no older than they are.
  began.old = dict.read_route(loader.dicts, name);
  began.last = began.old !== undefined ? decode(began.old.text) : undefined;
  return began;
}

/**
 * Whether something may have been missed since: Redis may have been asked before a change of which nobody tells any more, and
 * the look at all names may have passed by this one.
 */
function is_overtaken(state: NgxSharedDict, began: Began): boolean {
  return epoch_of(state) !== began.epoch;
}

/**
 * Whether a name was changed since its load began. Ask once more when what was read is written: if the change came after the
 * last look and was read in between, what it made was overwritten, and nobody would read it again.
 */
function has_changed(loader: Loader, name: string, began: Began): boolean {
  return own_stamp(loader.dicts.state, name) !== began.stamp;
}

/** The kind of set that its instances stood in; undefined: not known. */
function kind_of(began: Began): Kind | undefined {
  return began.last !== undefined && began.last.options.pool === undefined ? began.last.kind : undefined;
}

/** Whether it has been its pattern's route under marks of its own: it comes and goes with these. */
function was_under_marks(began: Began): boolean {
  return began.last?.under !== undefined;
}

/** Who else may have a name: of one that has had a route of its own that is asked when it is gone. */
function patterns_to_ask(began: Began): string[] {
  return began.old === undefined || was_under_marks(began) ? began.candidates : [];
}

function source_of(loader: Loader, began: Began, deadline: number): Source {
  const { state } = loader.dicts;
  return {
    config: loader.config,
    layouts: loader.layouts,
    last: began.last,
    deadline,
    stamp: (pool) => stamp(state, pool),
  };
}

/** The same route under another head. */
function with_head(old: Stored, began: Began, epoch: number, fresh: number, held: boolean): Stored {
  return {
    loaded: began.now,
    fresh,
    held,
    epoch,
    stamp: began.stamp,
    page: old.page,
    text: old.text,
  };
}

/**
 * Keeps the last good instances of a route that became empty for `empty_hold`: a platform that deletes and
 * adds in two steps must not cost a request.
 *
 * @returns the held route; undefined when the emptiness is to be believed
 */
function hold(loader: Loader, name: string, began: Began): Stored | undefined {
  const { old, now } = began;
  const hold_for = loader.config.empty_hold;
  if (
    old === undefined ||
    hold_for <= 0 ||
    is_pool(name) ||
    // It was doubted, which is longer than held.
    old.epoch !== began.epoch ||
    !has_members(old.text)
  ) {
    return undefined;
  }
  if (old.held) {
    if (now >= old.loaded + hold_for) {
      return undefined;
    }
    // Another worker's refresh may come right after the load that began to hold.
    if (old.stamp !== began.stamp) {
      old.stamp = began.stamp;
      save(loader, name, old);
    }
    return old;
  }
  const held = with_head(old, began, began.epoch, hold_for, true);
  save(loader, name, held);
  loader.again(name, hold_for + A_MOMENT);
  // Should this worker end before that, the next request asks.
  publish(loader.dicts.state, name);
  return held;
}

/**
 * Serves on what is gone from Redis until the node knows whether to believe that; see route/check.
 *
 * @returns undefined: it is to be believed, or cannot be said so simply
 */
function doubt(loader: Loader, name: string, began: Began): Loaded | undefined {
  const { old } = began;
  const { state } = loader.dicts;
  if (
    old === undefined ||
    old.epoch === began.epoch ||
    was_under_marks(began) ||
    is_overtaken(state, began) ||
    believes_losses(state)
  ) {
    return undefined;
  }
  const doubted = with_head(old, began, old.epoch, loader.config.ttl, false);
  save(loader, name, doubted);
  return { stored: doubted, pattern: "", missing: true };
}

function forget(loader: Loader, name: string, began: Began, pattern: string): Loaded {
  const { state } = loader.dicts;
  const before = dict.read_match(loader.dicts, name);
  const lifetime = pattern === "" ? loader.config.negative_ttl : 0;
  const match = { loaded: began.now, epoch: began.epoch, stamp: began.match_stamp, pattern };
  dict.write_match(loader.dicts, name, match, lifetime);
  if (began.old !== undefined) {
    dict.delete_route(loader.dicts, name);
    revise(state);
    if (!was_under_marks(began)) {
      note_event("route_removed", name, pattern !== "" ? `${pattern} has it now` : "");
    }
    if (has_others(loader, name)) {
      bump_pattern(state, name);
    }
  }
  if (began.old !== undefined || (before !== undefined && before.pattern !== pattern)) {
    publish(state, name);
  }
  return { stored: undefined, pattern, missing: !was_under_marks(began) };
}

/** Whether the name's keys, or what decides to whom it belongs, have changed since. */
function is_outdated(loader: Loader, name: string, began: Began): boolean {
  const { state } = loader.dicts;
  return is_overtaken(state, began) || match_stamp(state, name, began.candidates) !== began.match_stamp;
}

/** What the answer of Redis makes of a name, doubts and holds included; what is gone may be asked for once more. */
function conclude(
  loader: Loader,
  name: string,
  began: Began,
  first: Answer,
  deadline: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  const { state } = loader.dicts;
  const { old, candidates } = began;
  if (is_overtaken(state, began)) {
    return $multi(undefined, CHANGED);
  }
  let answer = first;
  const under_marks = was_under_marks(began);
  if (!under_marks && (answer.record === undefined || answer.record.instances.length === 0)) {
    const doubted = answer.record === undefined ? doubt(loader, name, began) : undefined;
    if (doubted !== undefined) {
      return $multi(doubted, undefined);
    }
    const held = hold(loader, name, began);
    if (held !== undefined) {
      return $multi({ stored: held, pattern: "", missing: answer.record === undefined }, undefined);
    }
  }
  if (answer.record === undefined && old !== undefined && !under_marks && candidates.length > 0) {
    // Its own name is gone; a pattern may have it.
    const [other, err] = read_route(source_of(loader, began, deadline), name, undefined, candidates);
    if (other === undefined) {
      return $multi(undefined, err);
    }
    answer = other;
  }
  const record = answer.record;
  if (record === undefined) {
    if (is_outdated(loader, name, began)) {
      return $multi(undefined, CHANGED);
    }
    return $multi(forget(loader, name, began, answer.pattern), undefined);
  }
  const resolve_again = resolve_instances(loader.config, record, began.last, deadline);
  if (
    is_overtaken(state, began) ||
    route_stamp(state, name, part_of(record)) !== began.stamp + answer.pool_stamp
  ) {
    return $multi(undefined, CHANGED);
  }
  for (const problem of record.problems) {
    loader.report(name, problem);
  }
  keep_problems(loader.dicts, name, began.now, record.problems);
  hear_marks(loader.config, record, began.last);
  const said: Said = {
    body: encode(record),
    lives: encode_lives(record),
    count: record.instances.length,
    pool_stamp: answer.pool_stamp,
    resolve_again,
    is_checked: check_of(record.options.policy)?.always === true,
    under: record.under !== undefined,
  };
  return $multi(remember(loader, name, began, said), undefined);
}

export { begin, CHANGED, conclude, doubt, has_changed, is_overtaken, kind_of, patterns_to_ask, source_of };
