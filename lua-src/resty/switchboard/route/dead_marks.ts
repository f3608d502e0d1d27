/**
 * Tells hipache, planb and their health checkers that a backend does not take connections: a mark in `dead:<host>`, and
 * a word on the channel `dead`. Of one that is checked here also that it is well again: the mark goes.
 *
 * Written by a script, so that the entry is looked for in the list in the moment of the mark: between a request and its
 * mark the list may have changed, and the index would mean another backend. Marks wait in a bounded queue with one
 * timer: nginx runs 256 at most.
 */

import { Config } from "../config";
import { count } from "../observe/counters";
import { printable, tell } from "../observe/journal";
import { SchemaName } from "../schema/layout";
import { transaction } from "../store/redis";

/** A backend that failed. */
export interface Mark {
  /** The host or pattern whose list it stands in. */
  name: string;
  /** The host that was asked for: hipache looks there. */
  host: string;
  /** The entry as it stands in the list. */
  entry: string;
  /** A list with fewer backends gets no mark. */
  least: number;
}

const MOST_WAITING = 1000;
/** Seconds in which one backend of one name is told of once by a worker. */
const ONCE_IN = 10;
/** hipache marks none of a list's only backend dead; planb does. */
const LEAST_OF_HIPACHE = 2;
/** Seconds for which a health checker counts as running after its last word. */
const CHECKER_LIVES = 30;

/**
 * KEYS: the list, the marks of the name, those of the host that was asked for, the checker's word.
 * ARGV: the entry, TTL of the marks, now, the name, the least backends, how long the checker's word counts.
 */
const DEAD = `
local entries = redis.call("LRANGE", KEYS[1], 1, -1)
local index
for i = 1, #entries do
  if entries[i] == ARGV[1] then index = i - 1 break end
end
if not index or #entries < tonumber(ARGV[5]) then return 0 end
local word = tonumber(redis.call("GET", KEYS[4]) or "")
if not (word and tonumber(ARGV[3]) - word <= tonumber(ARGV[6])) then
  for i = 2, 3 do
    if redis.call("SADD", KEYS[i], index) == 1 then redis.call("EXPIRE", KEYS[i], ARGV[2]) end
  end
end
redis.call("PUBLISH", "dead", table.concat({ ARGV[4], ARGV[1], index, #entries }, ";"))
return 1
`;

/** The same KEYS and ARGV. What a health checker has marked is its own affair. */
const ALIVE = `
local word = tonumber(redis.call("GET", KEYS[4]) or "")
if word and tonumber(ARGV[3]) - word <= tonumber(ARGV[6]) then return 0 end
local entries = redis.call("LRANGE", KEYS[1], 1, -1)
for i = 1, #entries do
  if entries[i] == ARGV[1] then
    for key = 2, 3 do redis.call("SREM", KEYS[key], i - 1) end
  end
end
return 0
`;

interface Word {
  mark: Mark;
  script: string;
}

let waiting: Word[] = [];
let running = false;
let told = new LuaTable<string, number>();
let told_count = 0;

function write(config: Config, word: Word): void {
  const { mark } = word;
  const prefix = config.legacy_prefix;
  const command = [
    "EVAL",
    word.script,
    4,
    `${prefix}frontend:${mark.name}`,
    `${prefix}dead:${mark.name}`,
    `${prefix}dead:${mark.host}`,
    "hchecker_ping",
    mark.entry,
    math.ceil(config.dead_ttl),
    ngx.time(),
    mark.name,
    mark.least,
    CHECKER_LIVES,
  ];
  const [replies, err] = transaction(config, [command], config.redis_timeout);
  const reply = replies?.[0];
  const refused = type(reply) === "table" ? tostring((reply as unknown as [false, string])[1]) : undefined;
  if (replies === undefined || refused !== undefined) {
    tell(
      ngx.ERR,
      "dead_mark_failed",
      `could not change the mark of ${printable(mark.entry)} of ${mark.name}: ${refused ?? err}`,
    );
  } else if (reply === 1) {
    count("switchboard_dead_marks_total", 1);
  }
}

function drain(premature: boolean, config: Config): void {
  while (!premature && waiting.length > 0) {
    const words = waiting;
    waiting = [];
    for (const word of words) {
      const [ok, err] = pcall(write, config, word);
      if (!ok) {
        tell(ngx.ERR, "bug dead_mark", `could not change the mark of a backend: ${tostring(err)}`);
      }
    }
  }
  running = false;
}

function key_of(mark: Mark): string {
  return `${mark.name} ${mark.host} ${mark.entry}`;
}

/** Whether this worker has told of it just now. */
function was_told(mark: Mark, now: number): boolean {
  const key = key_of(mark);
  const until = told.get(key) as number | undefined;
  if (until !== undefined && now < until) {
    return true;
  }
  if (told_count >= MOST_WAITING) {
    told = new LuaTable();
    told_count = 0;
  }
  told.set(key, now + ONCE_IN);
  told_count += 1;
  return false;
}

/** Waits for nothing; what finds no room is left out. */
function say(config: Config, mark: Mark, script: string): void {
  if (waiting.length >= MOST_WAITING) {
    return;
  }
  waiting.push({ mark, script });
  if (!running) {
    const [started] = ngx.timer.at(0, drain, config);
    running = started !== undefined;
  }
}

/** Has a backend marked dead soon, unless that was said just now: it will fail again. */
function mark_dead(config: Config, mark: Mark): void {
  if (!was_told(mark, ngx.now())) {
    say(config, mark, DEAD);
  }
}

/** Has the mark of a backend taken away soon. */
function mark_alive(config: Config, mark: Mark): void {
  told.delete(key_of(mark));
  say(config, mark, ALIVE);
}

/** The backends that a list must have at least, so that one of them is marked. */
function least_of(schema: SchemaName | undefined): number {
  return schema === "planb" ? 1 : LEAST_OF_HIPACHE;
}

export { least_of, mark_alive, mark_dead };
