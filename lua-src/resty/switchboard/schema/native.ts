/**
 * Switchboard's own Redis layout: `backends:`, `instances:`, `route:` and `paths:` keys.
 *
 * A schema is three questions: what to ask Redis about a name, what the replies mean, and how to see whether
 * a name is known at all. It does no I/O.
 */

import { Command, Reply } from "../store/redis";
import { key, KeyFormat } from "./keys";
import { parent_of, parts_of_arm } from "./within";
import {
  add_instance,
  create_gathering,
  Gathering,
  note,
  override,
  read_options,
  read_quietly,
  sort_instances,
} from "./gathering";
import { parse_member } from "./member";
import { inherit } from "./options";
import { problem_of_prefix } from "./prefix";
import { Kind, RouteOptions, RouteRecord } from "./record";
import { is_wrong_type, list_of, refusal } from "./replies";

/** The member that is nobody: it keeps a route known without instances. */
const NOBODY = "-";

/**
 * The commands that read everything about a name, and the options that it inherits: a path those of its host, a pool
 * within a split route those of the route.
 *
 * Without a known kind the set is asked for both as SET and as ZSET and one of the two answers WRONGTYPE;
 * with one, Redis counts no error in normal operation.
 */
function read(format: KeyFormat, name: string, kind: Kind | undefined): Command[] {
  const parent = parent_of(name);
  const [route] = parts_of_arm(name);
  // A pool within a route has no options of its own: what it inherits may come from a path and from its host.
  const own = route !== undefined ? (parent_of(route) ?? name) : name;
  const backends = key(format, "backends", name);
  const commands: Command[] = [
    ["HGETALL", key(format, "instances", name)],
    ["HGETALL", key(format, "route", own)],
    parent !== undefined
      ? ["HGETALL", key(format, "route", parent)]
      : ["SMEMBERS", key(format, "paths", name)],
  ];
  if (kind !== "zset") {
    commands.push(["SMEMBERS", backends]);
  }
  if (kind !== "set") {
    commands.push(["ZRANGE", backends, 0, -1, "WITHSCORES"]);
  }
  return commands;
}

/** The command that tells whether a name is known. */
function ask_known(format: KeyFormat, name: string): Command {
  return ["EXISTS", key(format, "backends", name), key(format, "route", name), key(format, "paths", name)];
}

/**
 * Whether the replies to a `read` with a known kind show that the key is of another kind by now.
 *
 * @param replies from `from` on, those of `read`
 */
function kind_changed(replies: Reply[], from: number, kind: Kind | undefined): boolean {
  return kind !== undefined && is_wrong_type(replies[from + 3]);
}

function add_member(gathering: Gathering, where: string, text: string, until: number | undefined): void {
  if (text === NOBODY) {
    return;
  }
  const [instance, err] = parse_member(text, (reason) => note(gathering, where, text, reason));
  if (instance === undefined) {
    note(gathering, where, text, err);
    return;
  }
  instance.until = until;
  add_instance(gathering, where, text, instance);
}

/** The good path prefixes of a host, sorted; undefined without any. */
function read_paths(gathering: Gathering, where: string, reply: Reply | undefined): string[] | undefined {
  if (is_wrong_type(reply)) {
    note(gathering, where, "", "must be a set of path prefixes");
    return undefined;
  }
  const prefixes: string[] = [];
  for (const member of list_of(reply)) {
    const prefix = tostring(member);
    const problem = problem_of_prefix(prefix);
    if (problem === undefined) {
      prefixes.push(prefix);
    } else {
      note(gathering, where, prefix, problem);
    }
  }
  table.sort(prefixes);
  return prefixes.length > 0 ? prefixes : undefined;
}

/**
 * Decodes the replies to `read`.
 *
 * @param replies of the whole transaction
 * @param from where those of this name begin (0-based)
 * @param kind what `read` was given
 * @param last the options that counted until now
 * @returns the record; undefined when the name is unknown; nil and a message when Redis refused to tell
 */
function decode(
  format: KeyFormat,
  name: string,
  kind: Kind | undefined,
  replies: Reply[],
  from: number,
  last: RouteOptions | undefined,
): LuaMultiReturn<[RouteRecord | undefined, undefined] | [undefined, string]> {
  const refused = refusal(replies, from, kind === undefined ? 5 : 4);
  if (refused !== undefined) {
    return $multi(undefined, refused);
  }
  const gathering = create_gathering();
  const where = key(format, "backends", name);
  const set = kind === "zset" ? undefined : replies[from + 3];
  const zset = kind === undefined ? replies[from + 4] : kind === "zset" ? replies[from + 3] : undefined;
  const members = list_of(set);
  const scored = list_of(zset);
  for (const member of members) {
    add_member(gathering, where, tostring(member), undefined);
  }
  for (const i of $range(1, scored.length, 2)) {
    add_member(gathering, where, tostring(scored[i - 1]), tonumber(scored[i]));
  }
  const wrong_type = is_wrong_type(set) && is_wrong_type(zset);
  if (wrong_type) {
    note(gathering, where, "", "must be a set or a sorted set");
  }
  const route = replies[from + 1];
  const has_backends = wrong_type || members.length > 0 || scored.length > 0;
  const has_route = is_wrong_type(route) || list_of(route).length > 0;
  const parent = parent_of(name);
  const [, pool] = parts_of_arm(name);
  const below = replies[from + 2];
  const has_paths = parent === undefined && (is_wrong_type(below) || list_of(below).length > 0);
  if (!has_backends && !has_route && !has_paths && pool === undefined) {
    return $multi(undefined, undefined);
  }
  const options =
    pool !== undefined
      ? ({ pool } as RouteOptions)
      : read_options(gathering, key(format, "route", name), route, last);
  if (parent !== undefined) {
    inherit(options, read_quietly(below, last));
  }
  if (pool !== undefined) {
    inherit(options, read_quietly(route, last));
  }
  if (options.split !== undefined) {
    gathering.instances = [];
  }
  override(gathering, key(format, "instances", name), replies[from]);
  sort_instances(gathering);
  return $multi(
    {
      kind: members.length > 0 ? "set" : scored.length > 0 ? "zset" : undefined,
      paths_only: !has_backends && !has_route,
      options_only:
        !has_backends && parent === undefined && options.pool === undefined && options.split === undefined
          ? true
          : undefined,
      paths: parent === undefined ? read_paths(gathering, key(format, "paths", name), below) : undefined,
      instances: gathering.instances,
      options,
      problems: gathering.problems,
    },
    undefined,
  );
}

export { ask_known, decode, kind_changed, read };
