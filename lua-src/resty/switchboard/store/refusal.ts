/** What Redis says when it refuses, with the remedy where there is one. */

/** By the beginning of the message; the first that fits counts. */
const REMEDIES: [beginning: string, remedy: string][] = [
  ["NOAUTH", "put the password into redis_url: redis://:password@host or redis://user:password@host"],
  ["WRONGPASS", "check the user and the password in redis_url"],
  ["ERR invalid password", "check the password in redis_url"],
  ["ERR wrong number of arguments for 'auth'", "this Redis knows no users: leave the user out of redis_url"],
  ["ERR AUTH", "this Redis has no password: leave it out of redis_url"],
  ["ERR Client sent AUTH", "this Redis has no password: leave it out of redis_url"],
  ["ERR DB index", "check the database at the end of redis_url"],
  ["ERR invalid DB index", "check the database at the end of redis_url"],
  ["NOPERM", "grant the user of redis_url what the README lists under access rights"],
  [
    "DENIED",
    "protected mode: give this Redis a password, or bind it to a network that only the router reaches",
  ],
  ["LOADING", "it has just started and is reading its data; this passes"],
  ["BUSY", "a script is running in it; SCRIPT KILL ends one that does not end by itself"],
  ["MASTERDOWN", "this replica lost its master and has replica-serve-stale-data no"],
  [
    "MOVED",
    "this is a Redis Cluster, whose keys are spread over servers: name a Redis that holds all of them",
  ],
  ["CLUSTERDOWN", "this is a Redis Cluster that does not work now"],
  ["CROSSSLOT", "in a Redis Cluster a name's keys must share a slot: set key_format=sb:{kind}:{{name}}"],
  ["ERR max number of clients", "raise maxclients of this Redis"],
];

/** The message with its remedy, on one line. */
function explain(message: string): string {
  for (const [beginning, remedy] of REMEDIES) {
    if (string.sub(message, 1, beginning.length) === beginning) {
      return `${message} (${remedy})`;
    }
  }
  return message;
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

export { explain, redact };
