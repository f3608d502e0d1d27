/** Asks sentinels where the master is: https://redis.io/docs/latest/develop/reference/sentinel-clients/. */

import { Config } from "../config";
import { parse_place, Place } from "../config/redis_url";
import { resolve } from "../net/dns";
import { bracketed } from "../net/nameserver";
import { dial, discard, keep, say } from "./dial";
import { explain } from "./refusal";
import { error_of, read, Reply } from "./wire";

/** What a sentinel says. */
export interface Word {
  master: Place;
  /** The number of its last fail-over, which all sentinels count alike; undefined: it does not tell. */
  term: number | undefined;
}

type Answered<T> = LuaMultiReturn<[T, undefined] | [undefined, string]>;

/** Of a flat list of fields and values. */
function term_in(reply: Reply): number | undefined {
  const fields = type(reply) === "table" ? (reply as Reply[]) : [];
  for (const i of $range(1, fields.length - 1, 2)) {
    if (fields[i - 1] === "config-epoch") {
      return tonumber(fields[i]);
    }
  }
  return undefined;
}

function understand(where: Reply, about: Reply): Answered<Word> {
  const refused = error_of(where);
  if (refused !== undefined) {
    return $multi(undefined, explain(refused));
  }
  if (type(where) !== "table") {
    return $multi(undefined, "it knows no such master");
  }
  const [host, port] = where as string[];
  const [master, wrong] = parse_place(`${bracketed(tostring(host))}:${tostring(port)}`, 0);
  if (master === undefined) {
    return $multi(undefined, `what it says of the master is no place: ${wrong}`);
  }
  return $multi({ master, term: term_in(about) }, undefined);
}

/** Asks one sentinel at one of its addresses. Yields. */
function ask_at(config: Config, sentinel: Place, address: string, deadline: number): Answered<Word> {
  const { tls, master, pool } = config.redis_url;
  const [connection, unreachable] = dial(
    config,
    {
      address,
      port: sentinel.port,
      host: sentinel.host,
      tls,
      user: config.redis_sentinel_user,
      password: config.redis_sentinel_password !== "" ? config.redis_sentinel_password : undefined,
      db: 0,
      pool: `${pool} sentinel`,
    },
    deadline,
    false,
  );
  if (connection === undefined) {
    return $multi(undefined, unreachable);
  }
  const questions = [
    ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", master!],
    ["SENTINEL", "MASTER", master!],
  ];
  const unsent = say(connection, questions, deadline);
  const [where, silent] = read(connection.wire);
  const [about, broken] = read(connection.wire);
  if (unsent !== undefined || where === undefined || about === undefined) {
    discard(connection);
    return $multi(undefined, unsent ?? silent ?? broken!);
  }
  keep(connection);
  return understand(where, about);
}

function ask(config: Config, sentinel: Place, deadline: number): Answered<Word> {
  const [addresses, unresolved] = resolve(sentinel.host, config, deadline);
  if (addresses === undefined) {
    return $multi(undefined, unresolved);
  }
  let problem = "";
  for (const address of addresses) {
    const [word, err] = ask_at(config, sentinel, address, deadline);
    if (word !== undefined) {
      return $multi(word, undefined);
    }
    problem = err;
  }
  return $multi(undefined, problem);
}

/**
 * Asks one sentinel after the other, until one knows of a term that is not over. One that was cut off from the others may
 * still name the master of an earlier one.
 *
 * @param term the last one that is known of
 * @returns the word of one that is up to date; else of one that is not; else nil and why there is none
 */
function find_master(config: Config, deadline: number, term: number): Answered<Word> {
  const { servers, master } = config.redis_url;
  let outdated: Word | undefined = undefined;
  const problems: string[] = [];
  for (const i of $range(1, servers.length)) {
    const sentinel = servers[i - 1]!;
    // A silent one must leave time for those behind it.
    const now = ngx.now();
    const [word, err] = ask(config, sentinel, now + (deadline - now) / (servers.length - i + 1));
    if (word !== undefined && (word.term === undefined || word.term >= term)) {
      return $multi(word, undefined);
    }
    outdated ??= word;
    problems.push(`${sentinel.host}: ${err}`);
  }
  if (outdated !== undefined) {
    return $multi(outdated, undefined);
  }
  return $multi(undefined, `no sentinel names the master ${master}: ${table.concat(problems, ", ")}`);
}

export { find_master };
