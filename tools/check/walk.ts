/** Goes through all keys of a database and has each name judged once, in memory that does not grow with them. */

import { type Lua } from "./lua.ts";
import { type Command, CannotCheck, must, type Store } from "./redis.ts";
import { Failure, type Value } from "./wire.ts";

export interface Finding {
  /** `problem`, or `note` for what may well be meant. */
  severity: "problem" | "note";
  code: string;
  /** Empty for what belongs to none. */
  schema: string;
  name: string;
  key: string;
  value: string;
  reason: string;
}

export interface Totals {
  /** As SCAN returned them: a key may come twice while Redis resizes its table. */
  keys: number;
  names: number;
  foreign: number;
}

export interface Walk {
  store: Store;
  lua: Lua;
  label: string;
  schemas: string[];
  /** SCAN's COUNT. */
  count: number;
  found(finding: Finding): Promise<void>;
  progress(totals: Totals): void;
}

/** A name and the key under which it was met. */
interface Place {
  schema: string;
  name: string;
  key: string;
  earlier: string[];
}

interface Verdict {
  refused?: string;
  findings: { code: string; key: string; value: string; reason: string }[];
  questions: { command: Command; finding: Verdict["findings"][number] }[];
}

/** Names that are read at once: as many, and fewer where names have many members. */
const MOST_NAMES_AT_ONCE = 100;
/** Members that may well be in memory at once. */
const MANY_MEMBERS = 10_000;
/** Keys of nobody are counted by what they begin with, up to so many beginnings. */
const MOST_BEGINNINGS = 100;
/** Names with findings that are remembered, as SCAN may return a key twice. */
const MOST_REMEMBERED = 1_000_000;

/** Findings that may well be meant. */
const NOTES = new Set([
  "assumed_port",
  "expired",
  "foreign_key",
  "ignored_cname",
  "ignored_path",
  "url_as_id",
]);

function severityOf(code: string): Finding["severity"] {
  return NOTES.has(code) ? "note" : "problem";
}

/** Runs lists of commands in one go, and gives the replies back list by list. */
async function askAll(ask: Store["ask"], lists: Command[][]): Promise<Value[][]> {
  const replies = await ask(lists.flat());
  let at = 0;
  return lists.map((list) => replies.slice(at, (at += list.length)));
}

/** Those whose name has no earlier key: the others are judged when that one comes by. */
async function firstMet(walk: Walk, places: Place[]): Promise<Place[]> {
  const asked = places.filter(({ earlier }) => earlier.length > 0);
  const replies = await askAll(
    walk.store.ask,
    asked.map(({ earlier }) => [["EXISTS", ...earlier]]),
  );
  const later = new Set(asked.filter((_, i) => must(replies[i]?.[0], walk.label) !== 0));
  return places.filter((place) => !later.has(place));
}

/** Whether an answer says no: 0, nothing, an empty list, or a key of another type. */
function saysNo(reply: Value | undefined, label: string): boolean {
  if (reply instanceof Failure && reply.message.startsWith("WRONGTYPE")) {
    return true;
  }
  const found = must(reply, label);
  return found === 0 || found === null || (Array.isArray(found) && found.length === 0);
}

interface Judged {
  findings: Verdict["findings"][];
  /** How many there were to read. */
  members: number;
}

async function verdictsOf(walk: Walk, places: Place[], ask: Store["ask"]): Promise<Judged> {
  const reads = walk.lua.call("read", places as unknown as Value) as Command[][];
  const replies = await askAll(ask, reads);
  const verdicts = walk.lua.call("judge", places as unknown as Value, replies) as unknown as Verdict[];
  const refused = verdicts.find((verdict) => verdict.refused !== undefined);
  if (refused?.refused !== undefined) {
    must(new Failure(refused.refused), walk.label);
  }
  const answers = await askAll(
    walk.store.ask,
    verdicts.map(({ questions }) => questions.map(({ command }) => command)),
  );
  const findings = verdicts.map((verdict, i) => [
    ...verdict.findings,
    ...verdict.questions.filter((_, j) => saysNo(answers[i]?.[j], walk.label)).map(({ finding }) => finding),
  ]);
  const members = replies
    .flat()
    .reduce<number>((sum, reply) => sum + (Array.isArray(reply) ? reply.length : 0), 0);
  return { findings, members };
}

/**
 * Judges names. What is found is looked at a second time, each name in a transaction: a platform that writes
 * while the tool reads must not be accused of what stood there for a moment.
 *
 * @returns how many members there were to read
 */
async function judge(walk: Walk, places: Place[], reported: Set<string>): Promise<number> {
  const first = await verdictsOf(walk, places, walk.store.ask);
  const doubtful = places.filter((_, i) => first.findings[i]!.length > 0);
  for (const place of doubtful) {
    const id = `${place.schema} ${place.name}`;
    if (reported.has(id)) {
      continue;
    }
    const [findings] = (await verdictsOf(walk, [place], walk.store.askAtOnce)).findings;
    if (findings!.length > 0 && reported.size < MOST_REMEMBERED) {
      reported.add(id);
    }
    for (const finding of findings!) {
      await walk.found({
        severity: severityOf(finding.code),
        ...finding,
        schema: place.schema,
        name: place.name,
      });
    }
  }
  return first.members;
}

/** What a key of nobody begins with: up to its first `:` or `/`. */
function beginningOf(key: string): string {
  return /^[/]?[^:/]*[:/]/s.exec(key)?.[0] ?? key;
}

/** Keys of nobody, by what they begin with. */
interface Crowd {
  code: string;
  /** Behind their number. */
  reason: string;
  beginnings: Map<string, number>;
}

function join(crowd: Crowd, key: string): void {
  const { beginnings } = crowd;
  const beginning = beginningOf(key);
  const known = beginnings.has(beginning) || beginnings.size < MOST_BEGINNINGS;
  beginnings.set(known ? beginning : "", (beginnings.get(known ? beginning : "") ?? 0) + 1);
}

async function reportCrowd(walk: Walk, { code, reason, beginnings }: Crowd): Promise<void> {
  for (const [beginning, count] of beginnings) {
    const others = beginning === "";
    const pattern = /[:/]$/.test(beginning) ? `${beginning}*` : beginning;
    await walk.found({
      severity: severityOf(code),
      code,
      schema: "",
      name: "",
      key: others ? "*" : pattern,
      value: "",
      reason: `${count} ${count === 1 ? "key" : "keys"}${others ? " of other beginnings" : ""} ${reason}`,
    });
  }
}

/**
 * Scans the database.
 *
 * @throws CannotCheck when Redis stops answering, or refuses what must be asked
 */
export async function walk(given: Walk): Promise<Totals> {
  const totals: Totals = { keys: 0, names: 0, foreign: 0 };
  const foreign: Crowd = {
    code: "foreign_key",
    reason: "that no schema in --schema reads",
    beginnings: new Map(),
  };
  // Where other layouts share the database, DINP's own routers cannot run on it any more.
  const onlyDinp = given.schemas.join() === "dinp";
  const slashless: Crowd = {
    code: "slashless_key",
    reason: "without a slash: DINP's own routers crash on a database with such a key",
    beginnings: new Map(),
  };
  const reported = new Set<string>();
  let cursor = "0";
  let atOnce = MOST_NAMES_AT_ONCE >> 3;
  do {
    const [reply] = await given.store.ask([["SCAN", cursor, "COUNT", given.count]]);
    const scanned = must(reply, given.label);
    if (!Array.isArray(scanned) || !Array.isArray(scanned[1])) {
      throw new CannotCheck(`could not ask ${given.label}: its answer to SCAN is none of a Redis`);
    }
    cursor = scanned[0] as string;
    const keys = scanned[1] as string[];
    const placed = given.lua.call("place", keys) as unknown as (Place[] | false)[];
    totals.keys += keys.length;
    placed.forEach((mine, i) => {
      if (onlyDinp && !keys[i]!.includes("/")) {
        join(slashless, keys[i]!);
        totals.foreign += mine === false ? 0 : 1;
      } else if (mine !== false && mine.length === 0) {
        join(foreign, keys[i]!);
        totals.foreign += 1;
      }
    });
    const met = placed.flatMap((mine) => (mine === false ? [] : mine));
    for (let from = 0; from < met.length;) {
      const places = await firstMet(given, met.slice(from, from + atOnce));
      from += atOnce;
      const members = await judge(given, places, reported);
      totals.names += places.length;
      atOnce = Math.max(1, Math.min(MOST_NAMES_AT_ONCE, members > MANY_MEMBERS ? atOnce >> 2 : atOnce * 2));
      given.progress(totals);
    }
    given.progress(totals);
  } while (cursor !== "0");
  await reportCrowd(given, slashless);
  await reportCrowd(given, foreign);
  return totals;
}
