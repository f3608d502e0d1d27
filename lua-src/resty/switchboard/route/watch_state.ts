/** How the watch of this node is: noted by the worker that watches, for pages. */

const MODE = "watch:mode";
const LAG = "watch:lag";

/** What the node's watch is, for pages: `tracking`, `notifications`, `ttl` or `none`, and why. */
function note_mode(state: NgxSharedDict, mode: string, reason: string): void {
  state.set(MODE, `${mode} ${reason}`);
}

/** @returns the mode and, where it is not the best, why */
function mode_of(state: NgxSharedDict): LuaMultiReturn<[string, string]> {
  const [text] = state.get(MODE);
  const [mode, reason] = string.match(tostring(text ?? "none "), "^(%S+) (.*)$");
  return $multi(mode ?? "none", reason ?? "");
}

/** The longest that a change waited lately before it was read, in seconds. */
function lag_of(state: NgxSharedDict): number {
  const [lag] = state.get(LAG);
  return (lag as number | undefined) ?? 0;
}

function note_lag(state: NgxSharedDict, lag: number): void {
  state.set(LAG, lag);
}

export { lag_of, mode_of, note_lag, note_mode };
