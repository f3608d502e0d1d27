/**
 * string.find for patterns with captures, of which lua-types says that they may be numbers.
 *
 * It takes the place of string.gmatch where words are looked for again and again. Each call of that makes a function, and LuaJIT
 * compiles the loop over it for that one: a worker that read what routes say so went on compiling for as long as it lived.
 */

type Captured = LuaMultiReturn<
  [number, number, string, string, string] | [undefined, undefined, undefined, undefined, undefined]
>;

const find_captured = string.find as unknown as (
  this: void,
  text: string,
  pattern: string,
  from?: number,
) => Captured;

export { find_captured };
