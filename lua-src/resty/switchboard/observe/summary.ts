/** What the node has counted of all requests together, in few numbers. */

import { SERIES, total_of } from "./counters";
import { CLASS_NAMES, number_at, sum_of } from "./families";
import { Section, Sheet } from "./sheet";
import { CLASSES } from "./tally";
import { rate_of_all } from "./top";

export interface Summary {
  /** Of those that a route had, as of about the last minute. */
  per_second: number;
  /** By status class, since counting began. */
  responses: Record<string, number>;
  /** Answers of the router itself by reason; only reasons that there were. */
  answers: Record<string, number>;
}

function summarise(sheet: Sheet): Summary {
  const routes = sheet.sections[0]!;
  const responses: Record<string, number> = {};
  const answers: Record<string, number> = {};
  for (const i of $range(0, CLASS_NAMES.length - 1)) {
    responses[CLASS_NAMES[i]!] = sum_of(routes, CLASSES + i);
  }
  for (const series of SERIES) {
    const value = total_of(sheet, series);
    const [code] = string.match(series, '^switchboard_requests_total{code="(.+)"}$');
    const [reason] = string.match(series, '^switchboard_answers_total{reason="(.+)"}$');
    if (code !== undefined) {
      responses[code] = responses[code]! + value;
    } else if (reason !== undefined && value > 0) {
      answers[reason] = value;
    }
  }
  return { per_second: rate_of_all(routes), responses, answers };
}

/** The responses of one name by status class, since it has had a row of its own; undefined: it has none. */
function responses_of(section: Section, name: string): Record<string, number> | undefined {
  const row = section.rows.get(name) as number | undefined;
  if (row === undefined) {
    return undefined;
  }
  const responses: Record<string, number> = {};
  for (const i of $range(0, CLASS_NAMES.length - 1)) {
    responses[CLASS_NAMES[i]!] = number_at(section, row, CLASSES + i);
  }
  return responses;
}

export { responses_of, summarise };
