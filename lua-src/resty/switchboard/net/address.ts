/** IP addresses as text: parsing, the canonical form, CIDR ranges and the kinds that no instance may have. */

export interface Address {
  /** Canonical: IPv4 dotted, IPv6 as RFC 5952 writes it, without brackets. */
  text: string;
  family: 4 | 6;
}

/** A range of addresses. */
export interface Cidr {
  /** 16 bits each: two for IPv4, eight for IPv6. */
  groups: number[];
  /** How many leading bits must agree. */
  bits: number;
}

const V4_GROUPS = 2;
const V6_GROUPS = 8;
const GROUP_BITS = 16;
/** Bits before the IPv4 address in ::ffff:0:0/96. */
const MAPPED_BITS = 96;
/** The longest text of an IPv6 address, with an IPv4 tail. */
const LONGEST_TEXT = 45;

/** One part of a dotted address. "010" is 8 to some programs and 10 to others: nobody may mean it. */
function parse_octet(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 3 || (text.length > 1 && string.byte(text, 1) === 48)) {
    return undefined;
  }
  const value = tonumber(text)!;
  return value <= 255 ? value : undefined;
}

function parse_v4(text: string): number[] | undefined {
  const [first, second, third, fourth] = string.match(text, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$");
  const a = parse_octet(first);
  const b = parse_octet(second);
  const c = parse_octet(third);
  const d = parse_octet(fourth);
  if (a === undefined || b === undefined || c === undefined || d === undefined) {
    return undefined;
  }
  return [a * 256 + b, c * 256 + d];
}

/** Appends the groups of a part without `::`; false when it is malformed. */
function append_groups(groups: number[], text: string, may_end_dotted: boolean): boolean {
  if (text === "") {
    return true;
  }
  let from = 1;
  while (true) {
    const [colon] = string.find(text, ":", from, true);
    const word = string.sub(text, from, (colon ?? text.length + 1) - 1);
    if (string.find(word, "^%x%x?%x?%x?$")[0] !== undefined) {
      groups.push(tonumber(word, 16)!);
    } else {
      const tail = colon === undefined && may_end_dotted ? parse_v4(word) : undefined;
      if (tail === undefined) {
        return false;
      }
      groups.push(tail[0]!);
      groups.push(tail[1]!);
    }
    if (colon === undefined) {
      return true;
    }
    from = colon + 1;
  }
}

function parse_v6(text: string): number[] | undefined {
  const [gap] = string.find(text, "::", 1, true);
  const groups: number[] = [];
  if (gap === undefined) {
    return append_groups(groups, text, true) && groups.length === V6_GROUPS ? groups : undefined;
  }
  const tail: number[] = [];
  if (
    !append_groups(groups, string.sub(text, 1, gap - 1), false) ||
    !append_groups(tail, string.sub(text, gap + 2), true)
  ) {
    return undefined;
  }
  const zeros = V6_GROUPS - groups.length - tail.length;
  if (zeros < 1) {
    return undefined;
  }
  for (const _ of $range(1, zeros)) {
    groups.push(0);
  }
  for (const group of tail) {
    groups.push(group);
  }
  return groups;
}

function parse_groups(text: string): number[] | undefined {
  if (text.length > LONGEST_TEXT) {
    return undefined;
  }
  return string.find(text, ":", 1, true)[0] === undefined ? parse_v4(text) : parse_v6(text);
}

function write_v4(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function is_mapped(groups: number[]): boolean {
  if (groups.length !== V6_GROUPS || groups[5] !== 0xffff) {
    return false;
  }
  for (const i of $range(0, 4)) {
    if (groups[i] !== 0) {
      return false;
    }
  }
  return true;
}

function join_hex(groups: number[], from: number, to: number): string {
  const words: string[] = [];
  for (const i of $range(from, to)) {
    words.push(string.format("%x", groups[i]));
  }
  return table.concat(words, ":");
}

/** RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`. */
function write_v6(groups: number[]): string {
  if (is_mapped(groups)) {
    return `::ffff:${write_v4(groups[6]!, groups[7]!)}`;
  }
  let start = 0;
  let length = 1;
  let run = 0;
  for (const i of $range(0, V6_GROUPS - 1)) {
    run = groups[i] === 0 ? run + 1 : 0;
    if (run > length) {
      length = run;
      start = i - run + 1;
    }
  }
  if (length === 1) {
    return join_hex(groups, 0, V6_GROUPS - 1);
  }
  return `${join_hex(groups, 0, start - 1)}::${join_hex(groups, start + length, V6_GROUPS - 1)}`;
}

/**
 * Reads an address, strictly: no leading zeros, no zone id, no brackets, no port.
 *
 * An IPv4-mapped IPv6 address stays IPv6 (`::ffff:10.0.0.1`).
 *
 * @returns undefined for whatever is not an address
 */
function parse_ip(text: string): Address | undefined {
  const groups = parse_groups(text);
  if (groups === undefined) {
    return undefined;
  }
  if (groups.length === V4_GROUPS) {
    return { text: write_v4(groups[0]!, groups[1]!), family: 4 };
  }
  return { text: write_v6(groups), family: 6 };
}

/**
 * Reads a range: `10.0.0.0/8`, `fd00::/8`, or one address. Bits beyond the prefix length do not count.
 *
 * @returns nil and what is wrong, to stand after the value
 */
function parse_cidr(text: string): LuaMultiReturn<[Cidr, undefined] | [undefined, string]> {
  const [slash] = string.find(text, "/", 1, true);
  const groups = parse_groups(slash !== undefined ? string.sub(text, 1, slash - 1) : text);
  if (groups === undefined) {
    return $multi(undefined, "not an IP address or range");
  }
  const most = groups.length * GROUP_BITS;
  let bits = most;
  if (slash !== undefined) {
    const length = string.sub(text, slash + 1);
    if (string.find(length, "^%d%d?%d?$")[0] === undefined || tonumber(length)! > most) {
      return $multi(undefined, `the prefix length must be 0 to ${most}`);
    }
    bits = tonumber(length)!;
  }
  if (is_mapped(groups) && bits >= MAPPED_BITS) {
    // The same range as IPv4 would write it: both spellings of an address are matched against that.
    return $multi({ groups: [groups[6]!, groups[7]!], bits: bits - MAPPED_BITS }, undefined);
  }
  return $multi({ groups, bits }, undefined);
}

function agrees(range: Cidr, groups: number[]): boolean {
  if (range.groups.length !== groups.length) {
    return false;
  }
  let left = range.bits;
  let i = 0;
  while (left > 0) {
    const ignored = left < GROUP_BITS ? GROUP_BITS - left : 0;
    if (range.groups[i]! >> ignored !== groups[i]! >> ignored) {
      return false;
    }
    left -= GROUP_BITS;
    i += 1;
  }
  return true;
}

function contains_groups(list: Cidr[], groups: number[]): boolean {
  for (const range of list) {
    if (agrees(range, groups)) {
      return true;
    }
  }
  return false;
}

/**
 * Whether an address is in one of the ranges. `::ffff:10.0.0.1` is in what contains 10.0.0.1 too: a dual
 * stack socket shows IPv4 peers in that form.
 *
 * @param ip any text; what is not an address is in no range
 */
function contains(list: Cidr[], ip: string): boolean {
  if (list.length === 0) {
    return false;
  }
  const groups = parse_groups(ip);
  if (groups === undefined) {
    return false;
  }
  return (
    contains_groups(list, groups) || (is_mapped(groups) && contains_groups(list, [groups[6]!, groups[7]!]))
  );
}

function special_v4(high: number, low: number): string | undefined {
  const first = high >> 8;
  if (first === 0) {
    // Linux connects 0.0.0.0 to itself; the rest of the block is no destination either.
    return "unspecified";
  }
  if (high === 0xa9fe) {
    return "link-local";
  }
  if (high === 0xffff && low === 0xffff) {
    return "broadcast";
  }
  return first >= 224 && first <= 239 ? "multicast" : undefined;
}

function special_v6(groups: number[]): string | undefined {
  const first = groups[0]!;
  if (first >> 8 === 0xff) {
    return "multicast";
  }
  if (first >> 6 === 0xfe80 >> 6) {
    return "link-local";
  }
  for (const group of groups) {
    if (group !== 0) {
      return undefined;
    }
  }
  return "unspecified";
}

/**
 * Why an address cannot be an instance's: `unspecified`, `multicast`, `link-local` (where clouds answer with
 * credentials) or `broadcast`; undefined for all others, and for what is not an address.
 */
function is_special(ip: string): string | undefined {
  const groups = parse_groups(ip);
  if (groups === undefined) {
    return undefined;
  }
  if (groups.length === V4_GROUPS) {
    return special_v4(groups[0]!, groups[1]!);
  }
  return is_mapped(groups) ? special_v4(groups[6]!, groups[7]!) : special_v6(groups);
}

export { contains, is_special, parse_cidr, parse_ip };
