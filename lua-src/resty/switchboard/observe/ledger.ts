/**
 * What the node has counted, over all its workers and over their reloads.
 *
 * Once a second each worker appends what it has counted since, if anything, to a list in the shared dict, as slips; one of
 * them adds up what stands in the list, and writes the sums to the dict, once a second or, where few come, every five. Who
 * reads a page of metrics does so too.
 */

import { absent } from "../absent";
import { blocks_of, pack_block, pack_head, unpack_block, unpack_head } from "./blocks";
import { clear, create, cut, Sheet } from "./sheet";
import { in_slices, Pause, Slices, step } from "./slices";
import { read as read_slip, Slip, write as write_slips } from "./slip";
import { take_touched, touched_count } from "./tally";
import { fade, merge } from "./top";

/** Another number whenever observe/slip or observe/blocks is another: after a reload the dict has those of before. */
const FORMAT = 3;
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
/** Routes and instances that have counted something, up to which who reads sends it first. */
const MOST_SENT = 1000;
/** Seconds that somebody waits for his turn to add up; after this long whoever had it has died. */
const LONGEST_WAIT = 4;
/** A block of the sums takes as long as so many names of a slip. */
const COST_OF_BLOCK = 128;
/** Seconds between two slices. */
const BREATH = 0.001;
const SECTIONS = 2;

export interface Ledger {
  dict: NgxSharedDict;
  /** What this worker counts as a total since its last slip, in the order of the totals. */
  totals: number[];
  /** Of these slips: one of another version of this module is not understood. */
  key: string;
  /** Could not be appended: the dict was full. */
  unsent: string[];
  /** What the node has counted, as this worker has left it. */
  node: Sheet;
  /** The number of the addition that left it so; undefined: it is in the middle of one. */
  number: number | undefined;
  /** Unix seconds until which its weights have faded. */
  faded_at: number;
}

/** @param signature differs wherever the totals do */
function open(dict: NgxSharedDict, signature: string, totals_count: number): Ledger {
  const totals: number[] = [];
  for (const i of $range(1, totals_count)) {
    totals[i - 1] = 0;
  }
  return {
    dict,
    totals,
    key: `${signature}:${FORMAT}`,
    unsent: [],
    node: create(totals_count, SECTIONS),
    number: absent,
    faded_at: 0,
  };
}

function breathe(): void {
  ngx.sleep(BREATH);
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
 * @returns why it could not be sent; then it is kept, and sent the next time
 */
function send_counted(ledger: Ledger, slices: Slices): string | undefined {
  const { unsent } = ledger;
  ledger.unsent = [];
  let failed: string | undefined = undefined;
  for (const text of unsent) {
    failed = send(ledger, text) ?? failed;
  }
  if (failed !== undefined) {
    return failed;
  }
  write_slips(ledger.totals, take_touched(), slices, (text) => {
    failed = send(ledger, text) ?? failed;
  });
  return failed;
}

/** Reads the sums of another worker. */
function read_sums(ledger: Ledger, slices: Slices): void {
  const { dict, key, node } = ledger;
  ledger.faded_at = (dict.get(`${key}:at`)[0] as number | undefined) ?? ngx.now();
  const [head] = dict.get(key);
  const counts = head !== undefined ? unpack_head(node, head as string) : undefined;
  if (counts === undefined) {
    clear(node);
    return;
  }
  for (const i of $range(0, SECTIONS - 1)) {
    const section = node.sections[i]!;
    cut(section, counts[i]!);
    for (const block of $range(0, blocks_of(counts[i]!) - 1)) {
      const [text] = dict.get(`${key}:${i}:${block}`);
      if (!unpack_block(section, block, counts[i]!, text as string | undefined)) {
        break;
      }
      step(slices, COST_OF_BLOCK);
    }
  }
}

/** @returns why not all could be written: the dict is too small */
function write_sums({ dict, key, node }: Ledger, slices: Slices): string | undefined {
  let [, failed] = dict.safe_set(key, pack_head(node));
  for (const i of $range(0, SECTIONS - 1)) {
    const section = node.sections[i]!;
    for (const block of $range(0, blocks_of(section.count) - 1)) {
      step(slices, COST_OF_BLOCK);
      const [, err] = dict.safe_set(`${key}:${i}:${block}`, pack_block(section, block));
      failed = failed ?? err;
    }
  }
  return failed;
}

function add_slip(node: Sheet, { totals, section, rows }: Slip): void {
  for (const i of $range(0, node.totals_count - 1)) {
    node.totals.set(i, node.totals.get(i) + totals.get(i));
  }
  merge(node.sections[section]!, rows, MOST_NAMES, REST);
}

function add_slips({ dict, key, node, totals }: Ledger, slices: Slices): void {
  const until = ngx.now() + LONG_ADDITION;
  let [text] = dict.lpop(`${key}:slips`);
  while (text !== undefined) {
    const slip = read_slip(text as string, totals.length, SECTIONS);
    if (slip !== undefined) {
      add_slip(node, slip);
      step(slices, 1 + slip.rows.count);
    }
    text = ngx.now() < until ? dict.lpop(`${key}:slips`)[0] : undefined;
  }
}

function add_all(ledger: Ledger, slices: Slices): string | undefined {
  const { dict, key, node } = ledger;
  const any = (dict.llen(`${key}:slips`)[0] ?? 0) > 0;
  const [number, full] = dict.incr(`${key}:number`, any ? 1 : 0, 0);
  if (number === undefined) {
    return full;
  }
  const is_known = ledger.number === (any ? number - 1 : number);
  ledger.number = undefined;
  if (!is_known) {
    read_sums(ledger, slices);
  }
  const now = ngx.now();
  for (const section of node.sections) {
    fade(section, now - ledger.faded_at);
  }
  ledger.faded_at = now;
  let failed: string | undefined = undefined;
  if (any) {
    add_slips(ledger, slices);
    failed = write_sums(ledger, slices);
    dict.set(`${key}:at`, now);
  }
  // Where that failed this worker knows the sums: it writes them the next time, unless another one adds up before.
  ledger.number = number;
  return failed;
}

/**
 * Adds up what all workers have sent, unless another worker does right now.
 *
 * @returns whether it did, and why that failed: the dict is too small
 */
function add_up_slips(ledger: Ledger, slices: Slices): LuaMultiReturn<[boolean, string | undefined]> {
  const lock = `${ledger.key}:lock`;
  const [mine] = ledger.dict.add(lock, true, LONGEST_ADDITION);
  if (!mine) {
    return $multi(false, undefined);
  }
  const err = add_all(ledger, slices);
  ledger.dict.delete(lock);
  return $multi(true, err);
}

/** Whether it is time to add up: a few slips wait, or one does for long. */
function is_due({ dict, key }: Ledger): boolean {
  const [waiting] = dict.llen(`${key}:slips`);
  return (
    (waiting ?? 0) > 0 &&
    dict.add(`${key}:due`, true, PERIOD)[0] &&
    (waiting! >= A_FEW || dict.add(`${key}:overdue`, true, LONG_PERIOD)[0])
  );
}

/** Sends what this worker has counted; does not yield. */
function flush(ledger: Ledger): void {
  send_counted(ledger, in_slices(hold_breath));
}

/**
 * What a worker does once a second; one of all adds up.
 *
 * @param may_wait it yields where it is much
 */
function tick(ledger: Ledger, may_wait: boolean): string | undefined {
  const slices = in_slices(may_wait ? breathe : hold_breath);
  const err = send_counted(ledger, slices);
  if (!is_due(ledger)) {
    return err;
  }
  const [, problem] = add_up_slips(ledger, slices);
  return problem ?? err;
}

/**
 * What the node has counted, but for the last second of other workers, and of this one where so much of it is new that it
 * would take long to send. Yields.
 *
 * The sheet goes on being added to: who yields while he reads it finds later counts, and a row may have another name.
 */
function read(ledger: Ledger, pause: Pause): Sheet {
  const slices = in_slices(pause);
  if (touched_count() <= MOST_SENT) {
    send_counted(ledger, slices);
  }
  const until = ngx.now() + LONGEST_WAIT;
  while (!add_up_slips(ledger, slices)[0] && ngx.now() < until) {
    breathe();
  }
  return ledger.node;
}

export { flush, open, read, REST, tick };
