/**
 * The instances that are out of this worker's pools, and how they come back.
 *
 * Other workers' ejections are heard of by the ring of changed names, within a tick. While somebody is out a timer looks
 * ten times a second whose time is over; once a second one worker of the node sees whether such an instance takes
 * connections again, which ends its time early.
 */

import { InstanceState, on_fresh, set_usable, state_of } from "../balance/instances";
import { throw_below } from "../balance/dice";
import { count } from "../observe/counters";
import { note_event } from "../observe/events";
import { tell } from "../observe/journal";
import { publish } from "../route/changes";
import {
  acquit,
  BY_HAND,
  eject_by_hand,
  Ejection,
  ejection_of,
  may_probe,
  may_try,
  note_failure,
  note_success,
  pardon,
  WINDOW,
} from "./verdict";

/** In front of an identity in the ring of changed names: no name begins with it. */
const MARK = "^";
const LOOK_EVERY = 0.1;
/** Seconds that a probe waits. */
const PROBE_PATIENCE = 1;
/** Probes of a worker at a time. */
const MOST_PROBES = 16;
const FINE = 1000000;

interface Ward {
  state: NgxSharedDict;
  /** By identity; held here, so that none is forgotten while it is out. */
  out: LuaTable<string, InstanceState>;
  looking: boolean;
  probes: number;
}

let ward: Ward | undefined = undefined;

function release(from: Ward, instance: InstanceState): void {
  from.out.delete(instance.identity);
  instance.suspect = true;
  set_usable(instance, true, ngx.now());
}

/** Sees whether an instance takes connections. Yields. */
function probe(from: Ward, identity: string): void {
  const [host, port] = string.match(identity, "^https?://(.-):(%d+)$");
  const [inner] = string.match(host ?? "", "^%[(.*)%]$");
  const socket = ngx.socket.tcp();
  socket.settimeout(PROBE_PATIENCE * 1000);
  const [connected] = socket.connect(inner !== undefined ? `[${inner}]` : (host ?? ""), tonumber(port)!);
  if (connected !== undefined) {
    socket.close();
    pardon(from.state, identity);
  }
  from.probes -= 1;
}

function look_at(from: Ward, identity: string, instance: InstanceState): void {
  const ejection = ejection_of(from.state, identity);
  if (ejection === undefined) {
    if (may_try(from.state, identity)) {
      release(from, instance);
    }
    return;
  }
  // What answers with errors takes connections too, and what an operator took out stays out.
  const says_something = ejection.reason !== "5xx" && ejection.reason !== BY_HAND;
  const may_be_back = says_something && from.probes < MOST_PROBES;
  if (may_be_back && may_probe(from.state, identity)) {
    from.probes += 1;
    ngx.thread.spawn(probe, from, identity);
  }
}

function look(premature: boolean, from: Ward): void {
  if (premature || ngx.worker.exiting()) {
    from.looking = false;
    return;
  }
  let left = false;
  for (const [identity, instance] of pairs(from.out)) {
    look_at(from, identity, instance);
    left = true;
  }
  const [started] = left ? ngx.timer.at(LOOK_EVERY, look, from) : [undefined];
  from.looking = started !== undefined;
}

/** Takes an instance out of this worker's pools until its time is over. */
function take_out(from: Ward, instance: InstanceState): void {
  from.out.set(instance.identity, instance);
  set_usable(instance, false, ngx.now());
  if (!from.looking) {
    const [started] = ngx.timer.at(LOOK_EVERY, look, from);
    from.looking = started !== undefined;
  }
}

/**
 * Makes this worker hear of ejections. Once, before the first route is made.
 *
 * @param state the dict that the workers share
 */
function start(state: NgxSharedDict): void {
  const here: Ward = { state, out: new LuaTable(), looking: false, probes: 0 };
  ward = here;
  // A reload, or a route that is new here: others may know already.
  on_fresh((instance) => {
    if (ejection_of(state, instance.identity) !== undefined) {
      take_out(here, instance);
    }
  });
}

/** Takes a word from the ring of changed names. */
function hear(word: string): void {
  if (ward === undefined) {
    return;
  }
  const identity = string.sub(word, 2);
  const instance = state_of(identity);
  if (instance.usable && ejection_of(ward.state, identity) !== undefined) {
    take_out(ward, instance);
  }
}

/**
 * Hears that a try failed, for which the instance is to blame.
 *
 * @param reason as the client is told it, or `5xx`
 */
function fail(instance: InstanceState, reason: string): void {
  if (ward === undefined) {
    return;
  }
  const now = ngx.now();
  const asked = now - instance.noted_at <= WINDOW ? instance.ended - instance.noted : 0;
  instance.noted = instance.ended;
  instance.noted_at = now;
  instance.suspect = true;
  const { state } = ward;
  if (note_failure(state, instance.identity, reason, math.max(asked, 1), now, throw_below(FINE) / FINE)) {
    count("switchboard_ejections_total", 1);
    note_event("instance_ejected", instance.identity, reason);
    tell(ngx.WARN, `ejected ${instance.identity}`, `${instance.identity} is out: ${reason}`);
    take_out(ward, instance);
    publish(state, MARK + instance.identity);
  }
}

/** Hears that an instance answered which had failed. */
function succeed(instance: InstanceState): void {
  instance.suspect = false;
  if (ward !== undefined && note_success(ward.state, instance.identity)) {
    note_event("instance_recovered", instance.identity, "");
  }
}

/**
 * Takes an instance out of all workers' pools, for an operator.
 *
 * @param seconds how long
 */
function eject(identity: string, seconds: number): void {
  if (ward !== undefined) {
    eject_by_hand(ward.state, identity, seconds, ngx.now());
    note_event("instance_ejected", identity, string.format("by hand, for %.0f s", seconds));
    take_out(ward, state_of(identity));
    publish(ward.state, MARK + identity);
  }
}

/** Puts an instance back into all workers' pools, for an operator: each does so when it looks next. */
function restore(identity: string): void {
  if (ward !== undefined) {
    acquit(ward.state, identity);
    note_event("instance_recovered", identity, "by hand");
  }
}

/** Who is out of this worker's pools, why and until when. */
function list_out(): { identity: string; ejection: Ejection | undefined }[] {
  const found: { identity: string; ejection: Ejection | undefined }[] = [];
  if (ward !== undefined) {
    for (const [identity] of pairs(ward.out)) {
      found.push({ identity, ejection: ejection_of(ward.state, identity) });
    }
  }
  return found;
}

export { eject, fail, hear, list_out, MARK, restore, start, succeed };
