/**
 * The instances that are out of this worker's pools, and how they come back.
 *
 * Other workers' ejections are heard of by the ring of changed names, within a tick. While somebody is out a timer looks
 * ten times a second whose time is over; once a second one worker of the node sees whether such an instance takes
 * connections again, which ends its time early where it says anything of why it is out.
 *
 * When its time is over one request of the node tries it, in whatever worker the next one comes; the workers take it back
 * when that went well. Until then all other requests go past it.
 */

import {
  each_state,
  InstanceState,
  on_fresh,
  set_on_trial,
  set_usable,
  state_of,
} from "../balance/instances";
import { throw_below } from "../balance/dice";
import { count } from "../observe/counters";
import { note_event } from "../observe/events";
import { tell } from "../observe/journal";
import { publish } from "../route/changes";
import {
  acquit,
  begin_trial,
  BY_HAND,
  CHECK_FAILED,
  eject_by_hand,
  Ejection,
  ejection_of,
  may_probe,
  note_failure,
  note_success,
  pardon,
  PASSED,
  RUNNING,
  TRIAL,
  trial_of,
  waive_trial,
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
function takes_connections(identity: string): boolean {
  const [host, port] = string.match(identity, "^https?://(.-):(%d+)$");
  const socket = ngx.socket.tcp();
  socket.settimeout(PROBE_PATIENCE * 1000);
  const [connected] = socket.connect(host ?? "", tonumber(port)!);
  if (connected !== undefined) {
    socket.close();
  }
  return connected !== undefined;
}

function probe(from: Ward, identity: string): void {
  if (takes_connections(identity)) {
    pardon(from.state, identity);
  }
  from.probes -= 1;
}

/** Of one whose time is over. */
function look_at_trial(from: Ward, identity: string, instance: InstanceState): void {
  const trial = trial_of(from.state, identity);
  if (trial === PASSED) {
    release(from, instance);
  } else if (trial === RUNNING) {
    set_on_trial(instance, 0);
  } else if (instance.on_trial_since === 0) {
    set_on_trial(instance, ngx.now());
  } else if (ngx.now() - instance.on_trial_since >= TRIAL) {
    // Nobody asks for it: it has waited for long enough.
    if (waive_trial(from.state, identity)) {
      note_event("instance_recovered", identity, "untried");
    }
    release(from, instance);
  }
}

/** Whether the request that asks may try an instance that is on trial; no other of the node may then. */
function claim(instance: InstanceState): boolean {
  set_on_trial(instance, 0);
  instance.suspect = true;
  return ward === undefined || begin_trial(ward.state, instance.identity);
}

/** Whether an instance is out for how it answers, or that it does not: that it takes connections says nothing of that. */
function is_about_answers({ reason }: Ejection): boolean {
  return reason === "5xx" || reason === "read_timeout";
}

/** Whether an instance that takes connections may be tried: not one whom its answers, a check or an operator took out. */
function is_about_connections(ejection: Ejection): boolean {
  const { reason } = ejection;
  return !is_about_answers(ejection) && reason !== CHECK_FAILED && reason !== BY_HAND;
}

function look_at(from: Ward, identity: string, instance: InstanceState): void {
  const ejection = ejection_of(from.state, identity);
  if (ejection === undefined) {
    look_at_trial(from, identity, instance);
    return;
  }
  const may_be_back = is_about_connections(ejection) && from.probes < MOST_PROBES;
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

/** The same in all workers; `state` must say so already. */
function take_out_of_all(from: Ward, identity: string): void {
  take_out(from, state_of(identity));
  publish(from.state, MARK + identity);
}

/** Has all workers take out an instance that is out since this moment, and everybody know why. */
function announce(identity: string, why: string): void {
  count("switchboard_ejections_total", 1);
  note_event("instance_ejected", identity, why);
  if (ward !== undefined) {
    take_out_of_all(ward, identity);
  }
}

/** Where the workers keep what they know together; undefined before `start`. */
function records(): NgxSharedDict | undefined {
  return ward?.state;
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
  on_fresh((instance) => look_whether_out(here, instance));
}

function look_whether_out(from: Ward, instance: InstanceState): void {
  if (ejection_of(from.state, instance.identity) !== undefined) {
    take_out(from, instance);
  }
}

/**
 * Takes a word from the ring of changed names.
 *
 * @param word undefined: some may have been missed
 */
function hear(word: string | undefined): void {
  const here = ward;
  if (here === undefined) {
    return;
  }
  if (word === undefined) {
    each_state((instance) => look_whether_out(here, instance));
  } else {
    look_whether_out(here, state_of(string.sub(word, 2)));
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
    tell(ngx.WARN, `ejected ${instance.identity}`, `${instance.identity} is out: ${reason}`);
    announce(instance.identity, reason);
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
    take_out_of_all(ward, identity);
  }
}

/** Puts an instance back into all workers' pools, for an operator: each does so when it looks next. */
function restore(identity: string): void {
  if (ward !== undefined) {
    acquit(ward.state, identity);
    note_event("instance_recovered", identity, "by hand");
  }
}

export {
  announce,
  claim,
  eject,
  fail,
  hear,
  is_about_answers,
  is_about_connections,
  MARK,
  records,
  restore,
  start,
  succeed,
  takes_connections,
};
