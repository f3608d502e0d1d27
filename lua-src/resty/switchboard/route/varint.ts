/** Whole numbers from 0 in as few bytes as they need: seven bits in each, the lowest first; the last one is below 128. */

const MORE = 128;

function put(value: number): string {
  if (value < MORE) {
    return string.char(value);
  }
  if (value < MORE * MORE) {
    return string.char((value % MORE) + MORE, math.floor(value / MORE));
  }
  return string.char((value % MORE) + MORE) + put(math.floor(value / MORE));
}

/**
 * @param at where the number begins (1-based)
 * @returns the number, and where what follows it begins
 */
function take(bytes: string, at: number): LuaMultiReturn<[number, number]> {
  let byte = string.byte(bytes, at);
  let value = byte % MORE;
  let scale = 1;
  let last = at;
  while (byte >= MORE) {
    last += 1;
    byte = string.byte(bytes, last);
    scale *= MORE;
    value += (byte % MORE) * scale;
  }
  return $multi(value, last + 1);
}

export { put, take };
