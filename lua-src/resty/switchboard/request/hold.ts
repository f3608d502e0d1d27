/** The places that a request has on a route with limits: its own, to the end of its body, and one in the queue before. */

import { leave as leave_line, Waiter, wake } from "../balance/line";
import { Peer } from "../balance/peer";
import { at_instance, leave, NONE, take } from "../balance/places";
import { RequestState } from "./state";

/** Of the route. */
const ROUTE = 0;
/** At the instance. */
const INSTANCE = 1;
const QUEUE = 2;

type Kind = typeof ROUTE | typeof INSTANCE | typeof QUEUE;

export interface Hold {
  /** What it has a place of, by kind, and which; NONE: it has none. */
  names: string[];
  places: number[];
  /** Where the first try goes; undefined: that is said, or not known yet. */
  peer: Peer | undefined;
  /** Where it stands while it waits. */
  waiter: Waiter | undefined;
}

function create(): Hold {
  return { names: ["", "", ""], places: [NONE, NONE, NONE], peer: undefined, waiter: undefined };
}

/** Takes a place, which it must not have; false: all are taken. */
function take_place(hold: Hold, kind: Kind, name: string, most: number): boolean {
  const place = take(name, most);
  hold.names[kind] = name;
  hold.places[kind] = place;
  return place !== NONE;
}

/** Whether the request needs a place at its instance. */
function bounds_instances(state: RequestState): boolean {
  return state.hold !== undefined && (state.entry.policy?.limits?.max_conns ?? 0) > 0;
}

/** Takes a place at an instance; false: it has none left. */
function take_place_at(state: RequestState, peer: Peer): boolean {
  const most = state.entry.policy!.limits!.max_conns;
  return take_place(state.hold!, INSTANCE, at_instance(peer.state.identity), most);
}

function give_back(hold: Hold, kind: Kind): void {
  const place = hold.places[kind]!;
  if (place !== NONE) {
    hold.places[kind] = NONE;
    leave(hold.names[kind]!, place);
  }
}

/**
 * Gives back the place at the instance, if it has one.
 *
 * @param route of whose requests one may wait for it
 */
function leave_instance(hold: Hold, route: string): void {
  if (hold.places[INSTANCE] !== NONE) {
    give_back(hold, INSTANCE);
    wake(route, hold.names[INSTANCE]!);
  }
}

/** No longer waits. */
function leave_queue(hold: Hold): void {
  if (hold.waiter !== undefined) {
    leave_line(hold.waiter);
    hold.waiter = undefined;
  }
  give_back(hold, QUEUE);
}

/** Gives back all that it has, wherever the request ends: also while it waits. */
function let_go(hold: Hold, route: string): void {
  hold.peer = undefined;
  leave_queue(hold);
  leave_instance(hold, route);
  give_back(hold, ROUTE);
}

export {
  bounds_instances,
  create,
  leave_instance,
  leave_queue,
  let_go,
  QUEUE,
  ROUTE,
  take_place,
  take_place_at,
};
