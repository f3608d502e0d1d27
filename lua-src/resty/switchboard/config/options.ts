/**
 * Every option: its default, what it takes and what it is for. The one place that knows them; errors and
 * tables are made from it.
 */

import { parse_listen } from "./admin";
import { parse_balance } from "./balance";
import { parse_key_format, parse_key_prefix } from "./key_format";
import { parse_cidrs, parse_nameservers } from "./lists";
import { parse_boolean, parse_count, Parsed, parse_text, parse_time } from "./grammar";
import { parse_path, parse_schemas, parse_secret, parse_share, parse_url } from "./values";

export interface Option {
  name: string;
  /** As a user would write it; undefined: not set. */
  default: string | undefined;
  /** The value, or nil and what it must be, to stand after the name. */
  parse: (this: void, value: unknown) => Parsed<unknown>;
  /** What it is for, in one line. */
  describe: string;
  min?: number;
  max?: number;
  /** Behind the numbers of messages: `s` for times. */
  unit?: string;
  /** Its value is never shown. */
  secret?: boolean;
}

const A_DAY = 86400;
/** nginx counts timeouts in whole milliseconds. */
const A_MILLISECOND = 0.001;

function time(name: string, initial: string, min: number, max: number, describe: string): Option {
  return { name, default: initial, parse: parse_time, describe, min, max, unit: "s" };
}

function count(name: string, initial: string, min: number, max: number, describe: string): Option {
  return { name, default: initial, parse: parse_count, describe, min, max };
}

function boolean(name: string, initial: string, describe: string): Option {
  return { name, default: initial, parse: parse_boolean, describe };
}

function choice(name: string, initial: string, allowed: string[], describe: string): Option {
  const parse = (value: unknown): Parsed<string> => {
    for (const one of allowed) {
      if (value === one) {
        return $multi(one, undefined);
      }
    }
    return $multi(undefined, `must be one of ${table.concat(allowed, ", ")}`);
  };
  return { name, default: initial, parse, describe };
}

const OPTIONS: Option[] = [
  {
    name: "redis_url",
    default: "redis://127.0.0.1:6379",
    parse: parse_url,
    secret: true,
    describe:
      "where the routes stand: `redis://[user:password@]host[:port][,host…][/db]`, `redis+sentinel://host[:port][,host…]/master[/db]`, the same with `rediss`, or `unix:/path`; see Where Redis is",
  },
  time("redis_timeout", "1s", 0.01, 60, "how long a look at Redis outside of requests may take"),
  boolean("redis_tls_verify", "on", "whether the certificate of a `rediss://` server is checked"),
  {
    name: "redis_tls_name",
    default: undefined,
    parse: parse_text,
    describe: "the name that this certificate must have; that of the server in the URL when not set",
  },
  {
    name: "redis_tls_cert",
    default: undefined,
    parse: parse_path,
    describe: "a file with the certificate that the router shows to Redis, in PEM; none when not set",
  },
  {
    name: "redis_tls_key",
    default: undefined,
    parse: parse_path,
    describe: "a file with its key, in PEM",
  },
  {
    name: "redis_sentinel_user",
    default: undefined,
    parse: parse_text,
    describe: "as whom sentinels are asked; the user in the URL is the one of Redis",
  },
  {
    name: "redis_sentinel_password",
    default: "",
    parse: parse_secret,
    secret: true,
    describe: "the password of the sentinels; none unless given",
  },
  {
    name: "key_format",
    default: undefined,
    parse: parse_key_format,
    describe: "how keys are spelled; `{kind}:{name}` when not set",
  },
  {
    name: "key_prefix",
    default: undefined,
    parse: parse_key_prefix,
    describe: "short for a `key_format` of the prefix and `{kind}:{name}`",
  },
  {
    name: "schema",
    default: "native",
    parse: (value) => parse_schemas(value, 1),
    describe:
      "the layouts in Redis: `native`, `hipache`, `planb`, `dinp`, or several: the first that knows a name has it",
  },
  {
    name: "server_schemas",
    default: "",
    parse: (value) => parse_schemas(value, 0),
    describe: "the layouts that a server may choose by `set $switchboard_schema dinp;`; none unless given",
  },
  {
    name: "legacy_prefix",
    default: "",
    parse: parse_secret,
    describe: "what stands in front of `frontend:` and `dead:` keys, without a separator",
  },
  time("dead_ttl", "30s", 1, A_DAY, "how long a `dead:` mark of hipache and planb lives"),
  time("ttl", "10s", 0.1, A_DAY, "how long what was read from Redis is served without a question"),
  {
    name: "stale_while_refresh",
    default: undefined,
    parse: parse_time,
    describe: "how long after that it is served while it is read again; as long as `ttl` when not set",
    min: 0,
    max: A_DAY,
    unit: "s",
  },
  time("load_timeout", "250ms", 0.01, 60, "how long a request waits for Redis"),
  time(
    "max_stale",
    "0",
    0,
    365 * A_DAY,
    "how old a route may be that is served because Redis is silent; 0: no limit",
  ),
  time("negative_ttl", "2s", 0.1, A_DAY, "how long an unknown host is remembered"),
  time(
    "empty_hold",
    "250ms",
    0,
    60,
    "how long the last instances of a route that became empty are kept; with `0` a route that is read in the very moment of a FLUSHALL is believed gone, before the guard hears of the flush",
  ),
  time("clock_slack", "5s", 0, 3600, "how much later than its score an instance of a sorted set ends"),
  {
    name: "balance",
    default: "round_robin",
    parse: parse_balance,
    describe: "how an instance is chosen where the route does not say; see Balancing",
  },
  choice(
    "eject",
    "failures",
    ["off", "failures", "5xx"],
    "what takes an instance out for a while: tries that failed, or an app's `5xx` too; see Ejection",
  ),
  {
    name: "zone",
    default: undefined,
    parse: parse_text,
    describe: "the router's own zone: instances with this `zone` are preferred",
  },
  {
    name: "sticky_secret",
    default: "",
    parse: parse_secret,
    secret: true,
    describe: "key of the session cookies, the same on all routers; a fixed one when not set",
  },
  choice(
    "watch",
    "auto",
    ["auto", "tracking", "notifications", "off"],
    "how Redis tells of changes: client tracking, else keyspace notifications; else, and with `off`, `ttl` alone",
  ),
  boolean(
    "preload",
    "off",
    "whether all routes are read at the start; unknown hosts are then answered without a question",
  ),
  {
    name: "guard_share",
    default: "50%",
    parse: parse_share,
    describe: "when more than this share of the routes is gone at once, they are held, not believed gone",
  },
  time("guard_hold", "60m", 0, 365 * A_DAY, "how long they are held; 0: until they are released"),
  {
    name: "snapshot",
    default: undefined,
    parse: parse_path,
    describe: "a file in which the known routes are kept, for a start without Redis; none when not set",
  },
  time("snapshot_max_age", "0", 0, 365 * A_DAY, "how old that file may be at the start; 0: any"),
  count("tries", "0", 0, 100, "instances a request may try; 0: three, or as many as there are"),
  {
    name: "retry_budget",
    default: "20%",
    parse: parse_share,
    describe:
      "retries a route may have, as a share of its recent requests, but 30 in ten seconds at least; see Retries",
  },
  time("connect_timeout", "3s", A_MILLISECOND, A_DAY, "how long connecting to an instance may take"),
  time("send_timeout", "60s", A_MILLISECOND, A_DAY, "how long an instance may take no byte"),
  time("read_timeout", "60s", A_MILLISECOND, A_DAY, "how long an instance may send no byte"),
  time(
    "deadline",
    "0",
    0,
    A_DAY,
    "how long all tries of a request may take together; 0: as long as they take",
  ),
  time("websocket_timeout", "60m", A_MILLISECOND, 365 * A_DAY, "the same both ways for upgraded connections"),
  time(
    "keepalive_idle",
    "4s",
    0.1,
    3600,
    "how long an idle connection to an instance is kept; less than the instance keeps it",
  ),
  count("keepalive_requests", "1000", 1, 1000000000, "requests on one connection to an instance"),
  { name: "trusted_proxies", default: "", parse: parse_cidrs, describe: "whose `X-Forwarded-*` count" },
  {
    name: "deny_instances",
    default: "",
    parse: parse_cidrs,
    describe: "addresses that no request is sent to",
  },
  {
    name: "nameservers",
    default: "",
    parse: parse_nameservers,
    describe: "DNS servers; those of `/etc/resolv.conf` when empty",
  },
  time("dns_timeout", "500ms", 0.01, 60, "how long one question to one DNS server may take"),
  boolean("error_body", "on", "whether answers of the router have a body of its own"),
  {
    name: "drain_file",
    default: undefined,
    parse: parse_text,
    describe: "a path; while that file exists `/readyz` answers 503, so that load balancers look elsewhere",
  },
  {
    name: "debug_token",
    default: "",
    parse: parse_secret,
    secret: true,
    describe: "a request with this in `X-Switchboard-Debug` is told how it was routed; nobody when not set",
  },
  {
    name: "admin_listen",
    default: "127.0.0.1:8081",
    parse: parse_listen,
    describe:
      "where the server of `admin.conf` listens; other machines can reach it only with `admin_token`. Say here what your own `listen` says",
  },
  {
    name: "admin_token",
    default: "",
    parse: parse_secret,
    secret: true,
    describe:
      "the bearer token that every request of `admin.conf` must carry; what changes something always needs one",
  },
  choice(
    "observe",
    "on",
    ["on", "off", "instances"],
    "whether requests are counted, by route; `instances`: by instance too",
  ),
  count("worker_cache", "10000", 100, 10000000, "names a worker keeps ready"),
];

export { OPTIONS };
