/**
 * Pauses between two looks at what has changed, where very much changes.
 *
 * That a worker wakes up costs as much as ten names that are read again: at a thousand changes a second, one by one, the
 * worker that watches took a fifth of a core, and a third of that when it takes what has come in 20 ms together. Who
 * changes little is heard at once.
 */

/** Seconds of a pause. */
const PAUSE = 0.02;
/** Seconds over which changes are counted, and how many of them are many: 400 a second. */
const WINDOW = 0.1;
const MANY = 40;
/** Changes in one pause that are few: 200 a second. */
const FEW = 4;

export interface Breath {
  pausing: boolean;
  /** Changes since the last pause, or since `from`. */
  count: number;
  /** ngx.now() at which counting began. */
  from: number;
}

function create(): Breath {
  return { pausing: false, count: 0, from: ngx.now() };
}

function note(breath: Breath, changes: number): void {
  breath.count += changes;
}

/** Call it when all that has come was heard. @returns seconds to wait before more is heard; 0: none */
function pause_of(breath: Breath): number {
  const now = ngx.now();
  if (breath.pausing) {
    breath.pausing = breath.count >= FEW;
  } else if (now - breath.from < WINDOW) {
    return 0;
  } else {
    breath.pausing = breath.count >= MANY && now - breath.from < WINDOW * 2;
  }
  breath.count = 0;
  breath.from = now;
  return breath.pausing ? PAUSE : 0;
}

export { create, note, pause_of };
