/** Until when each instance of a heart-beating route counts, in the order of its instances, as a text. */

import { find_captured } from "../captured";
import { put, take } from "./varint";

/** Unix seconds; false: for ever. */
export type Life = number | false;

/** Before lives that are whole seconds, as by far the most are: the first, then how much each next one is later or sooner. */
const WHOLE = 1;
/** Whole seconds below it. */
const MOST = 2 ** 40;
const NO_END = "-";
const A_WORD = "(%S+)";

function are_whole(lives: Life[]): boolean {
  for (const life of lives) {
    if (life === false || life < 0 || life >= MOST || life !== math.floor(life)) {
      return false;
    }
  }
  return true;
}

function pack_lives(lives: Life[]): string {
  if (lives.length === 0) {
    return "";
  }
  const parts: string[] = [];
  if (are_whole(lives)) {
    let last = 0;
    for (const life of lives as number[]) {
      const by = life - last;
      parts.push(put(by >= 0 ? by * 2 : -by * 2 - 1));
      last = life;
    }
    return string.char(WHOLE) + table.concat(parts);
  }
  for (const life of lives) {
    parts.push(life !== false ? string.format("%.14g", life) : NO_END);
  }
  return table.concat(parts, " ");
}

function unpack_lives(text: string): Life[] {
  const lives: Life[] = [];
  if (string.byte(text) !== WHOLE) {
    let [, end, word] = find_captured(text, A_WORD);
    while (end !== undefined) {
      lives.push(tonumber(word) ?? false);
      [, end, word] = find_captured(text, A_WORD, end + 1);
    }
    return lives;
  }
  let at = 2;
  let last = 0;
  while (at <= text.length) {
    let by: number;
    [by, at] = take(text, at);
    last += by % 2 === 0 ? by / 2 : -(by + 1) / 2;
    lives.push(last);
  }
  return lives;
}

/** Whether an instance of the second text ends before it did in the first: a change, not a heart-beat. */
function shortens(before: string, after: string): boolean {
  if (before === after) {
    return false;
  }
  const was = unpack_lives(before);
  const is = unpack_lives(after);
  for (const i of $range(0, is.length - 1)) {
    const life = is[i]!;
    const earlier = was[i];
    if (life !== false && (earlier === undefined || earlier === false || life < earlier)) {
      return true;
    }
  }
  return false;
}

export { pack_lives, shortens, unpack_lives };
