/**
 * What checks of instances have come to: who is due when, who fails and who is well again.
 *
 * A check that several routes want is one. It does no I/O and is kept by the one worker that checks.
 */

import { throw_below } from "../balance/dice";
import { Check } from "../schema/check";
import { Patient } from "./examination";

/** Checks in a row that must pass, and that must fail, until the instance counts as well, or as ill. */
const RISE = 2;
const FALL = 3;
/** Seconds between the beginnings of two checks, and the part of it by which that is shorter or longer. */
const INTERVAL = 2;
const JITTER = 0.1;
const FINE = 1000000;

/** A check that a route wants. */
export interface Wanted {
  /** Equal ones are one check. */
  key: string;
  patient: Patient;
  check: Check;
}

export interface Chart {
  wanted: Wanted;
  /** ngx.now() at which it is due. */
  due_at: number;
  /** It waits for its turn, or runs. */
  busy: boolean;
  /** In a row. */
  passed: number;
  failed: number;
  /** What is wrong; undefined: the instance counts as well. */
  ill: string | undefined;
  /** The look around in which it was wanted last. */
  round: number;
}

export interface Charts {
  by_key: LuaTable<string, Chart>;
  round: number;
  count: number;
}

function create(): Charts {
  return { by_key: new LuaTable(), round: 0, count: 0 };
}

/** A number around 1. */
function jitter(): number {
  return 1 + JITTER * ((2 * throw_below(FINE)) / FINE - 1);
}

/** A look at what is wanted begins. */
function begin_round(charts: Charts): void {
  charts.round += 1;
}

/**
 * A route wants this check. Of several that want it the first by name says what the instance is told as Host.
 *
 * @returns its chart, where it is a new one; nothing is known of the instance then
 */
function want(charts: Charts, wanted: Wanted, now: number): Chart | undefined {
  const known = charts.by_key.get(wanted.key) as Chart | undefined;
  if (known !== undefined) {
    if (known.round !== charts.round || wanted.patient.host < known.wanted.patient.host) {
      known.round = charts.round;
      known.wanted = wanted;
    }
    return undefined;
  }
  const fresh: Chart = {
    wanted,
    due_at: now + (INTERVAL * throw_below(FINE)) / FINE,
    busy: false,
    passed: 0,
    failed: 0,
    ill: undefined,
    round: charts.round,
  };
  charts.by_key.set(wanted.key, fresh);
  charts.count += 1;
  return fresh;
}

/** Forgets checks that nobody wanted in this round; those of them whose instance was ill. */
function end_round(charts: Charts): Chart[] {
  const left: Chart[] = [];
  for (const [key, chart] of pairs(charts.by_key)) {
    if (chart.round !== charts.round) {
      charts.by_key.delete(key);
      charts.count -= 1;
      if (chart.ill !== undefined) {
        left.push(chart);
      }
    }
  }
  return left;
}

/** Those that are due and not under way; from now on they are. */
function take_due(charts: Charts, now: number): Chart[] {
  const due: Chart[] = [];
  for (const [, chart] of pairs(charts.by_key)) {
    if (!chart.busy && now >= chart.due_at) {
      chart.busy = true;
      due.push(chart);
    }
  }
  return due;
}

/** Notes when a check begins. */
function note_begin(chart: Chart, now: number): void {
  chart.due_at = now + INTERVAL * jitter();
}

/**
 * Notes how a check ended.
 *
 * @param problem undefined: well
 * @returns whether the instance is ill by it, or well again, since this moment
 */
function note_end(chart: Chart, problem: string | undefined): boolean {
  chart.busy = false;
  if (problem === undefined) {
    chart.passed += 1;
    chart.failed = 0;
    const recovers = chart.ill !== undefined && chart.passed >= RISE;
    chart.ill = recovers ? undefined : chart.ill;
    return recovers;
  }
  chart.failed += 1;
  chart.passed = 0;
  const falls = chart.ill === undefined && chart.failed >= FALL;
  chart.ill = falls || chart.ill !== undefined ? problem : undefined;
  return falls;
}

/** Whether an instance has passed often enough to be called well, whatever it was before. */
function is_well(chart: Chart): boolean {
  return chart.ill === undefined && chart.passed >= RISE;
}

/** Whether some other check of the same instance fails. */
function is_ill_otherwise(charts: Charts, chart: Chart): boolean {
  const { identity } = chart.wanted.patient;
  for (const [, other] of pairs(charts.by_key)) {
    if (other !== chart && other.ill !== undefined && other.wanted.patient.identity === identity) {
      return true;
    }
  }
  return false;
}

export { begin_round, create, end_round, is_ill_otherwise, is_well, note_begin, note_end, take_due, want };
