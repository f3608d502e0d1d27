/**
 * What was skipped of a route when it was read last, for the operator.
 *
 * Kept beside the routes, not in them: almost no route has any, and what it costs the others is nothing. It counts as long
 * as the route has the time of the load that found it: the next load has found its own, or none.
 */

import { find_captured } from "../captured";
import { Problem } from "../schema/record";
import { Dicts } from "./dict";

/** Of one route. */
const MOST_KEPT = 20;
const LONGEST_KEPT = 300;
const A_PROBLEM = "(%S*) (%S*) ([^\n]*)";

function key_of(name: string): string {
  // No name has a blank.
  return `problems ${name}`;
}

function one_line(text: string): string {
  return ngx.escape_uri(string.sub(text, 1, LONGEST_KEPT));
}

/** @param loaded ngx.now() of the load */
function keep_problems(dicts: Dicts, name: string, loaded: number, problems: Problem[]): void {
  if (problems.length === 0) {
    return;
  }
  const lines: string[] = [string.format("%.3f %d", loaded, problems.length)];
  for (const problem of problems) {
    if (lines.length <= MOST_KEPT) {
      lines.push(`${one_line(problem.key)} ${one_line(problem.value)} ${one_line(problem.reason)}`);
    }
  }
  dicts.matches.set(key_of(name), table.concat(lines, "\n"));
}

/**
 * What the load of this time skipped; at most the first 20.
 *
 * @returns how many there were, and what
 */
function problems_of(dicts: Dicts, name: string, loaded: number): LuaMultiReturn<[number, Problem[]]> {
  const found: Problem[] = [];
  const [text] = dicts.matches.get(key_of(name));
  const [at, count, rest] = string.match((text as string | undefined) ?? "", "^(%S+) (%d+)\n(.*)$");
  if (at !== string.format("%.3f", loaded)) {
    return $multi(0, found);
  }
  let [, end, key, value, reason] = find_captured(rest!, A_PROBLEM);
  while (end !== undefined) {
    found.push({
      key: ngx.unescape_uri(key!),
      value: ngx.unescape_uri(value!),
      reason: ngx.unescape_uri(reason!),
    });
    [, end, key, value, reason] = find_captured(rest!, A_PROBLEM, end + 1);
  }
  return $multi(tonumber(count)!, found);
}

export { keep_problems, problems_of };
