/** A name's keys have changed: what is known of it is out of date from then on, and read again where it matters here. */

import { tell } from "../observe/journal";
import { load_quickly, load_rest, MOST_AT_ONCE } from "./bulk";
import { bump } from "./fence";
import { Loader } from "./loader";
import {
  create as create_outstanding,
  note_change,
  note_read,
  note_stranger,
  Outstanding,
} from "./outstanding";
import { create as create_reloads, mark, Over, Reloads, try_again as try_names_again } from "./reload";
import { is_pattern, is_pool } from "./remember";

/** Names that are written between two turns of others: they come together, and each takes 30 us where nothing else like it runs. */
const PIECE = 5;
/** Seconds that a reload may take. */
const PATIENCE = 2;
/** Names that are tried again at a time, when they could not be read: Redis may be refusing everything. */
const MOST_RETRIED = 256;

export interface Renewal {
  loader: Loader;
  reloads: Reloads;
  outstanding: Outstanding;
}

/** Reads what has changed. Yields. @param over hears of each name when it is read, or could not be */
function reload(loader: Loader, names: string[], over: Over): void {
  const left = load_quickly(loader, names, PATIENCE, PIECE, false);
  const waiting = new LuaSet<string>();
  for (const name of left) {
    waiting.add(name);
  }
  for (const name of names) {
    if (!waiting.has(name)) {
      over(name, false);
    }
  }
  load_rest(loader, left, PATIENCE, ({ name, loaded, err }) => {
    if (loaded === undefined) {
      tell(ngx.ERR, "reload_failed", `could not read what has changed, it is tried again: ${err}`);
    }
    over(name, loaded === undefined);
  });
}

function create(loader: Loader): Renewal {
  const renewal: Renewal = {
    loader,
    reloads: create_reloads(
      MOST_AT_ONCE,
      (names, over) => reload(loader, names, over),
      (name) => note_read(renewal.outstanding, name),
    ),
    outstanding: create_outstanding(loader.dicts.state),
  };
  return renewal;
}

/** Whether somebody on this node has asked for the name, or relies on its absence. */
function matters({ config, dicts, with_ports }: Loader, name: string): boolean {
  if (config.preload || with_ports || is_pattern(name) || is_pool(name)) {
    return true;
  }
  const [route] = dicts.routes.get(name);
  if (route !== undefined) {
    return true;
  }
  const [match] = dicts.matches.get(name);
  return match !== undefined;
}

/** Call it for each name of a key of which Redis says that it has changed. */
function note(renewal: Renewal, name: string): void {
  // Before anything else: what is being read right now is out of date.
  bump(renewal.loader.dicts.state, name);
  if (matters(renewal.loader, name)) {
    note_change(renewal.outstanding, name);
    mark(renewal.reloads, name);
  } else {
    note_stranger(renewal.outstanding, name);
  }
}

/** All names are about to be read, whether or not it was heard that they have changed. */
function start_over(renewal: Renewal): void {
  renewal.reloads.failed = new LuaSet();
  renewal.outstanding = create_outstanding(renewal.loader.dicts.state);
}

/** What could not be read is tried again. Call it now and then, while changes are heard. */
function try_again(renewal: Renewal): void {
  try_names_again(renewal.reloads, MOST_RETRIED);
}

/** The longest that a name has waited for its reload since this was asked last, in seconds. */
function take_lag({ reloads }: Renewal): number {
  const { lag } = reloads;
  reloads.lag = 0;
  return lag;
}

export { create, note, start_over, take_lag, try_again };
