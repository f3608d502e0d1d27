/**
 * What the node has counted, over all its workers and over their reloads.
 *
 * Once a second each worker appends what it has counted since, if anything, to a list in the shared dict, as one slip;
 * one of them adds up what stands in the list, in another value, once a second or, where few come, every five. Who reads a page of metrics does so too, and sees
 * everything but the last second of other workers.
 */

import { breathe as breathe_long } from "./breath";
import { clear, create, pack, Sheet, unpack_into } from "./sheet";
import { read as read_slip, Slip, write as write_slip } from "./slip";
import { take_touched } from "./tally";
import { fade, merge } from "./top";

/** Another number whenever observe/slip or observe/sheet is another: after a reload the dict has those of before. */
const FORMAT = 2;
/** Names of a section that have counts of their own. */
const MOST_NAMES = 1000;
/** The name of the counts of all others. */
const REST = "other";
/** Slips whose addition is worth the writing of all sums, which takes as long as the addition of some of them. */
const A_FEW = 8;
/** Seconds from one addition to the next, and where workers have had little to send. */
const PERIOD = 0.9;
const LONG_PERIOD = 4.9;
/** Seconds after which a worker that began an addition is thought to have died of it; and after which it takes no more. */
const LONGEST_ADDITION = 2;
const LONG_ADDITION = 1;
/** Names after whose counts there is a pause; a slip is added in one go. */
const SLICE = 256;
/** Seconds between two slices. */
const BREATH = 0.001;
/** Slices without a breath in between where somebody waits for the sums. */
const SELDOM = 4;
const SECTIONS = 2;

export interface Ledger {
  dict: NgxSharedDict;
  /** What this worker counts as a total since its last slip, in the order of the totals. */
  totals: number[];
  /** Of these slips: one of another version of this module is not understood. */
  key: string;
  /** Could not be appended: the dict was full. */
  unsent: string[];
}

/** @param signature differs wherever the totals do */
function open(dict: NgxSharedDict, signature: string, totals_count: number): Ledger {
  const totals: number[] = [];
  for (const i of $range(1, totals_count)) {
    totals[i - 1] = 0;
  }
  return { dict, totals, key: `${signature}:${FORMAT}`, unsent: [] };
}

function breathe(): void {
  ngx.sleep(BREATH);
}

let slices = 0;

/** For who waits for the sums: in a busy worker a breath is as long as all that waits there. */
function breathe_seldom(): void {
  slices += 1;
  if (slices % SELDOM === 0) {
    breathe_long();
  }
}

function hold_breath(): void {
  // A log phase cannot wait, and an exiting worker has no time to.
}

function send(ledger: Ledger, text: string): string | undefined {
  const [, err] = ledger.dict.lpush(`${ledger.key}:slips`, text);
  if (err !== undefined) {
    ledger.unsent.push(text);
  }
  return err;
}

/**
 * Sends what this worker has counted since the last time.
 *
 * @param pause is called after each slice
 * @returns why it could not be sent; then it is kept, and sent the next time
 */
function send_counted(ledger: Ledger, pause: () => void): string | undefined {
  const { unsent } = ledger;
  ledger.unsent = [];
  let failed: string | undefined = undefined;
  for (const text of unsent) {
    failed = send(ledger, text) ?? failed;
  }
  if (failed !== undefined) {
    return failed;
  }
  const text = write_slip(ledger.totals, take_touched(), pause);
  return text !== undefined ? send(ledger, text) : undefined;
}

function add_up(node: Sheet, slip: Slip): void {
  for (const i of $range(0, node.totals_count - 1)) {
    node.totals.set(i, node.totals.get(i) + slip.totals.get(i));
  }
  for (const i of $range(0, SECTIONS - 1)) {
    merge(node.sections[i]!, slip.sections[i]!, MOST_NAMES, REST);
  }
}

/** What the node has counted, as this worker has left it. */
let node: Sheet | undefined = undefined;
/** The number of the addition that left it so; undefined: it is in the middle of one, or that failed. */
let number_of_node: number | undefined = undefined;

/** What the node has counted until the addition with this number. */
function node_before(ledger: Ledger, number: number): Sheet {
  const { dict, key, totals } = ledger;
  const is_mine = number_of_node !== undefined && number === number_of_node + 1;
  number_of_node = undefined;
  node = node ?? create(totals.length, SECTIONS);
  if (!is_mine) {
    const [before] = dict.get(key);
    if (before === undefined || !unpack_into(node, before as string)) {
      clear(node);
    }
  }
  return node;
}

/** @returns what it took off the list */
function add_slips(ledger: Ledger, into: Sheet, may_wait: boolean): string[] {
  const { dict, key, totals } = ledger;
  const until = ngx.now() + LONG_ADDITION;
  const taken: string[] = [];
  let rows = 0;
  let [text] = dict.lpop(`${key}:slips`);
  while (text !== undefined) {
    taken.push(text as string);
    const slip = read_slip(text as string, totals.length, SECTIONS);
    if (slip !== undefined) {
      add_up(into, slip);
      rows += slip.sections[0]!.count + slip.sections[1]!.count;
    }
    if (may_wait && rows >= SLICE) {
      rows = 0;
      breathe();
    }
    text = ngx.now() < until ? dict.lpop(`${key}:slips`)[0] : undefined;
  }
  return taken;
}

function add_all(ledger: Ledger, may_wait: boolean): string | undefined {
  const { dict, key } = ledger;
  const now = ngx.now();
  const [number, full] = dict.incr(`${key}:number`, 1, 0);
  if (number === undefined) {
    return full;
  }
  const sum = node_before(ledger, number);
  const [last] = dict.get(`${key}:at`);
  for (const section of sum.sections) {
    fade(section, now - ((last as number | undefined) ?? now));
  }
  const taken = add_slips(ledger, sum, may_wait);
  const [ok, err] = dict.safe_set(key, pack(sum));
  if (!ok) {
    for (const each of taken) {
      dict.lpush(`${key}:slips`, each);
    }
    return err;
  }
  dict.set(`${key}:at`, now);
  number_of_node = number;
  return undefined;
}

/**
 * Adds up what all workers have sent, unless another worker does right now.
 *
 * @returns whether it did, and why that failed: the dict is too small
 */
function add_up_slips(ledger: Ledger, may_wait: boolean): LuaMultiReturn<[boolean, string | undefined]> {
  const lock = `${ledger.key}:lock`;
  const [mine] = ledger.dict.add(lock, true, LONGEST_ADDITION);
  if (!mine) {
    return $multi(false, undefined);
  }
  const err = add_all(ledger, may_wait);
  ledger.dict.delete(lock);
  return $multi(true, err);
}

/** Whether it is time to add up: a few slips wait, and one of each worker; or one does for long. */
function is_due({ dict, key }: Ledger): boolean {
  const [waiting] = dict.llen(`${key}:slips`);
  return (
    (waiting ?? 0) > 0 &&
    dict.add(`${key}:due`, true, PERIOD)[0] &&
    (waiting! >= math.max(A_FEW, ngx.worker.count()) || dict.add(`${key}:overdue`, true, LONG_PERIOD)[0])
  );
}

/** Sends what this worker has counted; does not yield. */
function flush(ledger: Ledger): void {
  send_counted(ledger, hold_breath);
}

/**
 * What a worker does once a second; one of all adds up.
 *
 * @param may_wait it yields where it is much
 */
function tick(ledger: Ledger, may_wait: boolean): string | undefined {
  const err = send_counted(ledger, may_wait ? breathe : hold_breath);
  if (!is_due(ledger)) {
    return err;
  }
  const [, problem] = add_up_slips(ledger, may_wait);
  return problem ?? err;
}

/** What the node has counted; a sheet of its own, which nobody changes. Yields. */
function read(ledger: Ledger): Sheet {
  const { dict, key, totals } = ledger;
  send_counted(ledger, breathe_seldom);
  const until = ngx.now() + LONGEST_ADDITION;
  while (!add_up_slips(ledger, true)[0] && ngx.now() < until) {
    breathe();
  }
  const found = create(totals.length, SECTIONS);
  const [text] = dict.get(key);
  if (text !== undefined) {
    unpack_into(found, text as string);
  }
  return found;
}

export { flush, open, read, REST, tick };
