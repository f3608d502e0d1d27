/**
 * What the worker that watches does beside listening: after each break it has all names checked, decides
 * what is believed gone, and reads all routes where `preload` asks for it; it writes snapshots, checks instances, and gives
 * back the places of workers that are gone.
 */

import { create as create_reclaim, Reclaim, tick as tick_reclaim } from "../balance/reclaim";
import { note_event } from "../observe/events";
import { printable, tell } from "../observe/journal";
import { tick } from "../observe/ticks";
import { wiped_at } from "../store/identity";
import { holds, rest } from "../store/lease";
import { check_all, read_everything, Tally } from "./check";
import { gather_as_usual } from "./garbage";
import { create as create_keeper, Keeper, tick as tick_snapshot } from "./snapshot_keeper";
import { note_asked } from "./roster";
import { create as create_rounds, Rounds, tick as tick_rounds } from "./rounds";
import { create as create_pace } from "./pace";
import { checked_epoch, Held, held, hold, is_let_go, is_mass, note_checked, release } from "./guard";
import { tick as tick_watch, Watch } from "./watch";

/** Seconds between two attempts that failed. */
const AGAIN = 1;
/** Seconds between two looks at what is held: it may have come back. */
const HELD_AGAIN = 5;
/**
 * Seconds between two looks for what has ended in the dict of the node's state: nginx frees that only behind nothing that
 * lasts, so ejections of instances that never come back would fill it.
 */
const TIDY_EVERY = 30;
/** Seconds between two looks at what is not urgent, but for what comes early: see store/beat. */
const HOUSEWORK_EVERY = 0.9;
/** Seconds by which an operator's clock may be behind this node's. */
const CLOCKS = 5;

export interface Overseer {
  watch: Watch;
  keeper: Keeper;
  rounds: Rounds;
  /** Whether this worker may go on: it holds the lease, and does not exit. */
  may: (this: void) => boolean;
  reclaim: Reclaim;
  /** A number that changes with every request of this worker. */
  served: (this: void) => number;
  /** A check runs in this worker. */
  busy: boolean;
  /** ngx.now() before which none is begun. */
  next: number;
  /** ngx.now() at which the dict is tidied next. */
  tidy_at: number;
  /** ngx.now() at which snapshots, checks and what is left behind are looked after next. */
  housework_at: number;
}

/** @param served a number that changes with every request of this worker */
function create(watch: Watch, served: Overseer["served"]): Overseer {
  const { config, dicts } = watch;
  const may = (): boolean => holds(watch.lease) && !ngx.worker.exiting();
  const overseer: Overseer = {
    watch,
    keeper: create_keeper(config, dicts, may),
    rounds: create_rounds(config, dicts, may),
    reclaim: create_reclaim(dicts.state),
    may,
    served,
    busy: false,
    next: 0,
    tidy_at: 0,
    housework_at: 0,
  };
  watch.begun = () => {
    overseer.next = 0;
    check_if_due(overseer);
  };
  return overseer;
}

/** Whether what is held may go: it was meant to, or was held for long enough. */
function may_go(watch: Watch, since: number): boolean {
  const { guard_hold } = watch.config;
  if (guard_hold > 0 && ngx.time() - since >= guard_hold) {
    tell(ngx.ERR, "guard_over", "held routes are believed gone: guard_hold is over");
    return true;
  }
  if (is_let_go(watch.dicts.state)) {
    tell(ngx.NOTICE, "guard_released", "held routes are believed gone: an operator says so");
    return true;
  }
  if (wiped_at(watch.config) + CLOCKS >= since) {
    tell(ngx.NOTICE, "guard_released", "held routes are believed gone: switchboard:wiped says so");
    return true;
  }
  return false;
}

function say_held(loss: Held): void {
  tell(
    ngx.ERR,
    "guard_holding",
    `${loss.count} of ${loss.known} routes are gone from Redis at once: they are held and served; if they were meant to go: SET switchboard:wiped <unix time>`,
  );
}

/** Whether all names were read; else it is said why not, and when that is tried again. */
function is_whole(overseer: Overseer, { failed }: Tally): boolean {
  if (failed !== undefined && failed !== "overtaken") {
    overseer.next = ngx.now() + AGAIN;
    tell(ngx.WARN, "check_failed", `could not check all routes, it is tried again: ${printable(failed)}`);
  }
  return failed === undefined;
}

/** Reads all names again and decides. Yields. */
function check(overseer: Overseer): void {
  const { watch } = overseer;
  const { state } = watch.dicts;
  const epoch = watch.epoch;
  const pace = create_pace(watch.loader, overseer.may, overseer.served);
  const before = held(state);
  const since = before !== undefined ? before.since : ngx.time();
  overseer.next = 0;
  const tally = check_all(pace, epoch);
  if (!is_whole(overseer, tally)) {
    return;
  }
  if (is_mass(watch.config, tally.gone, tally.known) && !may_go(watch, since)) {
    hold(state, tally.gone, tally.known, since);
    if (before === undefined) {
      note_event("guard_holding", "", `${tally.gone} of ${tally.known} routes are gone from Redis`);
    }
    say_held({ count: tally.gone, known: tally.known, since });
  } else {
    release(state, epoch);
    if (before !== undefined) {
      note_event("guard_released", "", `${tally.gone} of ${before.count} held routes are gone`);
    }
    // Those that are gone were doubted until now.
    if (!is_whole(overseer, check_all(pace, epoch))) {
      return;
    }
  }
  if (checked_epoch(state) !== epoch && watch.config.preload) {
    const err = read_everything(pace, epoch);
    if (err !== undefined) {
      tell(ngx.WARN, "preload_failed", `not all routes are preloaded: ${printable(err)}`);
      overseer.next = ngx.now() + AGAIN;
      if (err === "overtaken") {
        return;
      }
    }
  }
  note_checked(state, epoch);
}

function run(premature: boolean, overseer: Overseer): void {
  const { watch } = overseer;
  const { epoch } = watch;
  if (!premature) {
    const [ok, err] = pcall(check, overseer);
    if (!ok) {
      tell(ngx.ERR, "bug check", `the check of all routes failed: ${tostring(err)}`);
    }
  }
  overseer.busy = false;
  gather_as_usual();
  if (watch.epoch !== epoch) {
    check_if_due(overseer);
  } else if (held(watch.dicts.state) !== undefined) {
    overseer.next = ngx.now() + HELD_AGAIN;
  }
}

/** Begins to check all names if that is due and this worker may. */
function check_if_due(overseer: Overseer): void {
  const { watch } = overseer;
  if (overseer.busy || watch.epoch === 0 || !overseer.may()) {
    return;
  }
  const { state } = watch.dicts;
  const due = checked_epoch(state) !== watch.epoch || held(state) !== undefined;
  if (due && (ngx.now() >= overseer.next || watch.wiped || is_let_go(state))) {
    watch.wiped = false;
    const [started] = ngx.timer.at(0, run, overseer);
    overseer.busy = started !== undefined;
  }
}

/** What is not urgent. */
function do_housework(overseer: Overseer, now: number): void {
  tick_snapshot(overseer.keeper);
  tick_rounds(overseer.rounds);
  tick_reclaim(overseer.reclaim, now);
  if (now >= overseer.tidy_at) {
    overseer.tidy_at = now + TIDY_EVERY;
    overseer.watch.dicts.state.flush_expired();
  }
}

/** At every look at the lease in every worker; `exiting` when it is the last time. */
function look(overseer: Overseer, exiting: boolean): void {
  const { watch } = overseer;
  if (!exiting) {
    note_asked(watch.dicts.names, ngx.now());
  }
  if (!tick_watch(watch, exiting)) {
    return;
  }
  const now = ngx.now();
  if (now >= overseer.housework_at) {
    overseer.housework_at = now + HOUSEWORK_EVERY;
    do_housework(overseer, now);
  }
  check_if_due(overseer);
}

/** Starts it in this worker. */
function start(overseer: Overseer): void {
  tick(0, "lease", (exiting) => {
    look(overseer, exiting);
    return rest(overseer.watch.lease, ngx.worker.count());
  });
}

export { create, start };
