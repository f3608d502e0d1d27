/**
 * What the node has counted, over all its workers and over their reloads.
 *
 * Once a second each worker appends what it has counted since, if anything, to a list in the shared dict, as one packed value;
 * one of them adds up what stands in the list, in another value, once a second or, where little comes, every five. Who reads a page of metrics does so too, and sees
 * everything but the last second of other workers.
 */

import { clear, create, pack, Sheet, unpack_into } from "./sheet";
import { drain_tallies } from "./tally";
import { fade, merge } from "./top";

/** Names of a section that have counts of their own. */
const MOST_NAMES = 1000;
/** The name of the counts of all others. */
const REST = "other";
/** Seconds from one addition to the next, and where workers have had little to send. */
const PERIOD = 0.9;
const LONG_PERIOD = 4.9;
/** Seconds after which a worker that began an addition is thought to have died of it. */
const LONGEST_ADDITION = 2;
/** Sheets that one addition takes from the list. */
const MOST_SHEETS = 1000;
const SECTIONS = 2;

export interface Ledger {
  dict: NgxSharedDict;
  /** What this worker counts as a total since its last sheet, in the order of the totals. */
  totals: number[];
  /** Of these sheets: one of another version of this module is not understood. */
  key: string;
  mine: Sheet;
  /** Could not be appended: the dict was full. */
  unsent: string | undefined;
}

/** @param signature differs wherever the totals do */
function open(dict: NgxSharedDict, signature: string, totals_count: number): Ledger {
  const totals: number[] = [];
  for (const i of $range(1, totals_count)) {
    totals[i - 1] = 0;
  }
  return { dict, totals, key: signature, mine: create(totals_count, SECTIONS), unsent: undefined };
}

/** Takes the totals; false: there was nothing. */
function fill_in_totals(ledger: Ledger): boolean {
  let any = false;
  for (const i of $range(1, ledger.totals.length)) {
    const value = ledger.totals[i - 1]!;
    if (value !== 0) {
      any = true;
      ledger.mine.totals.set(i - 1, value);
      ledger.totals[i - 1] = 0;
    }
  }
  return any;
}

function send(ledger: Ledger, text: string): string | undefined {
  const [, err] = ledger.dict.lpush(`${ledger.key}:sheets`, text);
  ledger.unsent = err !== undefined ? text : undefined;
  return err;
}

/**
 * Sends what this worker has counted since the last time.
 *
 * @returns why it could not be sent; then it is kept, and sent the next time
 */
function flush(ledger: Ledger): string | undefined {
  if (ledger.unsent !== undefined) {
    const err = send(ledger, ledger.unsent);
    if (err !== undefined) {
      return err;
    }
  }
  const mine = ledger.mine;
  clear(mine);
  const any = fill_in_totals(ledger);
  drain_tallies(mine.sections[0]!, mine.sections[1]!);
  if (
    !any &&
    mine.sections[0]!.count + mine.sections[1]!.count === 0 &&
    mine.sections[0]!.numbers.get(0) === 0
  ) {
    return undefined;
  }
  return send(ledger, pack(mine));
}

function add_up(node: Sheet, sheet: Sheet): void {
  for (const i of $range(0, node.totals_count - 1)) {
    node.totals.set(i, node.totals.get(i) + sheet.totals.get(i));
  }
  for (const i of $range(0, SECTIONS - 1)) {
    merge(node.sections[i]!, sheet.sections[i]!, MOST_NAMES, REST);
  }
}

let node: Sheet | undefined = undefined;
let sheet: Sheet | undefined = undefined;

function add_all(ledger: Ledger, now: number): string | undefined {
  const { dict, key } = ledger;
  const size = ledger.mine.totals_count;
  node = node ?? create(size, SECTIONS);
  sheet = sheet ?? create(size, SECTIONS);
  const [before] = dict.get(key);
  if (before === undefined || !unpack_into(node, before as string)) {
    clear(node);
  }
  const [last] = dict.get(`${key}:at`);
  for (const section of node.sections) {
    fade(section, now - ((last as number | undefined) ?? now));
  }
  const list = `${key}:sheets`;
  const taken: string[] = [];
  let [text] = dict.lpop(list);
  for (const _ of $range(1, MOST_SHEETS)) {
    if (text === undefined) {
      break;
    }
    taken.push(text as string);
    if (unpack_into(sheet, text as string)) {
      add_up(node, sheet);
    }
    [text] = dict.lpop(list);
  }
  const [ok, err] = dict.safe_set(key, pack(node));
  if (!ok) {
    for (const each of taken) {
      dict.lpush(list, each);
    }
    return err;
  }
  dict.set(`${key}:at`, now);
  return undefined;
}

/**
 * Adds up what all workers have sent.
 *
 * @returns why that failed: the dict is too small
 */
function add_up_sheets(ledger: Ledger): string | undefined {
  const lock = `${ledger.key}:lock`;
  const [mine] = ledger.dict.add(lock, true, LONGEST_ADDITION);
  if (!mine) {
    return undefined;
  }
  const err = add_all(ledger, ngx.now());
  ledger.dict.delete(lock);
  return err;
}

/** Whether it is time to add up: as many sheets wait as there are workers, or one does for long. */
function is_due({ dict, key }: Ledger): boolean {
  const [waiting] = dict.llen(`${key}:sheets`);
  return (
    (waiting ?? 0) > 0 &&
    dict.add(`${key}:due`, true, PERIOD)[0] &&
    (waiting! >= ngx.worker.count() || dict.add(`${key}:overdue`, true, LONG_PERIOD)[0])
  );
}

/** What a worker does once a second; one of all adds up. */
function tick(ledger: Ledger): string | undefined {
  const err = flush(ledger);
  return (is_due(ledger) ? add_up_sheets(ledger) : undefined) ?? err;
}

/** What the node has counted; a sheet of its own, which nobody changes. */
function read(ledger: Ledger): Sheet {
  flush(ledger);
  add_up_sheets(ledger);
  const found = create(ledger.mine.totals_count, SECTIONS);
  const [text] = ledger.dict.get(ledger.key);
  if (text !== undefined) {
    unpack_into(found, text as string);
  }
  return found;
}

export { flush, open, read, REST, tick };
