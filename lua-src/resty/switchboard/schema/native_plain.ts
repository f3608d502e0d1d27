/**
 * The quick way to native names that have plain instances and nothing else: almost all. Two commands instead of four, and
 * no tables between the replies and the text of the route.
 */

import { Command, Reply } from "../store/redis";
import { key, KeyFormat } from "./keys";
import { Plain, Quick } from "./layout";
import { pack } from "./plain";
import { Kind } from "./record";
import { Words } from "./replies";

/** More are sorted quicker by others. */
const MOST = 32;

/** Sorts a few texts, and what belongs to each. Unlike table.sort it is compiled. */
function sort_few(texts: string[], values: number[]): void {
  for (const i of $range(2, texts.length)) {
    const text = texts[i - 1]!;
    const value = values[i - 1]!;
    let at = i - 1;
    while (at > 0 && texts[at - 1]! > text) {
      texts[at] = texts[at - 1]!;
      values[at] = values[at - 1]!;
      at -= 1;
    }
    texts[at] = text;
    values[at] = value;
  }
}

/** Names within names have options of others. */
function stands_alone(name: string): boolean {
  return string.find(name, "/", 1, true)[0] === undefined && string.find(name, "#", 1, true)[0] === undefined;
}

function ask(format: KeyFormat, commands: Command[], name: string, kind: Kind): boolean {
  if (!stands_alone(name)) {
    return false;
  }
  const backends = key(format, "backends", name);
  commands.push([
    "EXISTS",
    key(format, "instances", name),
    key(format, "route", name),
    key(format, "paths", name),
  ]);
  commands.push(kind === "zset" ? ["ZRANGE", backends, 0, -1, "WITHSCORES"] : ["SMEMBERS", backends]);
  return true;
}

function decode(kind: Kind, replies: Reply[], from: number): Plain | undefined {
  const members = replies[from + 1];
  if (replies[from] !== 0 || type(members) !== "table") {
    return undefined;
  }
  const list = members as Words;
  const step = kind === "zset" ? 2 : 1;
  const count = list.length / step;
  if (count < 1 || count > MOST) {
    return undefined;
  }
  const texts: string[] = [];
  const untils: number[] = [];
  for (const i of $range(1, count)) {
    const until = kind === "zset" ? tonumber(list[i * 2 - 1]) : 0;
    if (until === undefined) {
      return undefined;
    }
    texts[i - 1] = tostring(list[(i - 1) * step]);
    untils[i - 1] = until;
  }
  sort_few(texts, untils);
  for (const i of $range(1, count)) {
    const bytes = pack(texts[i - 1]!);
    if (bytes === undefined) {
      return undefined;
    }
    texts[i - 1] = bytes;
  }
  return { instances: texts, untils: kind === "zset" ? untils : undefined };
}

function create_quick(format: KeyFormat): Quick {
  return { ask: (commands, name, kind) => ask(format, commands, name, kind), decode };
}

export { create_quick };
