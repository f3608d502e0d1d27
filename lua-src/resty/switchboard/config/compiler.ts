/** What LuaJIT compiles. */

import { start as set } from "jit.opt";

/** LuaJIT's own limit is 500. */
const MOST_CONSTANTS = 1000;
/** How often a trace is left in one way before that is compiled too; LuaJIT's own number is 10. */
const OFTEN = 100;

/**
 * Lets a trace have more constants (http://luajit.org/running.html#opt_O). The way of a request goes through many tables, and
 * each of their fields, functions and C types is one: with LuaJIT's own limit that of a route with options was "too long", given
 * up, begun again further on, and interpreted in part.
 *
 * And has it compile what is done often alone. A worker's counts of ways never end: in an hour all that is done ten times, each
 * failure and each of its combinations, had traces, of some 5 kB each. Workers in a soak made 60 more each minute, the
 * one that watches Redis 150, and all of what their memory grew by was that.
 */
function set_up_compiler(): void {
  set(`maxirconst=${MOST_CONSTANTS}`, `hotexit=${OFTEN}`);
}

export { set_up_compiler };
