/** The option `split`: `@shop-v2=5,@shop-v1=95`, pools and their shares of a route's requests. */

import { find_captured } from "../captured";

/** More would be a mistake, and each costs a look at its pool. */
const MOST_ARMS = 16;
const LARGEST_SHARE = 1000000;
const A_WORD = "([^,]*),";

/** One pool of a split route. */
export interface Share {
  /** `@shop-v2` */
  pool: string;
  /** Of the sum of all; 0: only clients that have its cookie. */
  share: number;
}

/**
 * @returns the pools in the order of their names; or nil and what the text must be
 */
function parse_split(text: string): LuaMultiReturn<[Share[], undefined] | [undefined, string]> {
  const shares: Share[] = [];
  const seen = new LuaSet<string>();
  let sum = 0;
  const list = `${text},`;
  let [, end, word] = find_captured(list, A_WORD);
  while (end !== undefined) {
    const [pool, digits] = string.match(word!, "^%s*(@[%w._-]+)=(%d+)%s*$");
    const share = tonumber(digits) ?? LARGEST_SHARE + 1;
    if (pool === undefined || pool.length > 254 || share > LARGEST_SHARE) {
      return $multi(
        undefined,
        `must be pools with whole shares up to ${LARGEST_SHARE}, such as @shop-v2=5,@shop-v1=95`,
      );
    }
    if (seen.has(pool)) {
      return $multi(undefined, `must name each pool once ("${pool}" stands twice)`);
    }
    seen.add(pool);
    sum += share;
    shares.push({ pool, share });
    [, end, word] = find_captured(list, A_WORD, end + 1);
  }
  if (shares.length > MOST_ARMS) {
    return $multi(undefined, `must have at most ${MOST_ARMS} pools`);
  }
  if (sum === 0) {
    return $multi(undefined, "must give at least one pool a share above 0");
  }
  table.sort(shares, (a, b) => a.pool < b.pool);
  return $multi(shares, undefined);
}

export { parse_split };
