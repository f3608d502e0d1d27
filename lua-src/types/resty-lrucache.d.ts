/** lua-resty-lrucache, as far as it is used. */

/** @noResolution */
declare module "resty.lrucache" {
  export interface LruCache<T> {
    get(key: string): T | undefined;
    set(key: string, value: T): void;
    delete(key: string): void;
  }
  function create<T>(size: number): LuaMultiReturn<[LruCache<T>, undefined] | Failure>;
  export { create as new };
}
