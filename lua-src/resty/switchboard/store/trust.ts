/**
 * How far this node may trust what it has read: noted by the worker that watches Redis, read by all.
 *
 * An epoch is a time in which nothing was missed. It ends with the connection of the watch, with a flush of
 * Redis, with another server behind the address. What was read in the epoch that lasts needs no second look
 * while the watch is healthy; what is older does.
 */

const EPOCH = "watch:epoch";
const HEALTHY = "watch:healthy";
const DISTRUSTED = "watch:distrusted";
const COMPLETE = "watch:complete";
const EVICTIONS = "watch:evictions";
const BELIEVED = "watch:believed";
/** Seconds for which a healthy watch counts as one when its worker says nothing more. */
const SILENCE = 2;

export interface Trust {
  /** 0: nobody has ever watched. */
  epoch: number;
  /** The watch tells of every change. */
  healthy: boolean;
  /** ngx.now() at which something may have been missed last. */
  distrusted: number;
  /** All routes were read in this epoch: what is not in the dict does not exist. */
  complete: boolean;
}

function number_at(state: NgxSharedDict, key: string): number {
  const [value] = state.get(key);
  return (value as number | undefined) ?? 0;
}

/** The number of the epoch that lasts; 0 before the first. */
function epoch_of(state: NgxSharedDict): number {
  return number_at(state, EPOCH);
}

/** Reads it all into a table that the caller keeps. */
function read(state: NgxSharedDict, trust: Trust): void {
  const epoch = epoch_of(state);
  trust.epoch = epoch;
  trust.healthy = epoch > 0 && number_at(state, HEALTHY) === epoch;
  trust.distrusted = number_at(state, DISTRUSTED);
  trust.complete = trust.healthy && number_at(state, COMPLETE) === epoch;
}

/** Something may have been missed, or all is gone: what was read before needs a second look. */
function begin_epoch(state: NgxSharedDict): number {
  state.set(DISTRUSTED, ngx.now());
  const [epoch] = state.incr(EPOCH, 1, 0);
  return epoch ?? 0;
}

/** Says that the watch hears everything since this epoch began. Say it again at least every second. */
function confirm(state: NgxSharedDict, epoch: number): void {
  state.set(HEALTHY, epoch, SILENCE);
}

/** From now on changes may be missed. */
function lose(state: NgxSharedDict): void {
  const [healthy] = state.get(HEALTHY);
  if (healthy !== undefined) {
    state.delete(HEALTHY);
    state.set(DISTRUSTED, ngx.now());
  }
}

/** All that stands in Redis was read in this epoch. */
function note_complete(state: NgxSharedDict, epoch: number): void {
  state.set(COMPLETE, epoch);
}

/** Whether what is not in the dict does not exist. */
function is_complete(state: NgxSharedDict): boolean {
  const epoch = epoch_of(state);
  return epoch > 0 && number_at(state, HEALTHY) === epoch && number_at(state, COMPLETE) === epoch;
}

/** A route may be missing in the dict though it stands in Redis. */
function note_incomplete(state: NgxSharedDict): void {
  state.incr(EVICTIONS, 1, 0);
  state.delete(COMPLETE);
}

/** How often that was said. */
function evictions(state: NgxSharedDict): number {
  return number_at(state, EVICTIONS);
}

/** Whether routes of earlier epochs that are gone from Redis are to be believed gone. */
function believes_losses(state: NgxSharedDict): boolean {
  const epoch = epoch_of(state);
  return epoch === 0 || number_at(state, BELIEVED) === epoch;
}

function believe_losses(state: NgxSharedDict, epoch: number): void {
  state.set(BELIEVED, epoch);
}

export {
  begin_epoch,
  believe_losses,
  believes_losses,
  confirm,
  epoch_of,
  evictions,
  is_complete,
  lose,
  note_complete,
  note_incomplete,
  read,
};
