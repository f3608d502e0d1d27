/** How long LuaJIT's traces may be. */

import { start as set } from "jit.opt";

/** LuaJIT's own limit is 500. */
const MOST_CONSTANTS = 1000;

/**
 * Lets a trace have more constants (http://luajit.org/running.html#opt_O). The way of a request goes through many tables, and
 * each of their fields, functions and C types is one: with LuaJIT's own limit that of a route with options was "too long", given
 * up, begun again further on, and interpreted in part.
 */
function allow_long_traces(): void {
  set(`maxirconst=${MOST_CONSTANTS}`);
}

export { allow_long_traces };
