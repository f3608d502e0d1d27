/** Why Redis gave no answer: one word that stays, and a remedy where there is one. */

import { NO_REDIS, TOO_LARGE } from "./wire";

/** What stands against it; the list only grows. */
export type Cause =
  | "auth"
  | "busy"
  | "closed"
  | "cluster"
  | "denied"
  | "loading"
  | "masterdown"
  | "maxclients"
  | "misconf"
  | "name_unresolved"
  | "no_master"
  | "noperm"
  | "not_redis"
  | "readonly"
  | "refused"
  | "timeout"
  | "tls_failed"
  | "too_large"
  | "unreachable";

const CHECK_DB = "check the database at the end of redis_url";
const NO_PASSWORD = "this Redis has no password: leave it out of redis_url";

/** What Redis itself says, by the beginning of the message; the first that fits counts. */
const REMEDIES: [beginning: string, cause: Cause, remedy: string][] = [
  ["NOAUTH", "auth", "put the password into redis_url: redis://:password@host or redis://user:password@host"],
  ["WRONGPASS", "auth", "check the user and the password in redis_url"],
  ["ERR invalid password", "auth", "check the password in redis_url"],
  [
    "ERR wrong number of arguments for 'auth'",
    "auth",
    "this Redis knows no users: leave the user out of redis_url",
  ],
  ["ERR AUTH", "auth", NO_PASSWORD],
  ["ERR Client sent AUTH", "auth", NO_PASSWORD],
  ["ERR DB index", "refused", CHECK_DB],
  ["ERR invalid DB index", "refused", CHECK_DB],
  ["NOPERM", "noperm", "grant the user of redis_url what the README lists under access rights"],
  [
    "DENIED",
    "denied",
    "protected mode: give this Redis a password, or bind it to a network that only the router reaches",
  ],
  ["LOADING", "loading", "it has just started and is reading its data; this passes"],
  ["BUSY", "busy", "a script is running in it; SCRIPT KILL ends one that does not end by itself"],
  ["MASTERDOWN", "masterdown", "this replica lost its master and has replica-serve-stale-data no"],
  ["MISCONF", "misconf", "it cannot save its data: see its own log, and the disk it writes to"],
  ["READONLY", "readonly", "this is a replica: name its master, or its sentinels, in redis_url"],
  [
    "MOVED",
    "cluster",
    "this is a Redis Cluster, whose keys are spread over servers: name a Redis that holds all of them",
  ],
  ["CLUSTERDOWN", "cluster", "this is a Redis Cluster that does not work now"],
  [
    "CROSSSLOT",
    "cluster",
    "in a Redis Cluster a name's keys must share a slot: set key_format=sb:{kind}:{{name}}",
  ],
  ["ERR max number of clients", "maxclients", "raise maxclients of this Redis"],
];

/** What is said on the way to Redis, anywhere in the message: of several servers each may have a word. */
const SIGNS: [sign: string, cause: Cause][] = [
  ["no sentinel names", "no_master"],
  ["TLS: ", "tls_failed"],
  [NO_REDIS, "not_redis"],
  [TOO_LARGE, "too_large"],
  ["could not resolve", "name_unresolved"],
  ["timeout", "timeout"],
  ["connection refused", "unreachable"],
  ["unreachable", "unreachable"],
  ["no route", "unreachable"],
  ["no such file", "unreachable"],
  ["ermission denied", "unreachable"],
  ["closed", "closed"],
  ["reset by peer", "closed"],
  ["broken pipe", "closed"],
];

/** The message with its remedy, on one line. */
function explain(message: string): string {
  for (const [beginning, , remedy] of REMEDIES) {
    if (string.sub(message, 1, beginning.length) === beginning) {
      return `${message} (${remedy})`;
    }
  }
  return message;
}

/** The word for a message of `store/`. */
function cause_of(message: string): Cause {
  // "could not ask redis://host:6379: NOAUTH …", "could not read app.example.com: NOPERM …"
  const [asked] = string.match(message, "^could not ask %S+: (.*)$");
  const [read] = string.match(message, "^could not read %S+: (.*)$");
  const bare = asked ?? read ?? message;
  for (const [beginning, cause] of REMEDIES) {
    if (string.sub(bare, 1, beginning.length) === beginning) {
      return cause;
    }
  }
  for (const [sign, cause] of SIGNS) {
    if (string.find(bare, sign, 1, true)[0] !== undefined) {
      return cause;
    }
  }
  return "refused";
}

/** Blanks out a secret: a server or proxy that does not know AUTH repeats the words it was sent. */
function redact(message: string, secret: string): string {
  let clean = message;
  let [from, to] = string.find(clean, secret, 1, true);
  while (from !== undefined && to !== undefined) {
    clean = `${string.sub(clean, 1, from - 1)}***${string.sub(clean, to + 1)}`;
    [from, to] = string.find(clean, secret, from + 3, true);
  }
  return clean;
}

export { cause_of, explain, redact };
