/** Judges names of the native schema. */

import { Config } from "../config";
import { key, KeyFormat, KINDS, split_key } from "../schema/keys";
import { host_of_path } from "../schema/within";
import * as native from "../schema/native";
import { problem_of_prefix } from "../schema/prefix";
import { parse_split } from "../schema/split";
import { list_of } from "../schema/replies";
import { Command, Reply } from "../store/redis";
import { add_record, Judge, name_fault, Verdict } from "./judge";

function place(format: KeyFormat, text: string): LuaMultiReturn<[string, string[]] | [undefined, undefined]> {
  const [kind, name] = split_key(format, text);
  if (kind === undefined || name === undefined) {
    return $multi(undefined, undefined);
  }
  const earlier: string[] = [];
  for (const other of KINDS) {
    if (other === kind) {
      break;
    }
    earlier.push(key(format, other, name));
  }
  return $multi(name, earlier);
}

/** A name that is not known at all, though a key of its is there. */
function judge_unknown(
  format: KeyFormat,
  name: string,
  instances: Reply | undefined,
  verdict: Verdict,
): void {
  if (type(instances) === "table" && (instances as unknown[]).length > 0) {
    verdict.findings.push({
      code: "orphan",
      key: key(format, "instances", name),
      value: "",
      reason: "nothing makes this name known: it has no instances whose attributes these could be",
    });
  }
}

function judge_place(format: KeyFormat, name: string, where: string, verdict: Verdict): void {
  const path_host = host_of_path(name);
  const host = path_host ?? name;
  const fault = name_fault(host);
  if (fault !== undefined) {
    verdict.findings.push({ code: "bad_name", key: where, value: host, reason: fault });
  } else if (path_host !== undefined) {
    const path = string.sub(name, host.length + 1);
    const paths = key(format, "paths", host);
    const problem = problem_of_prefix(path);
    if (problem !== undefined) {
      verdict.findings.push({ code: "unreachable_path", key: where, value: path, reason: problem });
      return;
    }
    verdict.questions.push({
      command: ["SISMEMBER", paths, path],
      finding: {
        code: "unreachable_path",
        key: where,
        value: path,
        reason: `no request gets here: it is no member of ${paths}`,
      },
    });
  }
}

/** What the router asks about a name, and of a path whether it has a list of paths, which the router never reads. */
function read(format: KeyFormat, name: string): Command[] {
  const commands = native.read(format, name, undefined);
  if (host_of_path(name) !== undefined) {
    commands.push(["EXISTS", key(format, "paths", name)]);
  }
  return commands;
}

/** Only hosts have lists of paths. */
function judge_paths(format: KeyFormat, name: string, replies: Reply[], verdict: Verdict): void {
  const of_path = host_of_path(name) !== undefined && replies[replies.length - 1] === 1;
  const of_pool = string.sub(name, 1, 1) === "@" && list_of(replies[2]).length > 0;
  if (of_path || of_pool) {
    verdict.findings.push({
      code: "unreachable_path",
      key: key(format, "paths", name),
      value: "",
      reason: of_path
        ? `a path has no paths of its own: list longer ones in ${key(format, "paths", host_of_path(name)!)}`
        : "a pool has no paths: list them of the host",
    });
  }
}

/** @param value the option that names the pool, as it stands there */
function judge_pool(format: KeyFormat, name: string, pool: string, value: string, verdict: Verdict): void {
  const where = key(format, "route", name);
  if (string.sub(name, 1, 1) === "@") {
    verdict.findings.push({
      code: "ignored_option",
      key: where,
      value,
      reason: "the pool of a pool is not followed",
    });
    return;
  }
  verdict.questions.push({
    command: native.ask_known(format, pool),
    finding: {
      code: "dangling_pool",
      key: where,
      value,
      reason: `the pool ${pool} does not exist: it has no key ${key(format, "backends", pool)}`,
    },
  });
}

function judge(format: KeyFormat, config: Config, name: string, where: string, replies: Reply[]): Verdict {
  const verdict: Verdict = { findings: [], questions: [] };
  const [record, refused] = native.decode(format, name, undefined, replies, 0, undefined);
  if (refused !== undefined) {
    verdict.refused = refused;
    return verdict;
  }
  judge_place(format, name, where, verdict);
  judge_paths(format, name, replies, verdict);
  if (record === undefined) {
    judge_unknown(format, name, replies[0], verdict);
    return verdict;
  }
  add_record(verdict, config, key(format, "backends", name), record);
  if (record.options.pool !== undefined) {
    judge_pool(format, name, record.options.pool, `pool ${record.options.pool}`, verdict);
  }
  if (record.options.split !== undefined) {
    const [shares] = parse_split(record.options.split);
    for (const share of shares ?? []) {
      judge_pool(format, name, share.pool, `split ${record.options.split}`, verdict);
    }
  }
  return verdict;
}

/** The judge of the native schema. */
export function native_judge(format: KeyFormat): Judge {
  return {
    place: (text) => place(format, text),
    read: (name) => read(format, name),
    judge: (config, name, met, replies) => judge(format, config, name, met, replies),
  };
}
