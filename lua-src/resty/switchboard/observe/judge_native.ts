/** Judges names of the native schema. */

import { Config } from "../config";
import { key, KeyFormat, KINDS, split_key } from "../schema/keys";
import { Layout } from "../schema/layout";
import { host_of_path } from "../schema/within";
import * as native from "../schema/native";
import { problem_of_prefix } from "../schema/prefix";
import { RouteOptions } from "../schema/record";
import { list_of } from "../schema/replies";
import { Command, Reply } from "../store/redis";
import { add_record, Judge, name_fault, Verdict } from "./judge";
import { add_pools, add_unless, ask_known_by } from "./judge_known";

interface Bench {
  format: KeyFormat;
  /** All that are read. */
  layouts: Layout[];
  /** Those beside this one. */
  others: Layout[];
}

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
function judge_unknown(bench: Bench, name: string, instances: Reply | undefined, verdict: Verdict): void {
  const { format } = bench;
  if (type(instances) === "table" && (instances as unknown[]).length > 0) {
    add_unless(verdict, ask_known_by(bench.others, name), {
      code: "orphan",
      key: key(format, "instances", name),
      value: "",
      reason: "nothing makes this name known: it has no instances whose attributes these could be",
    });
  }
}

function judge_place(bench: Bench, name: string, where: string, verdict: Verdict): void {
  const { format } = bench;
  const path_host = host_of_path(name);
  const host = path_host ?? name;
  const fault = name_fault(host);
  if (fault !== undefined) {
    const [kind] = split_key(format, where);
    // Options may belong to a name that only another layout can have, such as a host with a port.
    const elsewhere = kind === "route" || kind === "instances" ? ask_known_by(bench.others, name) : undefined;
    add_unless(verdict, elsewhere, { code: "bad_name", key: where, value: host, reason: fault });
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

/** The pool of a pool is not followed. */
function judge_pool_of_pool(format: KeyFormat, name: string, options: RouteOptions, verdict: Verdict): void {
  for (const value of [
    options.pool !== undefined ? `pool ${options.pool}` : "",
    options.split !== undefined ? `split ${options.split}` : "",
  ]) {
    if (value !== "") {
      verdict.findings.push({
        code: "ignored_option",
        key: key(format, "route", name),
        value,
        reason: "the pool of a pool is not followed",
      });
    }
  }
}

function judge(bench: Bench, config: Config, name: string, where: string, replies: Reply[]): Verdict {
  const { format } = bench;
  const verdict: Verdict = { findings: [], questions: [] };
  const [record, refused] = native.decode(format, name, undefined, replies, 0, undefined);
  if (refused !== undefined) {
    verdict.refused = refused;
    return verdict;
  }
  judge_place(bench, name, where, verdict);
  judge_paths(format, name, replies, verdict);
  if (record === undefined) {
    judge_unknown(bench, name, replies[0], verdict);
    return verdict;
  }
  add_record(verdict, config, key(format, "backends", name), record);
  if (string.sub(name, 1, 1) === "@") {
    judge_pool_of_pool(format, name, record.options, verdict);
  } else {
    add_pools(verdict, bench.layouts, key(format, "route", name), record.options);
  }
  return verdict;
}

/**
 * The judge of the native schema.
 *
 * @param layouts all that are read, in their order
 */
export function native_judge(format: KeyFormat, layouts: Layout[]): Judge {
  const others: Layout[] = [];
  for (const layout of layouts) {
    if (layout.name !== "native") {
      others.push(layout);
    }
  }
  const bench: Bench = { format, layouts, others };
  return {
    schema: "native",
    place: (text) => place(format, text),
    is_companion: () => false,
    read: (name) => read(format, name),
    judge: (config, name, met, replies) => judge(bench, config, name, met, replies),
  };
}
