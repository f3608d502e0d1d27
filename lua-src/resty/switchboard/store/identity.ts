/** Which server answers, and what an operator has told all nodes through it. */

import { WIPED_KEY } from "../schema/keys";
import { Config } from "../config";
import { Reply, transaction } from "./redis";

function text_of(reply: Reply | undefined): string | undefined {
  return type(reply) === "string" ? (reply as string) : undefined;
}

/** The `run_id` of the server; undefined when it cannot be learnt. */
function run_id(config: Config): string | undefined {
  const [replies] = transaction(config, [["INFO", "server"]], config.redis_timeout);
  const info = replies !== undefined ? text_of(replies[0]) : undefined;
  const [id] = string.match(info ?? "", "run_id:(%x+)");
  return id;
}

/** The Unix second of the last wipe that was meant; 0: none, or it cannot be read. */
function wiped_at(config: Config): number {
  const [replies] = transaction(config, [["GET", WIPED_KEY]], config.redis_timeout);
  const text = replies !== undefined ? text_of(replies[0]) : undefined;
  return tonumber(text) ?? 0;
}

export { run_id, wiped_at, WIPED_KEY };
