/**
 * The compact text of a route in the shared dict.
 *
 * A dict entry of up to 188 bytes (key and value) takes one 256-byte slab slot, so a route with three IPv4
 * instances must stay below: no JSON, no defaults written out. First line the options, then a line an
 * instance: its address, and only the attributes that are not the default. Then a line a path prefix.
 */

import { SchemaName } from "../schema/layout";
import { address_of, Instance, RouteRecord } from "../schema/record";

/** Path prefixes begin with it, and no instance does. */
const SLASH = 47;

function number_text(value: number): string {
  return string.format("%.14g", value);
}

/** Texts of any kind by name: no blank and no line may be left in them. In order, as equal routes are equal texts. */
function encode_texts(texts: Record<string, string>): string {
  const parts: string[] = [];
  for (const [name, value] of pairs(texts)) {
    parts.push(`${ngx.escape_uri(name)}=${ngx.escape_uri(value)}`);
  }
  table.sort(parts);
  return table.concat(parts, "&");
}

function decode_texts(text: string): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of string.gmatch(text, "([^=&]+)=([^&]*)")) {
    texts[ngx.unescape_uri(name!)] = ngx.unescape_uri(value!);
  }
  return texts;
}

function encode_options(record: RouteRecord): string {
  const o = record.options;
  let text = record.kind === "zset" ? "z" : record.kind === "set" ? "b" : "-";
  text += record.paths_only ? "!" : "";
  text += record.schema !== undefined ? ` N${record.schema}` : "";
  text += record.marks !== undefined ? ` M${encode_texts(record.marks)}` : "";
  text += o.pool !== undefined ? ` p${o.pool}` : "";
  text += o.connect_timeout !== undefined ? ` c${number_text(o.connect_timeout)}` : "";
  text += o.send_timeout !== undefined ? ` s${number_text(o.send_timeout)}` : "";
  text += o.read_timeout !== undefined ? ` r${number_text(o.read_timeout)}` : "";
  text += o.deadline !== undefined ? ` D${number_text(o.deadline)}` : "";
  text += o.tries !== undefined ? ` t${number_text(o.tries)}` : "";
  text += o.balance !== undefined ? ` B${o.balance}` : "";
  text += o.hash_bound !== undefined ? ` H${number_text(o.hash_bound)}` : "";
  text += o.sticky !== undefined ? ` S${o.sticky}` : "";
  text += o.sticky_max_age !== undefined ? ` A${number_text(o.sticky_max_age)}` : "";
  text += o.slow_start !== undefined ? ` W${number_text(o.slow_start)}` : "";
  text += o.prefer_zone !== undefined ? ` Z${o.prefer_zone ? "1" : "0"}` : "";
  text += o.fallthrough !== undefined ? ` F${o.fallthrough ? "1" : "0"}` : "";
  text += o.split !== undefined ? ` X${o.split}` : "";
  text += o.split_cookie !== undefined ? ` Y${o.split_cookie}` : "";
  text += o.policy !== undefined ? ` O${encode_texts(o.policy)}` : "";
  text += o.meta !== undefined ? ` m${encode_texts(o.meta)}` : "";
  return text;
}

function encode_instance(instance: Instance): string {
  let text = address_of(instance);
  text += instance.weight !== 1 ? ` w${number_text(instance.weight)}` : "";
  text += instance.drain ? " d1" : "";
  text += instance.backup === true ? " b1" : "";
  text += instance.dead === true ? " x1" : "";
  text += instance.entry !== undefined ? ` e${ngx.escape_uri(instance.entry)}` : "";
  text += instance.zone !== undefined ? ` z${instance.zone}` : "";
  text += instance.id !== undefined ? ` i${instance.id}` : "";
  text += instance.addresses !== undefined ? ` a${table.concat(instance.addresses, ",")}` : "";
  return text;
}

/** Everything that makes two versions of a route differ. Without the lives of heart-beating instances. */
function encode(record: RouteRecord): string {
  const lines: string[] = [encode_options(record)];
  for (const instance of record.instances) {
    lines.push(encode_instance(instance));
  }
  for (const prefix of record.paths ?? []) {
    lines.push(prefix);
  }
  return table.concat(lines, "\n");
}

/** The lives of heart-beating instances, in the order of the instances; empty without any. */
function encode_lives(record: RouteRecord): string {
  if (record.kind !== "zset") {
    return "";
  }
  const lives: string[] = [];
  for (const instance of record.instances) {
    lives.push(instance.until !== undefined ? number_text(instance.until) : "-");
  }
  return table.concat(lives, " ");
}

/** Whether an instance of the second text ends before it did in the first: a change, not a heart-beat. */
function shortens(before: string, after: string): boolean {
  if (before === after) {
    return false;
  }
  const next_before = string.gmatch(before, "%S+");
  for (const [life] of string.gmatch(after, "%S+")) {
    const [was] = next_before();
    const a = tonumber(was) ?? math.huge;
    const b = tonumber(life) ?? math.huge;
    if (b < a) {
      return true;
    }
  }
  return false;
}

function decode_options(text: string, record: RouteRecord): void {
  const marks = string.sub(text, 1, 2);
  const first = string.sub(marks, 1, 1);
  record.kind = first === "z" ? "zset" : first === "b" ? "set" : undefined;
  record.paths_only = string.sub(marks, 2, 2) === "!";
  const o = record.options;
  for (const [mark, value] of string.gmatch(text, " (%a)(%S+)")) {
    if (mark === "p") {
      o.pool = value;
    } else if (mark === "c") {
      o.connect_timeout = tonumber(value);
    } else if (mark === "s") {
      o.send_timeout = tonumber(value);
    } else if (mark === "r") {
      o.read_timeout = tonumber(value);
    } else if (mark === "D") {
      o.deadline = tonumber(value);
    } else if (mark === "t") {
      o.tries = tonumber(value);
    } else if (mark === "B") {
      o.balance = value;
    } else if (mark === "H") {
      o.hash_bound = tonumber(value);
    } else if (mark === "S") {
      o.sticky = value;
    } else if (mark === "A") {
      o.sticky_max_age = tonumber(value);
    } else if (mark === "W") {
      o.slow_start = tonumber(value);
    } else if (mark === "Z") {
      o.prefer_zone = value === "1";
    } else if (mark === "F") {
      o.fallthrough = value === "1";
    } else if (mark === "X") {
      o.split = value;
    } else if (mark === "Y") {
      o.split_cookie = value;
    } else if (mark === "O") {
      o.policy = decode_texts(value!);
    } else if (mark === "m") {
      o.meta = decode_texts(value!);
    } else if (mark === "M") {
      record.marks = decode_texts(value!);
    } else if (mark === "N") {
      record.schema = value as SchemaName;
    }
  }
}

function decode_addresses(text: string): string[] {
  const addresses: string[] = [];
  for (const [address] of string.gmatch(text, "[^,]+")) {
    addresses.push(address!);
  }
  return addresses;
}

function decode_instance(line: string): Instance {
  const [address, attributes] = string.match(line, "^(%S+)(.*)$");
  const tls = string.sub(address!, 1, 8) === "https://";
  const [host, port] = string.match(tls ? string.sub(address!, 9) : address!, "^(.+):(%d+)$");
  const [bracketed] = string.match(host!, "^%[(.*)%]$");
  const instance: Instance = {
    tls,
    host: bracketed ?? host!,
    port: tonumber(port)!,
    weight: 1,
    drain: false,
  };
  for (const [mark, value] of string.gmatch(attributes!, " (%l)(%S*)")) {
    if (mark === "w") {
      instance.weight = tonumber(value)!;
    } else if (mark === "d") {
      instance.drain = true;
    } else if (mark === "b") {
      instance.backup = true;
    } else if (mark === "x") {
      instance.dead = true;
    } else if (mark === "e") {
      instance.entry = ngx.unescape_uri(value!);
    } else if (mark === "z") {
      instance.zone = value;
    } else if (mark === "i") {
      instance.id = value;
    } else if (mark === "a") {
      instance.addresses = decode_addresses(value!);
    }
  }
  return instance;
}

/** What `encode` and `encode_lives` wrote. Problems are not kept. */
function decode(body: string, lives: string): RouteRecord {
  const record: RouteRecord = { paths_only: false, instances: [], options: {}, problems: [] };
  const next_life = string.gmatch(lives, "%S+");
  let first = true;
  for (const [line] of string.gmatch(body, "[^\n]+")) {
    if (first) {
      decode_options(line!, record);
      first = false;
    } else if (string.byte(line!) === SLASH) {
      record.paths ??= [];
      record.paths.push(line!);
    } else {
      const instance = decode_instance(line!);
      const [life] = next_life();
      instance.until = life !== undefined ? tonumber(life) : undefined;
      record.instances.push(instance);
    }
  }
  return record;
}

export { decode, encode, encode_lives, shortens };
