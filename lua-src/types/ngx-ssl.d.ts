/** ngx.ssl of lua-resty-core. */

/** @noResolution */
declare module "ngx.ssl" {
  export function parse_pem_cert(this: void, pem: string): LuaMultiReturn<[object, undefined] | Failure>;
  export function parse_pem_priv_key(this: void, pem: string): LuaMultiReturn<[object, undefined] | Failure>;
}
