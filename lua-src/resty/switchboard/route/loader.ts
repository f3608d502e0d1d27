/**
 * Brings what Redis says about a name into the shared dicts: one load per name and node at a time.
 *
 * A load asks for the exact name and, where that was not known before, in the same round trip which patterns
 * are known.
 */

import { Config } from "../config";
import { has_ports, Layout } from "../schema/layout";
import { Kind, Problem } from "../schema/record";
import { note_trouble } from "../store/outage";
import { Dicts } from "./dict";
import { Stored } from "./stored";
import { begin, CHANGED, conclude, has_changed, kind_of, patterns_to_ask, source_of } from "./conclude";
import { left_by_others } from "./current";
import { once_per_node } from "./node_flight";
import { read_route } from "./read";
import { create as create_flights, Flights, once } from "./single_flight";

/** What is known of a name after a load: a route, a pattern that has it, or nothing. */
export interface Loaded {
  stored: Stored | undefined;
  /** Empty: unknown. */
  pattern: string;
  /** Redis does not have it, whatever is served. */
  missing: boolean;
}

/** Looks at a name that goes on changing while it is read. */
const MOST_ATTEMPTS = 5;

export interface Loader {
  config: Config;
  layouts: Layout[];
  /** Names may say a port: then a host has them as a pattern has hosts. */
  with_ports: boolean;
  dicts: Dicts;
  flights: Flights<Loaded>;
  /** The kind of set that was found last where many names are read: the next name's is likely the same. */
  usual: Kind;
  /** Batches of new names that are still to be read in full: of the last ones most were not plain. */
  in_full: number;
  /** Hears of every value that was skipped. */
  report: (this: void, name: string, problem: Problem) => void;
  /** Asks for a load of the name in so many seconds. */
  again: (this: void, name: string, seconds: number) => void;
}

/** One look at Redis, unguarded. */
function attempt(
  loader: Loader,
  name: string,
  deadline: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  const began = begin(loader, name);
  const source = source_of(loader, began, deadline);
  const [answer, err] = read_route(source, name, kind_of(began), patterns_to_ask(began));
  if (answer === undefined) {
    return $multi(undefined, err);
  }
  const [loaded, failed] = conclude(loader, name, began, answer, deadline);
  if (loaded !== undefined && has_changed(loader, name, began)) {
    return $multi(undefined, CHANGED);
  }
  return $multi(loaded as Loaded, failed as undefined);
}

/** Reads until nothing changed meanwhile; unguarded: `load` is what others call. */
function run(
  loader: Loader,
  name: string,
  patience: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  const deadline = ngx.now() + patience;
  let [loaded, err] = attempt(loader, name, deadline);
  for (const _ of $range(2, MOST_ATTEMPTS)) {
    if (err !== CHANGED || ngx.now() >= deadline) {
      break;
    }
    [loaded, err] = attempt(loader, name, deadline);
  }
  if (loaded === undefined) {
    note_trouble(loader.dicts.state, err!);
    return $multi(undefined, err!);
  }
  return $multi(loaded, undefined);
}

/**
 * Loads a name from Redis into the shared dicts.
 *
 * @param patience seconds that the caller waits at most
 * @param seen ngx.now() at which what the caller has was read, where what another worker has just read will do as well; 0: it
 * has nothing
 * @returns what is known now; or nil and why nothing could be learnt
 */
function load(
  loader: Loader,
  name: string,
  patience: number,
  seen?: number,
): LuaMultiReturn<[Loaded, undefined] | [undefined, string]> {
  return once(loader.flights, name, patience, () =>
    once_per_node(
      loader.dicts.state,
      name,
      patience,
      () => run(loader, name, patience),
      (began) => left_by_others(loader.dicts, name, began),
      seen,
    ),
  );
}

function create(
  config: Config,
  layouts: Layout[],
  dicts: Dicts,
  report: Loader["report"],
  again: Loader["again"],
): Loader {
  return {
    config,
    layouts,
    with_ports: has_ports(config.schema) || has_ports(config.server_schemas),
    dicts,
    flights: create_flights(),
    usual: "set",
    in_full: 0,
    report,
    again,
  };
}

export { create, load };
