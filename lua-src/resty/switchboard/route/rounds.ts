/**
 * Active checks: the worker that holds the lease goes round the instances of the routes that want it.
 *
 * However many instances there are, at most MOST_AT_ONCE are asked at a time, and MOST_A_SECOND in a second: with more
 * to check each is checked more seldom.
 */

import { Config } from "../config";
import { Chart, note_begin, note_end, take_due } from "../health/charts";
import { examine } from "../health/examination";
import { awaits_check, hear_check } from "../health/illness";
import { count } from "../observe/counters";
import { tell } from "../observe/journal";
import { Dicts } from "./dict";
import { is_empty } from "./roster";
import { create as create_survey, is_wanted, look_around, note_turn, Survey } from "./survey";

const MOST_AT_ONCE = 64;
const MOST_A_SECOND = 500;
/** Seconds between two looks at who is due. */
const STEP = 0.1;
const MOST_A_STEP = MOST_A_SECOND * STEP;
/** Seconds between two looks at what the routes want. */
const LOOK_EVERY = 2;
/** Seconds beyond its timeout after which a check is given up. */
const GRACE = 1;
/** Steps in one timer: nginx gives its memory back when it ends. */
const STEPS = 600;

interface Running {
  chart: Chart;
  thread: NgxThread | undefined;
  /** ngx.now() at which it is given up. */
  until: number;
  done: boolean;
}

export interface Rounds {
  config: Config;
  dicts: Dicts;
  /** Whether this worker may check. */
  may: (this: void) => boolean;
  survey: Survey;
  /** Due, in order; `first` is the next. */
  queue: LuaTable<number, Chart>;
  first: number;
  last: number;
  running: Running[];
  /** ngx.now() at which it was looked last what the routes want. */
  looked_at: number;
  /** It goes round in this worker. */
  busy: boolean;
}

function create(config: Config, dicts: Dicts, may: (this: void) => boolean): Rounds {
  return {
    config,
    dicts,
    may,
    survey: create_survey(config, dicts),
    queue: new LuaTable(),
    first: 1,
    last: 0,
    running: [],
    looked_at: 0,
    busy: false,
  };
}

/** @param waits it was out when the check began, and is to be tried when that passes */
function end_check(rounds: Rounds, chart: Chart, problem: string | undefined, waits: boolean): void {
  count(`switchboard_checks_total{result="${problem === undefined ? "passed" : "failed"}"}`, 1);
  if (!is_wanted(rounds.survey, chart) || !rounds.may()) {
    return;
  }
  if (problem === undefined && waits) {
    hear_check(chart.wanted.patient.identity);
  }
  if (note_end(chart, problem)) {
    note_turn(rounds.survey, chart);
  }
}

/** Does one check, in a thread of its own. */
function run_check(rounds: Rounds, running: Running): void {
  const { chart } = running;
  const { check, patient } = chart.wanted;
  const waits = awaits_check(patient.identity, check.path !== undefined);
  const [ok, problem] = pcall(examine, patient, check);
  running.done = true;
  if (!ok) {
    tell(ngx.ERR, "bug examination", `a check failed: ${tostring(problem)}`);
  }
  end_check(rounds, chart, problem as unknown as string | undefined, waits);
}

function give_up(rounds: Rounds, running: Running): void {
  running.done = true;
  ngx.thread.kill(running.thread!);
  end_check(rounds, running.chart, "no answer in time", false);
}

/** Lets go those that have ended, and those that do not end. */
function end_running(rounds: Rounds, now: number): void {
  const left: Running[] = [];
  for (const running of rounds.running) {
    if (running.done) {
      ngx.thread.wait(running.thread!);
    } else if (now >= running.until) {
      give_up(rounds, running);
    } else {
      left.push(running);
    }
  }
  rounds.running = left;
}

function begin_check(rounds: Rounds, chart: Chart, now: number): void {
  note_begin(chart, now);
  const until = now + chart.wanted.check.timeout + GRACE;
  const running: Running = { chart, thread: undefined, until, done: false };
  const [thread] = ngx.thread.spawn(run_check, rounds, running);
  running.thread = thread;
  rounds.running.push(running);
}

/** Begins what is due, as far as the bounds let it. */
function begin_due(rounds: Rounds, now: number): void {
  for (const chart of take_due(rounds.survey.charts, now)) {
    rounds.last += 1;
    rounds.queue.set(rounds.last, chart);
  }
  let begun = 0;
  while (rounds.first <= rounds.last && rounds.running.length < MOST_AT_ONCE && begun < MOST_A_STEP) {
    const chart = rounds.queue.get(rounds.first);
    rounds.queue.delete(rounds.first);
    rounds.first += 1;
    if (is_wanted(rounds.survey, chart)) {
      begin_check(rounds, chart, now);
      begun += 1;
    }
  }
}

/** Goes on until nothing is to be checked, the time of the timer is over, or this worker may no longer. Yields. */
function go_round(rounds: Rounds): void {
  let steps = 0;
  // Who has begun a check must end it: nobody else can give it up.
  while (rounds.may() && (steps < STEPS || rounds.running.length > 0)) {
    const now = ngx.now();
    if (now - rounds.looked_at >= LOOK_EVERY) {
      rounds.looked_at = now;
      look_around(rounds.survey);
      if (rounds.survey.charts.count === 0 && is_empty(rounds.dicts.names)) {
        return;
      }
    }
    end_running(rounds, now);
    if (steps < STEPS) {
      begin_due(rounds, now);
    }
    steps += 1;
    ngx.sleep(STEP);
  }
}

/** What was known is another's to find out: it may be out of date when this worker checks again. */
function forget(rounds: Rounds): void {
  for (const running of rounds.running) {
    if (!running.done) {
      ngx.thread.kill(running.thread!);
    }
  }
  rounds.survey = create_survey(rounds.config, rounds.dicts);
  rounds.queue = new LuaTable();
  rounds.running = [];
  rounds.looked_at = 0;
}

function run(premature: boolean, rounds: Rounds): void {
  if (!premature) {
    const [ok, err] = pcall(go_round, rounds);
    if (!ok) {
      tell(ngx.ERR, "bug rounds", `the round of checks failed: ${tostring(err)}`);
    }
    if (!ok || !rounds.may()) {
      forget(rounds);
    }
  }
  rounds.busy = false;
}

/** Once a second in the worker that holds the lease. */
function tick(rounds: Rounds): void {
  if (!rounds.busy && !is_empty(rounds.dicts.names)) {
    const [started] = ngx.timer.at(0, run, rounds);
    rounds.busy = started !== undefined;
  }
}

export { create, tick };
