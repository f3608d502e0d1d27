/**
 * The layout of hipache and planb: `frontend:<host>`, a list of an id and backend URLs, and `dead:<host>`.
 *
 * Options of such a host live in the native keys of the same name, `route:<host>` and `instances:<host>`. In planb's
 * layout `healthcheck:<host>` says how its backends are checked.
 */

import { Command, Reply } from "../store/redis";
import { read_marks } from "./dead";
import {
  add_instance,
  create_gathering,
  Gathering,
  note,
  override,
  read_options,
  sort_instances,
} from "./gathering";
import { key, KeyFormat } from "./keys";
import { Layout } from "./layout";
import { parse_member } from "./member";
import { keep_last_good, set_option } from "./options";
import { Instance, plain_entry, RouteOptions, RouteRecord } from "./record";
import { is_wrong_type, list_of, refusal, Words } from "./replies";
import { name_of_key, prefixes } from "./watched";
import { parent_of } from "./within";

/** What sets the two apart. */
export interface Dialect {
  name: "hipache" | "planb";
  /** `*.` patterns over at most so many labels, and `*`; undefined: none. */
  most_labels: number | undefined;
  /** A host may stand with the port that it was asked for with. */
  has_ports: boolean;
  /** `10.0.0.1:80` without a scheme is a backend. */
  takes_bare: boolean;
  /** A list of the id alone is no route, and not one without backends. */
  needs_backends: boolean;
  /** A hash beside the list says how its backends are checked. */
  has_checks: boolean;
}

const HIPACHE: Dialect = {
  name: "hipache",
  most_labels: 6,
  has_ports: false,
  takes_bare: false,
  needs_backends: false,
  has_checks: false,
};
const PLANB: Dialect = {
  name: "planb",
  most_labels: undefined,
  has_ports: true,
  takes_bare: true,
  needs_backends: true,
  has_checks: true,
};

const HEALTH_CHECK = "healthcheck:";
/** What planb takes where no status is named. */
const ANY_STATUS = "100-599";

const STAR = 42;
const DOT = 46;
const AT = 64;
const LONGEST_ENTRY = 512;
/** A host, a pattern, a host and port; not the leases that planb's checker keeps under `dead:<host>:<backend>`. */
const A_NAME = "^[%w._*-]+:?%d*$";

/** How many labels a pattern leaves fixed: 2 for `*.example.com`. */
function labels_of(pattern: string): number {
  let count = 0;
  for (const i of $range(1, pattern.length)) {
    count += string.byte(pattern, i) === DOT ? 1 : 0;
  }
  return count;
}

function has_name(dialect: Dialect, name: string): boolean {
  const first = string.byte(name);
  if (first === AT || parent_of(name) !== undefined) {
    return false;
  }
  if (string.find(name, "^[^:]+:%d+$")[0] !== undefined) {
    return dialect.has_ports;
  }
  return first !== STAR || (dialect.most_labels !== undefined && labels_of(name) <= dialect.most_labels);
}

/** The port that a backend without one has. */
function with_port(where: string, tls: boolean): string {
  const has_port = string.find(where, ":%d+$")[0] !== undefined && string.find(where, "%]$")[0] === undefined;
  return has_port ? where : `${where}:${tls ? 443 : 80}`;
}

/** Reads `http://host[:port][/ignored]`; or nil and why it is no backend. */
function parse_entry(
  dialect: Dialect,
  text: string,
): LuaMultiReturn<[Instance, undefined] | [undefined, string]> {
  if (text.length > LONGEST_ENTRY) {
    return $multi(undefined, `longer than ${LONGEST_ENTRY} bytes`);
  }
  const [scheme, rest] = string.match(text, "^(%a[%w+.-]*)://(.*)$");
  if (scheme === undefined && !dialect.takes_bare) {
    return $multi(undefined, "must be http://host:port or https://host:port");
  }
  const tls = scheme !== undefined && string.lower(scheme) === "https";
  const [where] = string.match(rest ?? text, "^[^/?#]*");
  const start = scheme !== undefined ? `${scheme}://` : "";
  return parse_member(start + with_port(where ?? "", tls), () => undefined);
}

/** Reads planb's hash of path, status and body. What the host's own options say wins. */
function read_health_check(
  gathering: Gathering,
  where: string,
  reply: Reply | undefined,
  options: RouteOptions,
  last: RouteOptions | undefined,
): void {
  if (is_wrong_type(reply)) {
    note(gathering, where, "", "must be a hash");
    return;
  }
  const pairs = list_of(reply);
  if (pairs.length === 0 || options.policy?.check !== undefined) {
    return;
  }
  const given: Record<string, string | undefined> = {};
  for (const i of $range(1, pairs.length, 2)) {
    given[tostring(pairs[i - 1])] = tostring(pairs[i]);
  }
  const { path = "", status = "", body = "" } = given;
  const set = (option: string, value: string): void => {
    const reason = options.policy?.[option] === undefined ? set_option(options, option, value) : undefined;
    if (reason !== undefined) {
      note(gathering, where, value, reason);
      keep_last_good(options, option, last);
    }
  };
  set("check", `http:${string.sub(path, 1, 1) === "/" ? "" : "/"}${path}`);
  set("check_status", status === "" || status === "0" ? ANY_STATUS : status);
  if (body !== "") {
    set("check_body", body);
  }
}

/**
 * @param prefix in front of both keys, without a separator
 * @param format of the native keys, which hold the options
 */
function create(dialect: Dialect, prefix: string, format: KeyFormat): Layout {
  const frontend = `${prefix}frontend:`;
  const dead = `${prefix}dead:`;
  const of_options = prefixes(format, []);
  const own = dialect.has_checks ? [frontend, dead, HEALTH_CHECK] : [frontend, dead];
  const all_prefixes = of_options.length > 0 ? prefixes(format, own) : [];

  const marked = (marks_alone: Words): RouteRecord => ({
    schema: dialect.name,
    marks_alone,
    paths_only: true,
    instances: [],
    options: {},
    problems: [],
  });
  const decode = (
    name: string,
    replies: Reply[],
    from: number,
    last: RouteRecord | undefined,
  ): LuaMultiReturn<[RouteRecord | undefined, undefined] | [undefined, string]> => {
    const refused = refusal(replies, from, dialect.has_checks ? 5 : 4);
    if (refused !== undefined) {
      return $multi(undefined, refused);
    }
    const gathering = create_gathering();
    const where = frontend + name;
    const list = list_of(replies[from]);
    const wrong_type = is_wrong_type(replies[from]);
    if (list.length === 0 && !wrong_type) {
      const marks = list_of(replies[from + 1]);
      return $multi(string.byte(name) !== STAR && marks.length > 0 ? marked(marks) : undefined, undefined);
    }
    if (wrong_type) {
      note(gathering, where, "", "must be a list");
    }
    if (is_wrong_type(replies[from + 1])) {
      note(gathering, dead + name, "", "must be a set");
    }
    const entries: string[] = [];
    for (const i of $range(2, list.length)) {
      entries.push(tostring(list[i - 1]));
    }
    const [marks, dead_entries] = read_marks(entries, list_of(replies[from + 1]), last?.marks);
    for (const text of entries) {
      const [instance, err] = parse_entry(dialect, text);
      if (instance === undefined) {
        note(gathering, where, text, err);
      } else {
        instance.dead = dead_entries.has(text) ? true : undefined;
        instance.entry = plain_entry(instance) !== text ? text : undefined;
        add_instance(gathering, where, text, instance);
      }
    }
    const options = read_options(gathering, key(format, "route", name), replies[from + 2], last?.options);
    if (dialect.has_checks) {
      read_health_check(gathering, HEALTH_CHECK + name, replies[from + 4], options, last?.options);
    }
    override(gathering, key(format, "instances", name), replies[from + 3]);
    sort_instances(gathering);
    return $multi(
      {
        schema: dialect.name,
        marks,
        entries,
        // What has no list has no route either, however it is spelled.
        paths_only: wrong_type || (entries.length === 0 && dialect.needs_backends),
        instances: gathering.instances,
        options,
        problems: gathering.problems,
      },
      undefined,
    );
  };

  return {
    name: dialect.name,
    prefixes: all_prefixes,
    add_names: (names, changed) => {
      for (const start of own) {
        const name = string.sub(changed, start.length + 1);
        if (string.sub(changed, 1, start.length) === start && string.find(name, A_NAME)[0] !== undefined) {
          names.push(name);
        }
      }
      const of_options = name_of_key(format, changed);
      if (of_options !== undefined) {
        names.push(of_options);
      }
    },
    read: (name): Command[] => {
      if (!has_name(dialect, name)) {
        return [];
      }
      const commands: Command[] = [
        ["LRANGE", frontend + name, 0, -1],
        ["SMEMBERS", dead + name],
        ["HGETALL", key(format, "route", name)],
        ["HGETALL", key(format, "instances", name)],
      ];
      if (dialect.has_checks) {
        commands.push(["HGETALL", HEALTH_CHECK + name]);
      }
      return commands;
    },
    ask_known: (name) => (has_name(dialect, name) ? ["EXISTS", frontend + name] : undefined),
    kind_changed: () => false,
    decode: (name, _kind, replies, from, last) => decode(name, replies, from, last),
  };
}

export { create, HIPACHE, PLANB };
