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

/** The same for a number of more than two bytes: a loop would keep LuaJIT from compiling who calls it for short ones. */
function take_long(bytes: string, at: number): LuaMultiReturn<[number, number]> {
  let value = 0;
  let scale = 1;
  let last = at;
  let byte = string.byte(bytes, last);
  while (byte >= MORE) {
    value += (byte % MORE) * scale;
    scale *= MORE;
    last += 1;
    byte = string.byte(bytes, last);
  }
  return $multi(value + byte * scale, last + 1);
}

/**
 * @param at where the number begins (1-based)
 * @returns the number, and where what follows it begins
 */
function take(bytes: string, at: number): LuaMultiReturn<[number, number]> {
  const first = string.byte(bytes, at);
  if (first < MORE) {
    return $multi(first, at + 1);
  }
  const second = string.byte(bytes, at + 1);
  if (second < MORE) {
    return $multi(first - MORE + second * MORE, at + 2);
  }
  return take_long(bytes, at);
}

export { put, take };
