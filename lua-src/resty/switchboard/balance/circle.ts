/**
 * The circle of a consistent hash, point for point that of nginx's `hash … consistent` (as in
 * Cache::Memcached::Fast's ketama): 160 points per weight, the n-th of a server at
 * crc32(host \0 port previous), where `previous` is the point before it in four bytes, lowest first, and 0 for
 * the first one.
 */

import { create as create_ruler, first_from, Numbers, numbers, Ruler } from "./ruler";

/** What a circle is made of. */
export interface Member {
  /** `10.0.0.5` or `[fd00::5]` */
  address: string;
  port: number;
  weight: number;
}

export interface Circle {
  /** Points in order. */
  ruler: Ruler;
  /** The member (0-based) of each point, uint16_t. */
  owners: Numbers;
  count: number;
}

/** Points that are being put in order. */
interface Points {
  points: Numbers;
  owners: Numbers;
  count: number;
}

const POINTS_PER_WEIGHT = 160;
/** More would only cost memory: a weight's part of the circle is known to 1 in 1,000 then. */
const HEAVIEST = 1000;
/** All points of a circle: 10 MB. With more, the weights shrink in proportion. */
const MOST_POINTS = 1600000;

const RANGE = 4294967296;
const POLYNOMIAL = 0xedb88320;
/** Bits of a point that one pass of sorting looks at; three passes see all 32. */
const DIGIT_BITS = 11;
const DIGITS = 2048;

const crc_table = numbers("int32_t", 256);
for (const byte of $range(0, 255)) {
  let crc = byte;
  for (const _ of $range(1, 8)) {
    crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  }
  crc_table.set(byte, crc);
}

function crc_byte(crc: number, byte: number): number {
  return crc_table.get((crc ^ byte) & 255) ^ (crc >>> 8);
}

function crc_text(crc: number, text: string): number {
  let sum = crc;
  for (const i of $range(1, text.length)) {
    sum = crc_byte(sum, string.byte(text, i));
  }
  return sum;
}

/** What the weights are multiplied by so that the circle is not too large. */
function scale_of(members: Member[]): number {
  let total = 0;
  for (const member of members) {
    total += math.min(member.weight, HEAVIEST) * POINTS_PER_WEIGHT;
  }
  return total > MOST_POINTS ? MOST_POINTS / total : 1;
}

function points_of(member: Member, scale: number): number {
  const weight = math.max(1, math.floor(math.min(member.weight, HEAVIEST) * scale));
  return weight * POINTS_PER_WEIGHT;
}

/** Sorts by point, stable, so that of equal points the earlier member's comes first; three counting passes. */
function sort(circle: Points): void {
  const { count } = circle;
  let points = circle.points;
  let owners = circle.owners;
  let other_points = numbers("uint32_t", count);
  let other_owners = numbers("uint16_t", count);
  const starts = numbers("uint32_t", DIGITS);
  for (const pass of $range(0, 2)) {
    const shift = pass * DIGIT_BITS;
    for (const digit of $range(0, DIGITS - 1)) {
      starts.set(digit, 0);
    }
    for (const i of $range(0, count - 1)) {
      const digit = (points.get(i) >>> shift) & (DIGITS - 1);
      starts.set(digit, starts.get(digit) + 1);
    }
    let sum = 0;
    for (const digit of $range(0, DIGITS - 1)) {
      const here = starts.get(digit);
      starts.set(digit, sum);
      sum += here;
    }
    for (const i of $range(0, count - 1)) {
      const point = points.get(i);
      const digit = (point >>> shift) & (DIGITS - 1);
      const place = starts.get(digit);
      starts.set(digit, place + 1);
      other_points.set(place, point);
      other_owners.set(place, owners.get(i));
    }
    const emptied_points = points;
    const emptied_owners = owners;
    points = other_points;
    owners = other_owners;
    other_points = emptied_points;
    other_owners = emptied_owners;
  }
  circle.points = points;
  circle.owners = owners;
}

/** Of equal points the first one stays. */
function drop_equals(circle: Points): void {
  const { points, owners } = circle;
  let last = 0;
  for (const i of $range(1, circle.count - 1)) {
    if (points.get(i) !== points.get(last)) {
      last += 1;
      points.set(last, points.get(i));
      owners.set(last, owners.get(i));
    }
  }
  circle.count = last + 1;
}

/** @param members at least one and at most 65,536, each with a weight above 0 */
function create(members: Member[]): Circle {
  const scale = scale_of(members);
  let count = 0;
  for (const member of members) {
    count += points_of(member, scale);
  }
  const points = numbers("uint32_t", count);
  const owners = numbers("uint16_t", count);
  let place = 0;
  for (const i of $range(1, members.length)) {
    const member = members[i - 1]!;
    const base = crc_text(-1, `${member.address}\0${member.port}`);
    let previous = 0;
    for (const _ of $range(1, points_of(member, scale))) {
      let crc = crc_byte(base, previous & 255);
      crc = crc_byte(crc, (previous >>> 8) & 255);
      crc = crc_byte(crc, (previous >>> 16) & 255);
      crc = crc_byte(crc, (previous >>> 24) & 255);
      previous = crc ^ -1;
      points.set(place, previous < 0 ? previous + RANGE : previous);
      owners.set(place, i - 1);
      place += 1;
    }
  }
  const made: Points = { points, owners, count };
  sort(made);
  drop_equals(made);
  return {
    ruler: create_ruler(made.points, made.count, RANGE),
    owners: made.owners,
    count: made.count,
  };
}

/** The place of the first point that is not before the key; behind the last one it begins again. */
function place_of(circle: Circle, key: number): number {
  const place = first_from(circle.ruler, key);
  return place < circle.count ? place : 0;
}

export { create, place_of };
