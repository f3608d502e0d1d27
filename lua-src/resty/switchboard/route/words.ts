/** What a route says in words, in the shared dict: its options, and instances that are more than an address. */

import { find_captured } from "../captured";
import { SchemaName } from "../schema/layout";
import { address_of, Instance, RouteRecord } from "../schema/record";

function number_text(value: number): string {
  return string.format("%.14g", value);
}

const A_TEXT = "([^=&]+)=([^&]*)";
const AN_OPTION = " (%a)(%S+)";
const AN_ADDRESS = "([^,]+)";
const AN_ATTRIBUTE = " (%l)(%S*)";

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
  let [, end, name, value] = find_captured(text, A_TEXT);
  while (end !== undefined) {
    texts[ngx.unescape_uri(name!)] = ngx.unescape_uri(value!);
    [, end, name, value] = find_captured(text, A_TEXT, end + 1);
  }
  return texts;
}

/** ` <letter><value>` for each option that is there; empty: none is. */
function encode_options(record: RouteRecord): string {
  const o = record.options;
  let text = record.schema !== undefined ? ` N${record.schema}` : "";
  text += record.under !== undefined ? ` U${record.under}` : "";
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

/** The address, and ` <letter><value>` for each attribute that is not the default. */
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

/** Sets what `encode_options` wrote. */
function decode_options(text: string, record: RouteRecord): void {
  const o = record.options;
  let [, end, mark, value] = find_captured(text, AN_OPTION);
  while (end !== undefined) {
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
    } else if (mark === "U") {
      record.under = value;
    } else if (mark === "M") {
      record.marks = decode_texts(value!);
    } else if (mark === "N") {
      record.schema = value as SchemaName;
    }
    [, end, mark, value] = find_captured(text, AN_OPTION, end + 1);
  }
}

function decode_addresses(text: string): string[] {
  const addresses: string[] = [];
  let [, end, address] = find_captured(text, AN_ADDRESS);
  while (end !== undefined) {
    addresses.push(address!);
    [, end, address] = find_captured(text, AN_ADDRESS, end + 1);
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
  let [, end, mark, value] = find_captured(attributes!, AN_ATTRIBUTE);
  while (end !== undefined) {
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
    [, end, mark, value] = find_captured(attributes!, AN_ATTRIBUTE, end + 1);
  }
  return instance;
}

/** The other name from which a route with these options has its instances: its pool, or the pattern that it stands under. */
function part_in(options: string): string | undefined {
  const [part] = string.match(options, " [pU](%S+)");
  return part;
}

export { decode_instance, decode_options, encode_instance, encode_options, part_in };
