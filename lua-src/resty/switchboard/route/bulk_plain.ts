/**
 * Loads many names that are likely plain, as almost all are: those that have changed, and all of them at a preload.
 *
 * What route/bulk does with a name it does here without a table for each name and step: with a million of them these were
 * two thirds of the garbage, and the collector took a third of the worker's time.
 */

import { Layout, Quick } from "../schema/layout";
import { Kind } from "../schema/record";
import { Command, Reply, transaction } from "../store/redis";
import { epoch_of, is_complete } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { revise } from "./changes";
import { encode_plain, join, kind_if_plain } from "./codec";
import * as dict from "./dict";
import { counter_of, value_of } from "./fence";
import { pack_lives } from "./lives";
import { Loader } from "./loader";
import { add_all, removals } from "./names";
import { is_pattern, is_pool, save, save_new, tell_again, tell_new } from "./remember";
import { page_in, Stored, text_in } from "./stored";
import { give_way } from "./turn";

/** Batches in which no new name is taken for plain, after one in which most were not. */
const IN_FULL = 16;
/** Of what is not there. */
const NOTHING = "";

/** Names that are asked for together; the lists have one order. */
interface Questions {
  names: string[];
  kinds: Kind[];
  /** The keys of their counters, which are all that route/fence has of a plain name, and what they were before it was asked. */
  counters: string[];
  stamps: number[];
  /** What the dict said of them; NOTHING: they are new. */
  texts: string[];
  /** Where those that are known stand in the list of names. */
  pages: number[];
  commands: Command[];
  /** How many are new, and were asked for by a guess. */
  guessed: number;
}

/** The quick way; undefined: there is none, as with several layouts. */
function quick_of(layouts: Layout[]): Quick | undefined {
  return layouts.length === 1 ? layouts[0]!.quick : undefined;
}

/** The kind of set with which a name is asked for; undefined: it is likely not plain. */
function kind_to_try(loader: Loader, text: string): Kind | undefined {
  if (text !== NOTHING) {
    return kind_if_plain(text);
  }
  return loader.in_full > 0 ? undefined : loader.usual;
}

/** Whether a name that was known is asked for the quick way first. */
function was_tried(loader: Loader, old: Stored | undefined): boolean {
  return old !== undefined && quick_of(loader.layouts) !== undefined && kind_if_plain(old.text) !== undefined;
}

/**
 * Makes the questions, piece by piece. Yields.
 *
 * @param left gets the names that are not asked for here
 */
function ask(
  loader: Loader,
  quick: Quick,
  names: string[],
  left: string[],
  piece: number,
  are_new: boolean,
): Questions {
  const { dicts } = loader;
  const asked: Questions = {
    names: [],
    kinds: [],
    counters: [],
    stamps: [],
    texts: [],
    pages: [],
    commands: [],
    guessed: 0,
  };
  for (const i of $range(0, names.length - 1)) {
    const name = names[i]!;
    if (!are_new && i > 0 && i % (2 * piece) === 0) {
      give_way();
    }
    // Before the entry: what another load has written is then no older than that.
    const counter = counter_of(name);
    const stamp = value_of(dicts.state, counter);
    // Other names depend on these.
    const leads = is_pattern(name) || is_pool(name);
    const entry = leads || are_new ? undefined : dict.read_entry(dicts, name);
    const text = entry !== undefined ? text_in(entry) : NOTHING;
    const kind = leads ? undefined : kind_to_try(loader, text);
    if (kind !== undefined && quick.ask(asked.commands, name, kind)) {
      asked.names.push(name);
      asked.kinds.push(kind);
      asked.counters.push(counter);
      asked.stamps.push(stamp);
      asked.texts.push(text);
      asked.pages.push(entry !== undefined ? page_in(entry) : 0);
      asked.guessed += entry === undefined ? 1 : 0;
    } else {
      left.push(name);
    }
  }
  return asked;
}

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
    const plain = quick.decode(kind, replies, i * quick.commands);
    answers.bodies[i] = NOTHING;
    answers.lives[i] = "";
    answers.counts[i] = 0;
    if (plain === undefined) {
      answers.wrong += asked.texts[i] === NOTHING ? 1 : 0;
    } else if (value_of(state, asked.counters[i]!) === asked.stamps[i]) {
      answers.bodies[i] = encode_plain(kind, plain.packed, plain.count);
      answers.lives[i] = plain.untils !== undefined ? pack_lives(plain.untils) : "";
      answers.counts[i] = plain.count;
    }
  }
}

/** Where those that are new stand in the list of names: together they get their places at once, before it is known whether all of them are plain. */
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

/**
 * Loads those of some names that are plain. Yields.
 *
 * @param patience seconds for the round trip
 * @param piece names that are taken between two turns of others
 * @param are_new they are likely not in the dict, where a look for each would cost more than what it is asked; those that are
 * there are left
 * @returns the names that are left
 */
function load_plain(
  loader: Loader,
  names: string[],
  patience: number,
  piece: number,
  are_new = false,
): string[] {
  const quick = quick_of(loader.layouts);
  if (quick === undefined) {
    return names;
  }
  const left: string[] = [];
  const now = ngx.now();
  const epoch = epoch_of(loader.dicts.state);
  const asked = ask(loader, quick, names, left, piece, are_new);
  if (asked.names.length === 0) {
    learn(loader, 0, 0);
    return names;
  }
  const [replies] = transaction(loader.config, asked.commands, patience);
  if (replies === undefined) {
    return names;
  }
  if (asked.names.length > piece) {
    // To read them was a turn of its own.
    give_way();
  }
  const stored = { loaded: now, fresh: LONGEST_FRESH, held: false, epoch, stamp: 0, page: 0, text: "" };
  take_in(loader, quick, asked, replies, stored, left, piece);
  return left;
}

export { load_plain, was_tried };
