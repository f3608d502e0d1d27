/** lua-resty-redis, as far as it is used: what 0.27 (Debian 13) and later versions have in common. */

/** @noResolution */
declare module "resty.redis" {
  export type RedisCommand = (
    this: void,
    client: Redis,
    ...words: (string | number)[]
  ) => LuaMultiReturn<[unknown, string | undefined]>;

  export interface Redis {
    /** The cosocket: TLS of versions without an option for it begins here. */
    readonly _sock: NgxTcpSocket;
    set_timeout(milliseconds: number): void;
    connect(unix_path: string, options: object): LuaMultiReturn<[true, undefined] | Failure>;
    connect(address: string, port: number, options: object): LuaMultiReturn<[true, undefined] | Failure>;
    get_reused_times(): LuaMultiReturn<[number, undefined] | Failure>;
    set_keepalive(idle_ms: number, size: number): LuaMultiReturn<[true, undefined] | Failure>;
    close(): LuaMultiReturn<[true, undefined] | Failure>;
    init_pipeline(count?: number): void;
    commit_pipeline(): LuaMultiReturn<[unknown[], undefined] | Failure>;
    /** Every Redis command is a method, by its lower-case name. */
    readonly [command: string]: unknown;
  }
  function create(this: unknown): LuaMultiReturn<[Redis, undefined] | Failure>;
  export { create as new };
}
