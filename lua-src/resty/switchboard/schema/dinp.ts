/**
 * The layout of DINP: `/rs/<fqdn>`, a list of `ip:port`, and `/cname/<fqdn>`, the `/rs/…` key of another name; one hop.
 *
 * A key without a slash in that database crashes every old DINP router: nothing is written.
 */

import { Reply } from "../store/redis";
import { add_instance, create_gathering, note, sort_instances } from "./gathering";
import { Layout } from "./layout";
import { parse_member } from "./member";
import { RouteRecord } from "./record";
import { is_wrong_type, list_of, refusal } from "./replies";
import { parent_of } from "./within";

const LIST = "/rs/";
const CNAME = "/cname/";
const STAR = 42;
const AT = 64;

/** The list of a name, or of the pool that a cname points to. */
function list_key(name: string): string {
  return LIST + (string.byte(name) === AT ? string.sub(name, 2) : name);
}

function has_name(name: string): boolean {
  return string.byte(name) !== STAR && parent_of(name) === undefined;
}

/** The name that a cname means; undefined: it is none. */
function target_of(value: string): string | undefined {
  const [name] = string.match(value, "^/rs/([^/%s]+)$");
  return name !== undefined && name.length <= 253 ? name : undefined;
}

function decode(
  name: string,
  replies: Reply[],
  from: number,
): LuaMultiReturn<[RouteRecord | undefined, undefined] | [undefined, string]> {
  const is_target = string.byte(name) === AT;
  const refused = refusal(replies, from, is_target ? 1 : 2);
  if (refused !== undefined) {
    return $multi(undefined, refused);
  }
  const gathering = create_gathering();
  const list = list_of(replies[from]);
  for (const word of list) {
    const text = tostring(word);
    // No scheme and no attributes: these are ours, and not this layout's.
    const bare = string.find(text, "[/?]")[0] === undefined;
    const [instance, err] = parse_member(bare ? text : "", () => undefined);
    if (instance === undefined) {
      note(gathering, list_key(name), text, bare ? err : "must be ip:port");
    } else {
      add_instance(gathering, list_key(name), text, instance);
    }
  }
  if (is_wrong_type(replies[from])) {
    note(gathering, list_key(name), "", "must be a list");
  }
  const cname = is_target ? undefined : replies[from + 1];
  const value = type(cname) === "string" ? (cname as string) : "";
  const target = list.length === 0 && value !== "" ? target_of(value) : undefined;
  if (list.length === 0 && value !== "" && target === undefined) {
    note(gathering, CNAME + name, value, "must be the key of a list, /rs/<name>");
  }
  if (!is_target && is_wrong_type(cname)) {
    note(gathering, CNAME + name, "", "must be a string");
  }
  if (list.length === 0 && target === undefined && gathering.problems.length === 0) {
    return $multi(undefined, undefined);
  }
  sort_instances(gathering);
  return $multi(
    {
      schema: "dinp",
      paths_only: list.length === 0 && target === undefined,
      instances: gathering.instances,
      options: target !== undefined ? { pool: `@${target}` } : {},
      problems: gathering.problems,
    },
    undefined,
  );
}

function add_names(names: string[], changed: string): void {
  const [kind, name] = string.match(changed, "^(/%a+/)([^/]+)$");
  if (kind === LIST && name !== undefined) {
    names.push(name);
    names.push(`@${name}`);
  } else if (kind === CNAME && name !== undefined) {
    names.push(name);
  }
}

function create(): Layout {
  return {
    name: "dinp",
    prefixes: [LIST, CNAME],
    add_names,
    read: (name) => {
      if (!has_name(name)) {
        return [];
      }
      const own = list_key(name);
      return string.byte(name) === AT
        ? [["LRANGE", own, 0, -1]]
        : [
            ["LRANGE", own, 0, -1],
            ["GET", CNAME + name],
          ];
    },
    // A dangling cname is known too: nobody but it says anything of the name, and 404 is its answer.
    ask_known: (name) =>
      has_name(name) && string.byte(name) !== AT ? ["EXISTS", list_key(name), CNAME + name] : undefined,
    kind_changed: () => false,
    decode: (name, _kind, replies, from) => decode(name, replies, from),
  };
}

export { create };
