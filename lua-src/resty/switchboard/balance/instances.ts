/**
 * What this worker knows of each instance, by its identity.
 *
 * It lives outside the routes: a route that changes is compiled anew, and in-flight counts kept inside would
 * start again at zero while the requests they count are still running.
 */

export interface InstanceState {
  /** `http://10.0.0.5:8080` */
  identity: string;
  /** Requests of this worker that run on it, to the end of their bodies. */
  in_flight: number;
  /** ngx.now() at which a request of this worker last ended on it with a response; 0: none has. */
  answered_at: number;
}

/** Weak: an instance that no route and no request holds any more is forgotten. */
const states = setmetatable(new LuaTable<string, InstanceState>(), { __mode: "v" });

/** The state of an instance; the same table for as long as anybody holds it. */
function state_of(identity: string): InstanceState {
  const known = states.get(identity);
  if (known !== undefined) {
    return known;
  }
  const fresh: InstanceState = { identity, in_flight: 0, answered_at: 0 };
  states.set(identity, fresh);
  return fresh;
}

export { state_of };
