/** LuaJIT's FFI, as far as it is used. C data are opaque unless a caller says what they are. */

/** @noResolution */
declare module "ffi" {
  export interface CData {
    readonly __cdata: unique symbol;
  }
  /** Functions that `cdef` declared; a caller casts this to the interface of those it declared. */
  export const C: unknown;
  export function cdef(this: void, declarations: string): void;
  export function cast(this: void, type: string, value: unknown): CData;
  function allocate<T = CData>(this: void, type: string, ...initial: unknown[]): T;
  export { allocate as new };
  function text(this: void, pointer: unknown, length?: number): string;
  export { text as string };
  export function copy(this: void, to: unknown, from: unknown, length: number): void;
  export function fill(this: void, to: unknown, length: number): void;
  /** Whether the machine is so: `le` little-endian, `64bit`, … */
  export function abi(this: void, property: string): boolean;
  export function sizeof(this: void, type: unknown): number;
}
