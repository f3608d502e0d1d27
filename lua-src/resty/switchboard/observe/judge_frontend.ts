/** Judges frontends of hipache and planb, and the marks that call their backends dead. */

import { Config } from "../config";
import { Dialect, HIPACHE, PLANB } from "../schema/frontend";
import { key, KeyFormat, split_key } from "../schema/keys";
import { Layout } from "../schema/layout";
import { failure_of, is_wrong_type, list_of, Words } from "../schema/replies";
import { Command, Reply } from "../store/redis";
import { add_record, Judge, name_fault, Verdict } from "./judge";
import { add_pools } from "./judge_known";

const AT = 64;
/** TTL of a key without an end. */
const FOR_EVER = -1;
/** More digits are read by nobody. */
const MOST_DIGITS = 6;

/** What tsuru, hipache's health checker and planb keep beside the lists, in the same database. */
const BESIDE = ["hchecker_ping", "hchecker"];
const BESIDE_PREFIXES = ["tls:", "healthcheck:", "cname:"];

interface Bench {
  dialect: Dialect;
  layout: Layout;
  /** All that are read: pools may stand in another one. */
  layouts: Layout[];
  format: KeyFormat;
  frontend: string;
  dead: string;
  /** Native keys of its names are its affair; else another judge's. */
  has_options: boolean;
}

function begins(text: string, start: string): boolean {
  return string.sub(text, 1, start.length) === start;
}

function place(bench: Bench, text: string): LuaMultiReturn<[string, string[]] | [undefined, undefined]> {
  if (begins(text, bench.frontend)) {
    return $multi(string.sub(text, bench.frontend.length + 1), []);
  }
  const [kind, name] = split_key(bench.format, text);
  if (!bench.has_options || name === undefined || name === "" || (kind !== "route" && kind !== "instances")) {
    return $multi(undefined, undefined);
  }
  const earlier = [bench.frontend + name];
  if (kind === "instances") {
    earlier.push(key(bench.format, "route", name));
  }
  return $multi(name, earlier);
}

function is_companion(bench: Bench, text: string): boolean {
  for (const one of BESIDE) {
    if (text === one) {
      return true;
    }
  }
  for (const start of BESIDE_PREFIXES) {
    if (begins(text, start)) {
      return true;
    }
  }
  // Marks are judged with their list, and hipache leaves some under hosts that only a wildcard has.
  return begins(text, bench.dead);
}

/** Why no request can lead to a frontend; undefined: one can. */
function frontend_fault(bench: Bench, name: string): string | undefined {
  const { dialect, layout } = bench;
  if (string.byte(name) === AT) {
    return "no request can ask for it: this layout has no pools";
  }
  const [host] = string.match(name, "^([^:]+):%d+$");
  if (host !== undefined) {
    return dialect.has_ports
      ? name_fault(host)
      : `no request asks for it: ${dialect.name} looks for hosts without their port`;
  }
  const fault = name_fault(name);
  if (fault !== undefined || layout.read(name, undefined).length > 0) {
    return fault;
  }
  return dialect.most_labels === undefined
    ? `no request asks for it: ${dialect.name} has no wildcards`
    : `no request asks for it: ${dialect.name}'s wildcards have at most ${dialect.most_labels} labels`;
}

/** What is taken, and may mean something else than it seems. */
function judge_entries(verdict: Verdict, where: string, list: Words): void {
  for (const i of $range(1, list.length)) {
    const value = tostring(list[i - 1]);
    const [scheme, authority, path] = string.match(value, "^(%a+)://([^/?#]*)(.*)$");
    if (scheme !== undefined && i === 1) {
      verdict.findings.push({
        code: "url_as_id",
        key: where,
        value,
        reason: "the first element is the frontend's id and takes no requests, though it is a URL",
      });
    } else if (scheme !== undefined) {
      if (string.lower(scheme) === "https" && string.find(authority!, ":%d+$")[0] === undefined) {
        verdict.findings.push({
          code: "assumed_port",
          key: where,
          value,
          reason: "without a port it is asked at 443 here, and at 80 by hipache",
        });
      }
      if (path !== "" && path !== "/") {
        verdict.findings.push({
          code: "ignored_path",
          key: where,
          value,
          reason: "what stands behind host and port is ignored, and a health checker takes no such backend",
        });
      }
    }
  }
}

function judge_marks(
  verdict: Verdict,
  where: string,
  backends: number,
  marks: Words,
  left: Reply | undefined,
): void {
  for (const mark of marks) {
    const value = tostring(mark);
    if (string.find(value, "^%d+$")[0] === undefined || value.length > MOST_DIGITS) {
      verdict.findings.push({
        code: "bad_value",
        key: where,
        value,
        reason: "must be an index from 0: it marks nobody (and planb's own router takes it for 0)",
      });
    } else if (tonumber(value)! >= backends) {
      verdict.findings.push({
        code: "index_shift",
        key: where,
        value,
        reason: `the list has ${backends} backends: it has become shorter, so that its marks may mean others than they meant`,
      });
    }
  }
  if (marks.length > 0 && left === FOR_EVER) {
    verdict.findings.push({
      code: "index_shift",
      key: where,
      value: "",
      reason: "these marks never end: once the list changes they mean other backends",
    });
  }
}

/** Of native keys whose name has no list. */
function judge_orphan(bench: Bench, name: string, met: string, verdict: Verdict): void {
  verdict.findings.push({
    code: "orphan",
    key: met,
    value: "",
    reason: `nothing makes this name known: there is no ${bench.frontend}${name} that it could belong to`,
  });
}

/** What another judge says of the same keys is not said twice. */
function without_options(bench: Bench, name: string, verdict: Verdict): void {
  const kept = verdict.findings;
  verdict.findings = [];
  for (const finding of kept) {
    if (
      finding.key !== key(bench.format, "route", name) &&
      finding.key !== key(bench.format, "instances", name)
    ) {
      verdict.findings.push(finding);
    }
  }
}

function judge(bench: Bench, config: Config, name: string, met: string, replies: Reply[]): Verdict {
  const verdict: Verdict = { findings: [], questions: [] };
  const by_list = begins(met, bench.frontend);
  const fault = frontend_fault(bench, name);
  if (fault !== undefined && by_list) {
    verdict.findings.push({ code: "bad_name", key: met, value: name, reason: fault });
  }
  const [record, refused] = bench.layout.decode(name, undefined, replies, 0, undefined);
  // Behind the replies to the layout's own read stands the time that the marks have left.
  const left = replies[bench.layout.read(name, undefined).length];
  verdict.refused = refused ?? failure_of(left);
  if (verdict.refused !== undefined) {
    return verdict;
  }
  if (record === undefined || record.marks_alone !== undefined) {
    if (!by_list) {
      judge_orphan(bench, name, met, verdict);
    }
    return verdict;
  }
  const where = bench.frontend + name;
  add_record(verdict, config, where, record);
  const list = list_of(replies[0]);
  if (!is_wrong_type(replies[0])) {
    judge_entries(verdict, where, list);
    judge_marks(verdict, bench.dead + name, list.length - 1, list_of(replies[1]), left);
  }
  if (bench.has_options) {
    add_pools(verdict, bench.layouts, key(bench.format, "route", name), record.options);
  } else {
    without_options(bench, name, verdict);
  }
  return verdict;
}

/**
 * The judge of one of the two.
 *
 * @param layouts all that are read
 * @param has_options whether the native keys of its names are its affair
 */
export function frontend_judge(
  config: Config,
  format: KeyFormat,
  layout: Layout,
  layouts: Layout[],
  has_options: boolean,
): Judge {
  const bench: Bench = {
    dialect: layout.name === "hipache" ? HIPACHE : PLANB,
    layout,
    layouts,
    format,
    frontend: `${config.legacy_prefix}frontend:`,
    dead: `${config.legacy_prefix}dead:`,
    has_options,
  };
  return {
    schema: layout.name,
    place: (text) => place(bench, text),
    is_companion: (text) => is_companion(bench, text),
    read: (name) => {
      const commands: Command[] = layout.read(name, undefined);
      if (commands.length > 0) {
        commands.push(["TTL", bench.dead + name]);
      }
      return commands;
    },
    judge: (settled, name, met, replies) => judge(bench, settled, name, met, replies),
  };
}
