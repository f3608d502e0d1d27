/**
 * Loads many names that are likely plain, as almost all are: those that have changed, and all of them at a preload.
 *
 * What route/bulk does with a name is done here without a table for each name and step: with a million of them these were
 * two thirds of the garbage, and the collector took a third of the worker's time.
 */

import { Layout, Quick } from "../schema/layout";
import { transaction } from "../store/redis";
import { epoch_of } from "../store/trust";
import { LONGEST_FRESH } from "./age";
import { learn, take_in } from "./bulk_answers";
import { ask, end_turn } from "./bulk_questions";
import { kind_if_plain } from "./codec";
import { Loader } from "./loader";
import { Stored } from "./stored";

/** The quick way; undefined: there is none, as with several layouts. */
function quick_of(layouts: Layout[]): Quick | undefined {
  return layouts.length === 1 ? layouts[0]!.quick : undefined;
}

/** Whether a name that was known is asked for the quick way first. */
function was_tried(loader: Loader, old: Stored | undefined): boolean {
  return old !== undefined && quick_of(loader.layouts) !== undefined && kind_if_plain(old.text) !== undefined;
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
  are_new: boolean,
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
  end_turn(asked, piece);
  const [replies] = transaction(loader.config, asked.commands, patience);
  if (replies === undefined) {
    return names;
  }
  end_turn(asked, piece);
  const stored = { loaded: now, fresh: LONGEST_FRESH, held: false, epoch, stamp: 0, page: 0, text: "" };
  take_in(loader, quick, asked, replies, stored, left, piece);
  return left;
}

export { load_plain, was_tried };
