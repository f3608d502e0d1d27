/** Names within names: the paths of a host, and the pools of a route that is split. They inherit options. */

/** The host of `app.example.com/api`; undefined when the name has no path. */
function host_of_path(name: string): string | undefined {
  const [slash] = string.find(name, "/", 1, true);
  return slash !== undefined ? string.sub(name, 1, slash - 1) : undefined;
}

/** `/api` of `app.example.com/api`, also where a pool within it is meant; undefined: the name has no path. */
function prefix_of(name: string): string | undefined {
  const [prefix] = string.match(name, "^[^/]*(/[^#]*)");
  return prefix;
}

/** The route that a pool has within a route that is split: neither a host nor a path prefix can have a `#`. */
function arm_name(route: string, pool: string): string {
  return `${route}#${pool}`;
}

/** The route and the pool of such a name; nil for others. */
function parts_of_arm(name: string): LuaMultiReturn<[string, string] | [undefined, undefined]> {
  const [at] = string.find(name, "#@", 1, true);
  if (at === undefined) {
    return $multi(undefined, undefined);
  }
  return $multi(string.sub(name, 1, at - 1), string.sub(name, at + 1));
}

function is_arm(name: string): boolean {
  return string.find(name, "#@", 1, true)[0] !== undefined;
}

/** The next name whose options this one inherits: of a pool within a route the route, of a path its host. */
function parent_of(name: string): string | undefined {
  const [route] = parts_of_arm(name);
  return route ?? host_of_path(name);
}

export { arm_name, host_of_path, is_arm, parent_of, parts_of_arm, prefix_of };
