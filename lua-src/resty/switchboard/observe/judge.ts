/**
 * What is wrong with what stands in Redis about a name, by the router's own decoders: for `switchboard check`.
 *
 * A judge does no I/O. It says which keys are whose, what to read about a name, and what the replies are worth;
 * what only another key can tell it leaves as a question.
 */

import { Config } from "../config";
import { parse_ip } from "../net/address";
import { normalise } from "../route/host";
import { forbidden_address } from "../route/targets";
import { SchemaName } from "../schema/layout";
import { set_option } from "../schema/options";
import { address_of, Problem, RouteRecord } from "../schema/record";
import { Command, Reply } from "../store/redis";

/** One thing that is wrong. The README lists the codes. */
export interface Finding {
  code: string;
  key: string;
  value: string;
  reason: string;
}

/** A finding that holds when the answer to a command says no: 0, nothing, or none of its type. */
export interface Question {
  command: Command;
  finding: Finding;
}

export interface Verdict {
  /** Redis would not tell, such as for want of a right: nothing else here counts. */
  refused?: string;
  findings: Finding[];
  questions: Question[];
}

/** One schema's part. */
export interface Judge {
  schema: SchemaName;
  /**
   * What a key is: nil, when it is none of this schema. The name is judged when its first key is met: `earlier`
   * are the keys that would come before this one.
   */
  place: (this: void, key: string) => LuaMultiReturn<[string, string[]] | [undefined, undefined]>;
  /** Whether a key that is no name's stands beside this layout all the same: it is nobody else's. */
  is_companion: (this: void, key: string) => boolean;
  /** What to read about a name. */
  read: (this: void, name: string) => Command[];
  /** @param met the key under which the name was met */
  judge: (this: void, config: Config, name: string, met: string, replies: Reply[]) => Verdict;
}

function code_of(reason: string): string {
  if (string.sub(reason, 1, 13) === "duplicate of ") {
    return "duplicate";
  }
  if (string.sub(reason, 1, 14) === "a path prefix ") {
    return "bad_path";
  }
  if (reason === "unknown option") {
    return "unknown_option";
  }
  return "bad_value";
}

/** A decoder complains of a key as a whole without a value: that is its type. */
function finding_of(problem: Problem): Finding {
  const code =
    problem.value === "" && string.sub(problem.reason, 1, 10) === "must be a " ? "wrong_type" : undefined;
  return {
    code: code ?? code_of(problem.reason),
    key: problem.key,
    value: problem.value,
    reason: problem.reason,
  };
}

/** What the decoder skipped, and the addresses that are refused when a route is loaded. */
function add_record(verdict: Verdict, config: Config, key: string, record: RouteRecord): void {
  for (const problem of record.problems) {
    verdict.findings.push(finding_of(problem));
  }
  for (const instance of record.instances) {
    const reason =
      parse_ip(instance.host) !== undefined
        ? forbidden_address(config.deny_instances, instance.host)
        : undefined;
    if (reason !== undefined) {
      verdict.findings.push({ code: "forbidden_target", key, value: address_of(instance), reason });
    }
    const ends = instance.until !== undefined ? instance.until + config.clock_slack : math.huge;
    if (ends <= os.time()) {
      const value = address_of(instance);
      verdict.findings.push({ code: "expired", key, value, reason: "its heart-beats have ended" });
    }
  }
}

/** Whether a request can lead to this name of a host or wildcard, without a path. */
function can_be_asked(name: string): boolean {
  if (name === "*") {
    return true;
  }
  const [suffix] = string.match(name, "^%*%.(.*)$");
  const asked = suffix !== undefined ? `x.${suffix}` : name;
  return normalise(asked) === asked;
}

/**
 * Why no request can lead to a name; undefined: one can.
 *
 * @param name of a host, a wildcard or a pool, without a path
 */
function name_fault(name: string): string | undefined {
  if (string.sub(name, 1, 1) === "@") {
    return set_option({}, "pool", name);
  }
  if (can_be_asked(name)) {
    return undefined;
  }
  return can_be_asked(string.lower(name))
    ? "no request asks for it: names of hosts are lower-case"
    : "no request can ask for it: neither a host, an IP address without brackets, *.suffix nor *";
}

export { add_record, finding_of, name_fault };
