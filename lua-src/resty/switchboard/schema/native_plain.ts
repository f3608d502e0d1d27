/**
 * The quick way to native names that have plain instances and nothing else: almost all. Two commands instead of four, and
 * no tables between the replies and the text of the route.
 */

import { Command, Reply } from "../store/redis";
import { Around, KeyFormat } from "./keys";
import { Plain, Quick } from "./layout";
import { Bytes, FREE, MOST_PACKED, pack_into, SIZE } from "./plain";
import { Kind } from "./record";
import { Words } from "./replies";

/** The routes that are decoded, one after the other: tables of their own would be a third of the garbage of a preload. */
const TEXTS: string[] = [];
const UNTILS: number[] = [];
const FOUND: Plain = { count: 0, untils: undefined };

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

/** Takes from the end of a list what is more than `count`. */
function shorten(list: unknown[], count: number): void {
  for (const i of $range(list.length, count + 1, -1)) {
    list[i - 1] = undefined;
  }
}

/** Names within names have options of others. */
function stands_alone(name: string): boolean {
  return string.find(name, "/", 1, true)[0] === undefined && string.find(name, "#", 1, true)[0] === undefined;
}

/** The commands for a name, as they are sent but for the name and the lengths of its keys: for `string.format`. */
interface Forms {
  exists: string;
  smembers: string;
  zrange: string;
  /** What the keys have beside the name. */
  instances: number;
  route: number;
  paths: number;
  backends: number;
}

/** A key as a word of a command. */
function form_of({ first, last }: Around): string {
  const [before] = string.gsub(first, "%%", "%%%%");
  const [after] = string.gsub(last, "%%", "%%%%");
  return `$%d\r\n${before}%s${after}\r\n`;
}

function forms_of(format: KeyFormat): Forms {
  const form = (kind: string): string => form_of(format[kind]!);
  const size = (kind: string): number => format[kind]!.first.length + format[kind]!.last.length;
  return {
    exists: `*4\r\n$6\r\nEXISTS\r\n${form("instances")}${form("route")}${form("paths")}`,
    smembers: `*2\r\n$8\r\nSMEMBERS\r\n${form("backends")}`,
    zrange: `*5\r\n$6\r\nZRANGE\r\n${form("backends")}$1\r\n0\r\n$2\r\n-1\r\n$10\r\nWITHSCORES\r\n`,
    instances: size("instances"),
    route: size("route"),
    paths: size("paths"),
    backends: size("backends"),
  };
}

/**
 * Each command is one text: most of what it costs to read thousands of names are the texts that are made on the way, and
 * from words these would be two dozen for each name.
 */
function ask(forms: Forms, commands: Command[], name: string, kind: Kind): boolean {
  if (!stands_alone(name)) {
    return false;
  }
  const size = name.length;
  commands.push(
    string.format(
      forms.exists,
      size + forms.instances,
      name,
      size + forms.route,
      name,
      size + forms.paths,
      name,
    ),
  );
  commands.push(string.format(kind === "zset" ? forms.zrange : forms.smembers, size + forms.backends, name));
  return true;
}

function decode(kind: Kind, replies: Reply[], from: number, packed: Bytes): Plain | undefined {
  const members = replies[from + 1];
  if (replies[from] !== 0 || type(members) !== "table") {
    return undefined;
  }
  const list = members as Words;
  const step = kind === "zset" ? 2 : 1;
  const count = list.length / step;
  if (count < 1 || count > MOST_PACKED) {
    return undefined;
  }
  shorten(TEXTS, count);
  shorten(UNTILS, count);
  for (const i of $range(1, count)) {
    const until = kind === "zset" ? tonumber(list[i * 2 - 1]) : 0;
    if (until === undefined) {
      return undefined;
    }
    TEXTS[i - 1] = tostring(list[(i - 1) * step]);
    UNTILS[i - 1] = until;
  }
  sort_few(TEXTS, UNTILS);
  for (const i of $range(0, count - 1)) {
    if (!pack_into(packed, FREE + i * SIZE, TEXTS[i]!)) {
      return undefined;
    }
  }
  FOUND.count = count;
  FOUND.untils = kind === "zset" ? UNTILS : undefined;
  return FOUND;
}

function create_quick(format: KeyFormat): Quick {
  const forms = forms_of(format);
  return { ask: (commands, name, kind) => ask(forms, commands, name, kind), commands: 2, decode };
}

export { create_quick };
