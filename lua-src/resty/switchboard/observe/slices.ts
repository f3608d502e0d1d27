/** Work on many names in slices, between which the requests of this worker have their turn. */

/** Names of a slice: 0.3 ms of work at most. */
const SLICE = 256;

/** Lets others have their turn; does nothing where that cannot be. */
export type Pause = (this: void) => void;

export interface Slices {
  pause: Pause;
  /** Names that are left of this slice. */
  left: number;
}

function in_slices(pause: Pause): Slices {
  return { pause, left: SLICE };
}

/** So many names are done; may yield. */
function step(slices: Slices, names: number): void {
  slices.left -= names;
  if (slices.left <= 0) {
    slices.left = SLICE;
    slices.pause();
  }
}

export { in_slices, step };
