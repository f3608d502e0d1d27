/** What only other keys can tell of a name: whether any layout knows it, and whether its pools exist. */

import { Layout } from "../schema/layout";
import { RouteOptions } from "../schema/record";
import { parse_split } from "../schema/split";
import { Command } from "../store/redis";
import { Finding, Verdict } from "./judge";

/**
 * The command that tells whether one of the layouts knows a name; undefined: none of them has such names.
 *
 * Layouts are only asked for pools where they lead to one, and have no `ask_known` for them: there the keys count that
 * would be read.
 */
function ask_known_by(layouts: Layout[], name: string): Command | undefined {
  const command: Command = ["EXISTS"];
  for (const layout of layouts) {
    const asked = layout.ask_known(name) ?? layout.read(name, undefined)[0];
    // A list is read with a range behind its key.
    const last = asked === undefined || asked[0] === "EXISTS" ? (asked?.length ?? 0) : 2;
    for (const i of $range(1, last - 1)) {
      command.push(asked![i]!);
    }
  }
  return command.length > 1 ? command : undefined;
}

/** Adds a finding that holds when the answer to a command says no; without a command it holds anyway. */
function add_unless(verdict: Verdict, command: Command | undefined, finding: Finding): void {
  if (command === undefined) {
    verdict.findings.push(finding);
  } else {
    verdict.questions.push({ command, finding });
  }
}

/** Asks whether the pools that a route's options name exist in one of the layouts. */
function add_pools(verdict: Verdict, layouts: Layout[], where: string, options: RouteOptions): void {
  const pools: [string, string][] = [];
  if (options.pool !== undefined) {
    pools.push([options.pool, `pool ${options.pool}`]);
  }
  if (options.split !== undefined) {
    const [shares] = parse_split(options.split);
    for (const share of shares ?? []) {
      pools.push([share.pool, `split ${options.split}`]);
    }
  }
  for (const named of pools) {
    const command = ask_known_by(layouts, named[0]);
    add_unless(verdict, command, {
      code: "dangling_pool",
      key: where,
      value: named[1],
      reason:
        command !== undefined
          ? `the pool ${named[0]} does not exist: it has no key ${command[1]}`
          : `the pool ${named[0]} does not exist: no layout that is read has pools`,
    });
  }
}

export { add_pools, add_unless, ask_known_by };
