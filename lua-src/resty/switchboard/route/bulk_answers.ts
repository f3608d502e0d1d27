/** What Redis has answered about many names goes into the shared dicts, without a table for each name and step. */

import { new as allocate } from "ffi";
import { Quick } from "../schema/layout";
import { Bytes, FREE, MOST_PACKED, SIZE } from "../schema/plain";
import { Reply } from "../store/redis";
import { epoch_of, is_complete } from "../store/trust";
import { end_turn, NOTHING, Questions } from "./bulk_questions";
import { revise } from "./changes";
import { encode_plain, join } from "./codec";
import * as dict from "./dict";
import { value_of } from "./fence";
import { pack_lives } from "./lives";
import { Loader } from "./loader";
import { add_all, removals } from "./names";
import { save, save_new, tell_again, tell_new } from "./remember";
import { Stored } from "./stored";
import { give_way } from "./turn";

/** Batches in which no new name is taken for plain, after one in which most were not. */
const IN_FULL = 16;
/** The instances of the route that is decoded. */
const PACKED = allocate<Bytes>("uint8_t[?]", FREE + MOST_PACKED * SIZE);

/** What the routes of the names are; the lists have their order. */
interface Answers {
  /** NOTHING: it is not plain, or has changed since it was asked. */
  bodies: string[];
  lives: string[];
  /** How many instances. */
  counts: number[];
  /** How many of those that are new were not plain. */
  wrong: number;
}

/** Of the places `from` to `to`. */
function decode(
  loader: Loader,
  quick: Quick,
  asked: Questions,
  replies: Reply[],
  answers: Answers,
  from: number,
  to: number,
): void {
  const { state } = loader.dicts;
  for (const i of $range(from, to)) {
    const kind = asked.kinds[i]!;
    const plain = quick.decode(kind, replies, i * quick.commands, PACKED);
    answers.bodies[i] = NOTHING;
    answers.lives[i] = "";
    answers.counts[i] = 0;
    if (plain === undefined) {
      answers.wrong += asked.texts[i] === NOTHING ? 1 : 0;
    } else if (value_of(state, asked.counters[i]!) === asked.stamps[i]) {
      answers.bodies[i] = encode_plain(kind, PACKED, plain.count);
      answers.lives[i] = plain.untils !== undefined ? pack_lives(plain.untils) : "";
      answers.counts[i] = plain.count;
    }
  }
}

/** Where those that are new stand in the list of names. They get their places together, before it is known who is plain. */
interface Places {
  pages: LuaTable<string, number>;
  /** What `removals` of route/names said before. */
  before: number;
}

function give_places({ dicts }: Loader, asked: Questions): Places {
  const before = removals(dicts.names);
  const fresh: string[] = [];
  for (const i of $range(0, asked.names.length - 1)) {
    if (asked.texts[i] === NOTHING) {
      fresh.push(asked.names[i]!);
    }
  }
  return { pages: fresh.length > 0 ? add_all(dicts.names, fresh) : new LuaTable(), before };
}

/** A name is left to others, and does not keep the place that it got. */
function leave({ dicts }: Loader, { pages }: Places, name: string, left: string[]): void {
  left.push(name);
  const page = pages.get(name) as number | undefined;
  if (page !== undefined && page > 0) {
    dict.tidy(dicts, page, name);
  }
}

/** Writes the route of the place `i`. @returns false: it is left to others */
function write_one(
  loader: Loader,
  asked: Questions,
  places: Places,
  stored: Stored,
  is_new: boolean,
  i: number,
): boolean {
  const name = asked.names[i]!;
  stored.stamp = asked.stamps[i]!;
  if (is_new) {
    stored.page = places.pages.get(name);
    return save_new(loader, name, stored, places.before);
  }
  stored.page = asked.pages[i]!;
  save(loader, name, stored);
  return true;
}

/**
 * Writes the routes of the places `from` to `to`.
 *
 * @param stored gets what it says from each
 * @param left gets the names of those that have none, are known by now, or have changed meanwhile
 */
function write(
  loader: Loader,
  asked: Questions,
  answers: Answers,
  places: Places,
  stored: Stored,
  left: string[],
  from: number,
  to: number,
): void {
  const { state } = loader.dicts;
  const complete = is_complete(state);
  let differs = false;
  for (const i of $range(from, to)) {
    const name = asked.names[i]!;
    const old = asked.texts[i]!;
    const body = answers.bodies[i]!;
    const lives = answers.lives[i]!;
    const is_new = old === NOTHING;
    stored.text = join(lives, body);
    if (body === NOTHING || !write_one(loader, asked, places, stored, is_new, i)) {
      leave(loader, places, name, left);
    } else {
      if (value_of(state, asked.counters[i]!) !== stored.stamp) {
        // See `has_changed` of route/conclude.
        left.push(name);
      }
      if (is_new) {
        tell_new(loader, name, answers.counts[i]!, false, complete);
        differs = true;
      } else if (tell_again(state, name, old, lives, body, answers.counts[i]!, false)) {
        differs = true;
      }
    }
  }
  if (differs) {
    revise(state);
  }
}

/** Where most of what is new is not plain it is not tried for a while. */
function learn(loader: Loader, guessed: number, wrong: number): void {
  if (wrong * 2 > guessed) {
    loader.in_full = IN_FULL;
  } else if (loader.in_full > 0) {
    loader.in_full -= 1;
  }
}

/**
 * Takes what was answered, piece by piece. Yields.
 *
 * @param stored says in which epoch it was asked: in another one what is left is worth nothing
 */
function take_in(
  loader: Loader,
  quick: Quick,
  asked: Questions,
  replies: Reply[],
  stored: Stored,
  left: string[],
  piece: number,
): void {
  const { state } = loader.dicts;
  const answers: Answers = { bodies: [], lives: [], counts: [], wrong: 0 };
  const places = give_places(loader, asked);
  end_turn(asked, piece);
  const last = asked.names.length - 1;
  let from = 0;
  while (from <= last && epoch_of(state) === stored.epoch) {
    const to = math.min(from + piece - 1, last);
    decode(loader, quick, asked, replies, answers, from, to);
    write(loader, asked, answers, places, stored, left, from, to);
    from = to + 1;
    if (from <= last) {
      give_way();
    }
  }
  for (const i of $range(from, last)) {
    leave(loader, places, asked.names[i]!, left);
  }
  learn(loader, asked.guessed, answers.wrong);
}

export { learn, take_in };
