/** How the watch of this node is: noted by the worker that watches, for pages. */

import { WatchState } from "../observe/health";
import { read as read_trust } from "../store/trust";
import { Dicts } from "./dict";
import { held } from "./guard";
import { count as count_names } from "./names";

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

/** All that pages tell of it, and of what depends on it. */
function watch_state(dicts: Dicts): WatchState {
  const [mode, reason] = mode_of(dicts.state);
  const loss = held(dicts.state);
  const trust = { epoch: 0, healthy: false, distrusted: 0, complete: false };
  read_trust(dicts.state, trust);
  return {
    mode: mode === "tracking" && !trust.healthy ? "none" : mode,
    reason,
    lag: lag_of(dicts.state),
    routes: count_names(dicts.names),
    held: loss !== undefined ? loss.count : 0,
    held_of: loss !== undefined ? loss.known : 0,
    complete: trust.complete,
  };
}

export { note_lag, note_mode, watch_state };
