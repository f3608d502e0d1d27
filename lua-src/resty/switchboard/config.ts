/** The options of the module: given in Lua, else in the environment, else the defaults. */

import { is_open } from "./config/admin";
import { read_environment } from "./config/environment";
import { nearest } from "./config/near";
import { Balance } from "./config/balance";
import { Option, OPTIONS } from "./config/options";
import { Cidr } from "./net/address";
import { Nameserver } from "./net/nameserver";
import { RedisTarget } from "./config/redis_url";
import { SchemaName } from "./schema/layout";

/** Times are seconds. What each option is for stands in config/options. */
export interface Config {
  redis_url: RedisTarget;
  redis_timeout: number;
  redis_tls_verify: boolean;
  redis_tls_name?: string;
  /** Paths, in PEM; both or none. */
  redis_tls_cert?: string;
  redis_tls_key?: string;
  redis_sentinel_user?: string;
  /** Empty: none. */
  redis_sentinel_password: string;
  /** `key_prefix` is folded in. */
  key_format: string;
  /** The first that knows a name has it; the first of all says how clients are answered. */
  schema: SchemaName[];
  /** Those that a server may choose by `$switchboard_schema`. */
  server_schemas: SchemaName[];
  legacy_prefix: string;
  dead_ttl: number;
  ttl: number;
  stale_while_refresh: number;
  load_timeout: number;
  max_stale: number;
  negative_ttl: number;
  empty_hold: number;
  clock_slack: number;
  balance: Balance;
  eject: "off" | "failures" | "5xx";
  zone?: string;
  sticky_secret: string;
  watch: "auto" | "tracking" | "notifications" | "off";
  preload: boolean;
  /** 0 to 1. */
  guard_share: number;
  guard_hold: number;
  /** A path; undefined: none is kept. */
  snapshot?: string;
  /** 0: any. */
  snapshot_max_age: number;
  tries: number;
  /** Retries per request, such as 0.2. */
  retry_budget: number;
  connect_timeout: number;
  send_timeout: number;
  read_timeout: number;
  /** 0: none. */
  deadline: number;
  websocket_timeout: number;
  keepalive_idle: number;
  keepalive_requests: number;
  trusted_proxies: Cidr[];
  deny_instances: Cidr[];
  /** Empty: those of /etc/resolv.conf. */
  nameservers: Nameserver[];
  dns_timeout: number;
  error_body: boolean;
  drain_file?: string;
  debug_token: string;
  admin_listen: string;
  admin_token: string;
  observe: "on" | "off" | "instances";
  worker_cache: number;
}

const KEY_FORMAT = "{kind}:{name}";
const LONGEST_SHOWN = 100;

/** A value as a message shows it: one line, and not a screenful. */
function show(value: unknown): string {
  if (type(value) !== "string") {
    return tostring(value);
  }
  const [printable] = string.gsub(value as string, "%c", "?");
  return printable.length > LONGEST_SHOWN
    ? `"${string.sub(printable, 1, LONGEST_SHOWN)}…"`
    : `"${printable}"`;
}

function bounds(option: Option): string {
  const unit = option.unit ?? "";
  const least = option.min !== undefined && option.min > 0 ? `, at least ${option.min}${unit}` : "";
  const most = option.max !== undefined ? `, at most ${option.max}${unit}` : "";
  return least + most;
}

function is_within(option: Option, value: unknown): boolean {
  if (type(value) !== "number") {
    return true;
  }
  return (value as number) >= (option.min ?? -math.huge) && (value as number) <= (option.max ?? math.huge);
}

/** @param variable of the environment that the value came from; undefined when it was given in Lua */
function parse(
  option: Option,
  given: unknown,
  variable: string | undefined,
): LuaMultiReturn<[unknown, undefined] | [undefined, string]> {
  const [value, wrong] = option.parse(given);
  if (value !== undefined && is_within(option, value)) {
    return $multi(value, undefined);
  }
  const must = wrong ?? option.parse(undefined)[1]!;
  const got = option.secret === true ? "" : `; got ${show(given)}`;
  const from = variable !== undefined ? ` (from ${variable})` : "";
  return $multi(undefined, `${option.name} ${must}${bounds(option)}${got}${from}`);
}

function check_names(given: Record<string, unknown>, names: string[]): string | undefined {
  const known = new LuaSet<string>();
  for (const name of names) {
    known.add(name);
  }
  for (const [name] of pairs(given)) {
    if (!known.has(name)) {
      const near = nearest(tostring(name), names);
      return `unknown option ${show(name)}${near !== undefined ? `; did you mean ${near}?` : ""}`;
    }
  }
  return undefined;
}

/** All that was given or has a default, parsed. */
function gather(
  given: Record<string, unknown>,
): LuaMultiReturn<[Record<string, unknown>, undefined] | [undefined, string]> {
  const names: string[] = [];
  for (const option of OPTIONS) {
    names.push(option.name);
  }
  const unknown_option = check_names(given, names);
  if (unknown_option !== undefined) {
    return $multi(undefined, unknown_option);
  }
  const [environment, err] = read_environment(names);
  if (environment === undefined) {
    return $multi(undefined, err);
  }
  const values: Record<string, unknown> = {};
  for (const option of OPTIONS) {
    const set_outside = environment[option.name];
    const in_lua = given[option.name];
    const text = in_lua ?? (set_outside !== undefined ? set_outside.value : option.default);
    if (text !== undefined) {
      const variable = in_lua === undefined && set_outside !== undefined ? set_outside.variable : undefined;
      const [value, wrong] = parse(option, text, variable);
      if (wrong !== undefined) {
        return $multi(undefined, wrong);
      }
      values[option.name] = value;
    }
  }
  if (values.key_prefix !== undefined && values.key_format !== undefined) {
    return $multi(undefined, "key_prefix and key_format are both set; key_format alone says it all");
  }
  values.key_format = values.key_format ?? `${(values.key_prefix as string | undefined) ?? ""}${KEY_FORMAT}`;
  values.key_prefix = undefined;
  if ((values.redis_tls_cert === undefined) !== (values.redis_tls_key === undefined)) {
    return $multi(undefined, "redis_tls_cert and redis_tls_key go together: set both or none");
  }
  if (values.redis_sentinel_user !== undefined && values.redis_sentinel_password === "") {
    return $multi(undefined, "redis_sentinel_user needs a redis_sentinel_password");
  }
  if (values.admin_token === "" && is_open(values.admin_listen as string)) {
    return $multi(
      undefined,
      `admin_listen ${show(values.admin_listen)} is reached from other machines: set admin_token too`,
    );
  }
  // A route is never served unread for longer than two TTLs: who shortens one means both.
  values.stale_while_refresh = values.stale_while_refresh ?? values.ttl;
  return $multi(values, undefined);
}

/**
 * Reads the options: `given` over SWITCHBOARD_* of the environment over the defaults. Call it once, in the
 * init phase: workers do not see the environment.
 *
 * Raises "configure: …" with the name of the option, its value and what is allowed.
 *
 * @param given snake_case names; undefined for none
 * @param level whose line the error names, as Lua's error() counts: 2 is the caller
 */
function read_config(given: Record<string, unknown> | undefined, level: number): Config {
  if (given !== undefined && type(given) !== "table") {
    error(`configure: options must be a table such as {ttl = "5s"}; got ${show(given)}`, level);
  }
  const [values, err] = gather(given ?? {});
  if (err !== undefined) {
    error(`configure: ${err}`, level);
  }
  return values as unknown as Config;
}

export { read_config };
