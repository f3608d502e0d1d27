/** A route is forgotten because an operator wants it so: what Redis says of it then is believed, even that it is gone. */

import { note_event } from "../observe/events";
import { note_incomplete } from "../store/trust";
import { publish } from "./changes";
import { has_others } from "./remember";
import { delete_match, delete_route, read_route } from "./dict";
import { bump_pattern } from "./fence";
import { load, Loader } from "./loader";

/**
 * Forgets a route and reads it anew. Yields.
 *
 * @returns whether Redis has it; nil and why that could not be learnt: the next request asks
 */
function forget_route(
  loader: Loader,
  name: string,
): LuaMultiReturn<[boolean, undefined] | [undefined, string]> {
  const { dicts } = loader;
  delete_route(dicts, name);
  delete_match(dicts, name);
  if (has_others(loader, name)) {
    bump_pattern(dicts.state, name);
  }
  note_event("route_removed", name, "by hand");
  const [loaded, err] = load(loader, name, loader.config.redis_timeout);
  if (loaded === undefined) {
    // Nobody may take what is not in the dict for what is not in Redis.
    note_incomplete(dicts.state);
  }
  publish(dicts.state, name);
  if (loaded === undefined) {
    return $multi(undefined, err);
  }
  return $multi(read_route(dicts, name) !== undefined, undefined);
}

export { forget_route };
