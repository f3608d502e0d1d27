/** The part of ngx_lua's API that Switchboard calls. Only what is called is declared. */

interface NgxNull {
  readonly __ngxNull: unique symbol;
}

/** A failed call's pair: `nil, message`. */
type Failure = [undefined, string];

/** @noSelf */
interface NgxConfig {
  /** The arguments that nginx was configured with. */
  nginx_configure(): string;
  readonly ngx_lua_version: number;
  readonly subsystem: "http" | "stream";
}

/** @noSelf */
interface NgxRequest {
  get_method(): string;
  get_headers(most?: number): Record<string, string | string[] | undefined>;
  set_header(name: string, value: string | undefined): void;
  is_internal(): boolean;
  /** Unix seconds, with milliseconds, at which the first byte of it was read. */
  start_time(): number;
  /** 1.0, 1.1, 2, 3; undefined for HTTP/0.9. */
  http_version(): number | undefined;
  set_uri(uri: string, jump: boolean): void;
}

/** @noSelf */
interface NgxTimer {
  at(
    delay: number,
    run: (premature: boolean, ...words: never[]) => void,
    ...words: unknown[]
  ): LuaMultiReturn<[true, undefined] | Failure>;
  every(delay: number, run: (premature: boolean) => void): LuaMultiReturn<[true, undefined] | Failure>;
}

interface NgxThread {
  readonly __ngxThread: unique symbol;
}

/** @noSelf */
interface NgxThreads {
  spawn<Words extends unknown[]>(
    run: (this: void, ...words: Words) => void,
    ...words: Words
  ): LuaMultiReturn<[NgxThread]>;
  wait(thread: NgxThread): LuaMultiReturn<[boolean, unknown]>;
  /** Only whoever spawned it may. */
  kill(thread: NgxThread): LuaMultiReturn<[true, undefined] | Failure>;
}

/** @noSelf */
interface NgxWorker {
  id(): number | undefined;
  pid(): number;
  count(): number;
  exiting(): boolean;
}

interface NgxSharedDict {
  get(key: string): LuaMultiReturn<[string | number | undefined, string | number | undefined]>;
  set(
    key: string,
    value: string | number | boolean | undefined,
    exptime?: number,
    flags?: number,
  ): LuaMultiReturn<[boolean, string | undefined, boolean]>;
  add(
    key: string,
    value: string | number | boolean,
    exptime?: number,
    flags?: number,
  ): LuaMultiReturn<[boolean, string | undefined, boolean]>;
  /** Like `add`, but evicts nothing: "no memory" instead. */
  safe_add(
    key: string,
    value: string | number | boolean,
    exptime?: number,
  ): LuaMultiReturn<[boolean, string | undefined]>;
  /** Like `set`, but only where there is a value. */
  replace(
    key: string,
    value: string | number | boolean,
    exptime?: number,
  ): LuaMultiReturn<[boolean, string | undefined, boolean]>;
  incr(
    key: string,
    by: number,
    init?: number,
    init_ttl?: number,
  ): LuaMultiReturn<[number, undefined] | Failure>;
  /** Like `set`, but evicts nothing: "no memory" instead. */
  safe_set(
    key: string,
    value: string | number | boolean,
    exptime?: number,
    flags?: number,
  ): LuaMultiReturn<[boolean, string | undefined]>;
  /** Like `add`, but evicts nothing. */
  safe_add(
    key: string,
    value: string | number | boolean,
    exptime?: number,
  ): LuaMultiReturn<[boolean, string | undefined]>;
  /** Like `add`, but evicts nothing. */
  safe_add(
    key: string,
    value: string | number | boolean,
    exptime?: number,
  ): LuaMultiReturn<[boolean, string | undefined]>;
  delete(key: string): void;
  expire(key: string, seconds: number): LuaMultiReturn<[boolean | undefined, string | undefined]>;
  lpush(key: string, value: string | number): LuaMultiReturn<[number, undefined] | Failure>;
  lpop(key: string): LuaMultiReturn<[string | number | undefined, string | undefined]>;
  llen(key: string): LuaMultiReturn<[number, undefined] | Failure>;
  get_keys(most?: number): string[];
  flush_all(): void;
  /** Frees what has expired; walks all of the dict under its lock. */
  flush_expired(most?: number): number;
  capacity(): number;
  free_space(): number;
}

interface NgxTcpSocket {
  connect(
    host: string,
    port_or_options?: number | object,
    options?: object,
  ): LuaMultiReturn<[true, undefined] | Failure>;
  sslhandshake(
    session?: boolean,
    server_name?: string,
    verify?: boolean,
  ): LuaMultiReturn<[true, undefined] | Failure>;
  send(data: string | string[]): LuaMultiReturn<[number, undefined] | Failure>;
  receive(
    pattern?: string | number,
  ): LuaMultiReturn<[string, undefined, undefined] | [undefined, string, string | undefined]>;
  /** What has come, at most so many bytes; waits when nothing has. */
  receiveany(most: number): LuaMultiReturn<[string, undefined] | Failure>;
  settimeout(milliseconds: number): void;
  /** Whatever has come, at most so many bytes. */
  receiveany(most: number): LuaMultiReturn<[string, undefined] | Failure>;
  /** What ngx.ssl has parsed: shown to a server that asks for it in the next handshake. */
  setclientcert(certificate: object, key: object): LuaMultiReturn<[true, undefined] | Failure>;
  settimeouts(connect: number, send: number, read: number): void;
  setkeepalive(idle_ms?: number, size?: number): LuaMultiReturn<[true, undefined] | Failure>;
  getreusedtimes(): LuaMultiReturn<[number, undefined] | Failure>;
  close(): LuaMultiReturn<[true, undefined] | Failure>;
}

/** @noSelf */
interface NgxSocket {
  tcp(): NgxTcpSocket;
}

/** @noSelf */
interface NgxRegex {
  find(
    subject: string,
    pattern: string,
    options?: string,
  ): LuaMultiReturn<[number, number, undefined] | [undefined, undefined, string | undefined]>;
}

/** @noSelf */
interface Ngx {
  readonly STDERR: number;
  readonly EMERG: number;
  readonly ALERT: number;
  readonly CRIT: number;
  readonly ERR: number;
  readonly WARN: number;
  readonly NOTICE: number;
  readonly INFO: number;
  readonly DEBUG: number;
  readonly ERROR: number;
  readonly OK: number;
  readonly DECLINED: number;
  readonly HTTP_OK: number;
  readonly null: NgxNull;
  readonly is_subrequest: boolean;
  readonly config: NgxConfig;
  readonly req: NgxRequest;
  readonly timer: NgxTimer;
  readonly thread: NgxThreads;
  readonly worker: NgxWorker;
  readonly socket: NgxSocket;
  readonly re: NgxRegex;
  readonly shared: Readonly<Record<string, NgxSharedDict | undefined>>;
  readonly var: Record<string, string | undefined>;
  readonly header: Record<string, string | number | undefined>;
  ctx: Record<string, unknown>;
  status: number;
  log(level: number, ...words: unknown[]): void;
  say(...words: unknown[]): void;
  print(...words: unknown[]): void;
  exit(status: number): void;
  exec(target: string): void;
  redirect(target: string, status: number): void;
  now(): number;
  time(): number;
  update_time(): void;
  sleep(seconds: number): void;
  get_phase(): string;
  crc32_short(text: string): number;
  /** The same, quicker for more than 60 bytes. */
  crc32_long(text: string): number;
  md5(text: string): string;
  hmac_sha1(key: string, text: string): string;
  escape_uri(text: string): string;
  unescape_uri(text: string): string;
}

declare const ngx: Ngx;

/** @noResolution */
declare module "ngx.balancer" {
  export function get_last_failure(
    this: void,
  ): LuaMultiReturn<["next" | "failed" | undefined, number | undefined]>;
  export function set_timeouts(
    this: void,
    connect: number | undefined,
    send: number | undefined,
    read: number | undefined,
  ): LuaMultiReturn<[true, undefined] | Failure>;
  export function recreate_request(this: void): LuaMultiReturn<[true, undefined] | Failure>;
}

/** @noResolution */
declare module "ngx.semaphore" {
  export interface Semaphore {
    wait(seconds: number): LuaMultiReturn<[true, undefined] | Failure>;
    post(count?: number): void;
    count(): number;
  }
  function create(this: void, count?: number): LuaMultiReturn<[Semaphore, undefined] | Failure>;
  export { create as new };
}

/** @noResolution */
declare module "resty.core.base" {
  /** The current request as a pointer (cdata or light userdata); nil outside of a request. */
  export function get_request(this: void): unknown;
}
