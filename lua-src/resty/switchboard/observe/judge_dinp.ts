/** Judges lists and cnames of DINP. */

import { Config } from "../config";
import { Layout } from "../schema/layout";
import { list_of } from "../schema/replies";
import { Reply } from "../store/redis";
import { add_record, Judge, name_fault, Verdict } from "./judge";

const LIST = "/rs/";
const CNAME = "/cname/";

function place(text: string): LuaMultiReturn<[string, string[]] | [undefined, undefined]> {
  if (string.sub(text, 1, LIST.length) === LIST) {
    return $multi(string.sub(text, LIST.length + 1), []);
  }
  if (string.sub(text, 1, CNAME.length) === CNAME) {
    const name = string.sub(text, CNAME.length + 1);
    return $multi(name, [LIST + name]);
  }
  return $multi(undefined, undefined);
}

function fault_of(name: string): string | undefined {
  const [first] = string.match(name, "^[@*]");
  return first !== undefined
    ? "no request can ask for it: this layout has neither pools nor wildcards"
    : name_fault(name);
}

function judge_cname(name: string, replies: Reply[], target: string | undefined, verdict: Verdict): void {
  const where = CNAME + name;
  const reply = replies[1];
  const value = type(reply) === "string" ? (reply as string) : undefined;
  if (value === undefined) {
    return;
  }
  if (list_of(replies[0]).length > 0) {
    verdict.findings.push({
      code: "ignored_cname",
      key: where,
      value,
      reason: `the name has a list of its own, ${LIST}${name}`,
    });
  } else if (value === "") {
    verdict.findings.push({
      code: "bad_value",
      key: where,
      value,
      reason: "must be the key of a list, /rs/<name>",
    });
  } else if (target !== undefined) {
    verdict.questions.push({
      command: ["EXISTS", value],
      finding: {
        code: "dangling_cname",
        key: where,
        value,
        reason: "there is no such list; a cname leads to a list and never to another cname",
      },
    });
  }
}

function judge(layout: Layout, config: Config, name: string, met: string, replies: Reply[]): Verdict {
  const verdict: Verdict = { findings: [], questions: [] };
  const fault = fault_of(name);
  if (fault !== undefined) {
    verdict.findings.push({ code: "bad_name", key: met, value: name, reason: fault });
  }
  if (replies.length === 0) {
    return verdict;
  }
  const [record, refused] = layout.decode(name, undefined, replies, 0, undefined);
  verdict.refused = refused;
  if (refused === undefined) {
    if (record !== undefined) {
      add_record(verdict, config, LIST + name, record);
    }
    judge_cname(name, replies, record?.options.pool, verdict);
  }
  return verdict;
}

/** The judge of DINP's layout. */
export function dinp_judge(layout: Layout): Judge {
  return {
    schema: layout.name,
    place,
    is_companion: () => false,
    // What begins like a pool is the list of another name.
    read: (name) => (string.sub(name, 1, 1) === "@" ? [] : layout.read(name, undefined)),
    judge: (config, name, met, replies) => judge(layout, config, name, met, replies),
  };
}
