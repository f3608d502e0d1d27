/**
 * What the routes of the roster want checked, as charts that say how each check stands; and whom other routers are told
 * of when an instance of hipache's or planb's list is ill, or well again.
 */

import { Config } from "../config";
import {
  begin_round,
  Chart,
  Charts,
  create as create_charts,
  end_round,
  is_ill_otherwise,
  is_well,
  want,
} from "../health/charts";
import { fall_ill, get_well, illness_of } from "../health/illness";
import { can_expire } from "./adopt";
import { decode } from "./codec";
import { mark_alive, mark_dead } from "./dead_marks";
import { Dicts, read_route } from "./dict";
import { Stored } from "./stored";
import { last_number, name_at, strike_off, was_seen_lately } from "./roster";
import { Wish, Wishes, wishes_of } from "./wanted";

/** Routes that are looked at without a pause. */
const SLICE = 64;
/** Seconds between two slices: stock nginx logs a warning at each sleep of none. */
const BREATH = 0.001;

export interface Survey {
  config: Config;
  dicts: Dicts;
  charts: Charts;
  /** What the routes want, by name. */
  wishes: LuaTable<string, Wishes>;
  /** Those of them that stand in lists whose dead are marked, by the key of the check. */
  listed: LuaTable<string, Wish[]>;
}

function create(config: Config, dicts: Dicts): Survey {
  return { config, dicts, charts: create_charts(), wishes: new LuaTable(), listed: new LuaTable() };
}

/** `http:/health: status 503` */
function detail_of(chart: Chart): string {
  return `${chart.wanted.check.label}: ${chart.ill}`;
}

/** What another worker has found out by such a check; undefined: nothing bad. */
function found_before(label: string, identity: string): string | undefined {
  const illness = illness_of(identity);
  const start = `${label}: `;
  const is_its = illness !== undefined && string.sub(illness, 1, start.length) === start;
  return is_its ? string.sub(illness, start.length + 1) : undefined;
}

/** What a route wants at the moment; undefined: nothing, or nobody asks for it. */
function wishes_at(survey: Survey, name: string, stored: Stored, now: number): Wishes | undefined {
  const last = survey.wishes.get(name) as Wishes | undefined;
  const wishes =
    last?.text === stored.text ? last : wishes_of(survey.config, name, stored.text, decode(stored.text));
  return wishes !== undefined && (wishes.always || was_seen_lately(survey.dicts.names, name, now))
    ? wishes
    : undefined;
}

function take_in(survey: Survey, wish: Wish, now: number): void {
  const { wanted } = wish;
  const fresh = want(survey.charts, wanted, now);
  if (fresh !== undefined) {
    fresh.ill = found_before(wanted.check.label, wanted.patient.identity);
  }
  if (wish.mark !== undefined) {
    const known = survey.listed.get(wanted.key) as Wish[] | undefined;
    const listed = known ?? [];
    listed.push(wish);
    survey.listed.set(wanted.key, listed);
  }
}

/** Takes in what a route wants; one that wants nothing leaves the roster. */
function look_at(survey: Survey, number: number, name: string, now: number): void {
  const { dicts } = survey;
  const stored = read_route(dicts, name);
  const wishes = stored !== undefined ? wishes_at(survey, name, stored, now) : undefined;
  if (stored === undefined || wishes === undefined) {
    survey.wishes.delete(name);
    strike_off(dicts.names, number, name);
    return;
  }
  survey.wishes.set(name, wishes);
  const expire = can_expire(survey, stored);
  for (const wish of wishes.list) {
    if (!expire || wish.ends > now) {
      take_in(survey, wish, now);
    }
  }
}

/** Tells other routers how an instance of their lists does, where they think otherwise. */
function tell_others(survey: Survey, chart: Chart): void {
  const listed = survey.listed.get(chart.wanted.key) as Wish[] | undefined;
  for (const { mark, is_marked } of listed ?? []) {
    if (chart.ill !== undefined) {
      mark_dead(survey.config, mark!);
    } else if (is_marked && is_well(chart)) {
      mark_alive(survey.config, mark!);
    }
  }
}

/** Nothing is said against an instance by this check any more. */
function end_illness(survey: Survey, chart: Chart, why: string): void {
  if (!is_ill_otherwise(survey.charts, chart)) {
    get_well(chart.wanted.patient.identity, why);
  }
}

/** Looks at what all routes of the roster want, and says again who is ill. Yields. */
function look_around(survey: Survey): void {
  const { names } = survey.dicts;
  const { charts } = survey;
  begin_round(charts);
  survey.listed = new LuaTable();
  let number = 1;
  while (number <= last_number(names)) {
    const name = name_at(names, number);
    if (name !== undefined) {
      look_at(survey, number, name, ngx.now());
    }
    if (number % SLICE === 0) {
      ngx.sleep(BREATH);
    }
    number += 1;
  }
  for (const chart of end_round(charts)) {
    end_illness(survey, chart, "it is not checked any more");
  }
  for (const [, chart] of pairs(charts.by_key)) {
    if (chart.ill !== undefined) {
      fall_ill(chart.wanted.patient.identity, detail_of(chart));
    }
    tell_others(survey, chart);
  }
}

/** Whether a check is still wanted. */
function is_wanted(survey: Survey, chart: Chart): boolean {
  return survey.charts.by_key.get(chart.wanted.key) === chart;
}

/** An instance has become ill, or well again, by a check. */
function note_turn(survey: Survey, chart: Chart): void {
  if (chart.ill !== undefined) {
    fall_ill(chart.wanted.patient.identity, detail_of(chart));
  } else {
    end_illness(survey, chart, `${chart.wanted.check.label} passes`);
  }
  tell_others(survey, chart);
}

export { create, is_wanted, look_around, note_turn };
