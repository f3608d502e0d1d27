/** lua-resty-dns, as far as it is used. */

/** @noResolution */
declare module "resty.dns.resolver" {
  export interface Answer {
    name: string;
    type: number;
    ttl: number;
    /** Of A and AAAA; IPv6 in an uncompressed form. */
    address?: string;
  }
  export interface Answers extends Array<Answer> {
    /** RCODE when it is not 0. */
    errcode?: number;
    errstr?: string;
  }
  export interface Resolver {
    query(name: string, options: { qtype: number }): LuaMultiReturn<[Answers, undefined] | Failure>;
  }
  export interface ResolverOptions {
    nameservers: [host: string, port: number][];
    /** How often a question is sent before its answer is given up. */
    retrans: number;
    /** Milliseconds for each. */
    timeout: number;
  }
  function create(this: unknown, options: ResolverOptions): LuaMultiReturn<[Resolver, undefined] | Failure>;
  export { create as new };
  export const TYPE_A: number;
  export const TYPE_AAAA: number;
}
