/**
 * Loads many names that nobody here knows yet and that are likely plain, as almost all are where all routes are read.
 *
 * What route/bulk does with a name it does here without a table for each name and step: a million of them were two
 * thirds of the garbage, and the collector took a third of the worker's time.
 */

import { note_event } from "../observe/events";
import { Quick } from "../schema/layout";
import { Command, Reply, transaction } from "../store/redis";
import { epoch_of, is_complete } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { take_note } from "./bulk";
import { publish, revise } from "./changes";
import { encode_plain, join } from "./codec";
import * as dict from "./dict";
import { own_stamp } from "./fence";
import { pack_lives } from "./lives";
import { Loader } from "./loader";
import { add_all, removals } from "./names";
import { quick_of } from "./read_many";
import { instances, is_pattern, is_pool, save } from "./remember";

/** Names that are asked for together; the lists have one order. */
interface Questions {
  names: string[];
  /** What route/fence said before they were asked. */
  stamps: number[];
  commands: Command[];
}

/** @param left gets the names that are not asked for here */
function ask(loader: Loader, quick: Quick, names: string[], left: string[]): Questions {
  const { state } = loader.dicts;
  const questions: Questions = { names: [], stamps: [], commands: [] };
  for (const name of names) {
    // Other names depend on these.
    const leads = is_pattern(name) || is_pool(name);
    if (!leads && quick.ask(questions.commands, name, loader.usual)) {
      questions.names.push(name);
      questions.stamps.push(own_stamp(state, name));
    } else {
      left.push(name);
    }
  }
  return questions;
}

/** What the routes of the names are; the lists have their order. */
interface Answers {
  /** Empty: it is not plain, or has changed since it was asked. */
  texts: string[];
  /** How many instances. */
  counts: number[];
}

function decode(loader: Loader, quick: Quick, { names, stamps }: Questions, replies: Reply[]): Answers {
  const { state } = loader.dicts;
  const kind = loader.usual;
  const answers: Answers = { texts: [], counts: [] };
  for (const i of $range(0, names.length - 1)) {
    const plain = quick.decode(kind, replies, i * quick.commands);
    let text = "";
    let count = 0;
    if (plain !== undefined && own_stamp(state, names[i]!) === stamps[i]) {
      count = plain.instances.length;
      const lives = plain.untils !== undefined ? pack_lives(plain.untils) : "";
      text = join(lives, encode_plain(kind, plain.instances));
    }
    answers.texts[i] = text;
    answers.counts[i] = count;
  }
  return answers;
}

/** A name of which this node said that nobody has it, or a pattern. */
function end_match(loader: Loader, name: string): void {
  dict.delete_match(loader.dicts, name);
  publish(loader.dicts.state, name);
}

/** Writes the routes. @param left gets the names of those that have no text */
function write(
  loader: Loader,
  { names, stamps }: Questions,
  { texts, counts }: Answers,
  stored: dict.Stored,
  left: string[],
): void {
  const { dicts } = loader;
  const fresh: string[] = [];
  for (const i of $range(0, names.length - 1)) {
    if (texts[i] !== "") {
      fresh.push(names[i]!);
    } else {
      left.push(names[i]!);
    }
  }
  const before = removals(dicts.names);
  const pages = add_all(dicts.names, fresh);
  const complete = is_complete(dicts.state);
  for (const i of $range(0, names.length - 1)) {
    const name = names[i]!;
    if (texts[i] !== "") {
      stored.stamp = stamps[i]!;
      stored.page = pages.get(name);
      stored.text = texts[i]!;
      save(loader, name, stored, before);
      if (own_stamp(dicts.state, name) !== stored.stamp) {
        // See `has_changed` of route/conclude.
        left.push(name);
      }
      const was_matched = dict.read_match(dicts, name) !== undefined;
      if (was_matched) {
        end_match(loader, name);
      }
      if (was_matched || complete) {
        note_event("route_added", name, instances(counts[i]!));
      }
    }
  }
  if (fresh.length > 0) {
    revise(dicts.state);
  }
}

/**
 * Loads those of some new names that are plain. Yields, and does not raise.
 *
 * @param patience seconds for the round trip
 * @returns the names that are left to `load_many` of route/bulk
 */
function load_plain(loader: Loader, names: string[], patience: number): string[] {
  const quick = quick_of(loader.layouts);
  if (quick === undefined || loader.in_full > 0) {
    return names;
  }
  const left: string[] = [];
  const now = ngx.now();
  const epoch = epoch_of(loader.dicts.state);
  const questions = ask(loader, quick, names, left);
  if (questions.names.length === 0) {
    return names;
  }
  const [replies] = transaction(loader.config, questions.commands, patience);
  if (replies === undefined || epoch_of(loader.dicts.state) !== epoch) {
    return names;
  }
  const before = left.length;
  const answers = decode(loader, quick, questions, replies);
  const stored = { loaded: now, fresh: LONGEST_FRESH, held: false, epoch, stamp: 0, page: 0, text: "" };
  write(loader, questions, answers, stored, left);
  take_note(loader, questions.names.length, left.length - before);
  return left;
}

export { load_plain };
