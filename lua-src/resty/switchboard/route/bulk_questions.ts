/** What Redis is asked about many names that are likely plain: two commands for each, and nothing that is known already. */

import { Quick } from "../schema/layout";
import { Kind } from "../schema/record";
import { Command } from "../store/redis";
import { kind_if_plain } from "./codec";
import * as dict from "./dict";
import { counter_of, value_of } from "./fence";
import { Loader } from "./loader";
import { is_pattern, is_pool } from "./remember";
import { page_in, text_in } from "./stored";
import { give_way } from "./turn";

/** The text of what is not there. */
const NOTHING = "";

/** Names that are asked for together; the lists have one order. */
export interface Questions {
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

/** The kind of set with which a name is asked for; undefined: it is likely not plain. */
function kind_to_try(loader: Loader, text: string): Kind | undefined {
  if (text !== NOTHING) {
    return kind_if_plain(text);
  }
  return loader.in_full > 0 ? undefined : loader.usual;
}

/** Others have a turn after each step of what is done for all names, unless these are a piece. Yields. */
function end_turn(asked: Questions, piece: number): void {
  if (asked.names.length > piece) {
    give_way();
  }
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

export { ask, end_turn, NOTHING };
