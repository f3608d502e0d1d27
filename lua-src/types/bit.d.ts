/** LuaJIT's bit operations, as far as they are used. */

/** @noResolution */
declare module "bit" {
  /** Eight lower-case hexadecimal digits of a number modulo 2^32. */
  export function tohex(this: void, value: number): string;
}
