/** What the tool says: findings as lines or as one JSON document, progress for who watches. */

import { once } from "node:events";
import { brief, show } from "./bytes.ts";
import { type Finding, type Totals } from "./walk.ts";

/** How it ended. */
export interface Outcome {
  label: string;
  schemas: string[];
  totals: Totals;
  seconds: number;
  /** Why not everything was looked at. */
  error?: string;
}

export interface Report {
  found(finding: Finding): Promise<void>;
  end(outcome: Outcome): Promise<void>;
  counts: { problem: number; note: number };
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) {
    await once(process.stdout, "drain");
  }
}

function shown({ severity, code, schema, name, key, value, reason }: Finding): object {
  return {
    severity,
    code,
    schema,
    name: show(name),
    key: show(key),
    value: show(value),
    reason: show(reason),
  };
}

/** One JSON document, written as it comes: README, "switchboard check". */
export function jsonReport(): Report {
  const counts = { problem: 0, note: 0 };
  let before = `{"version":1,"findings":[`;
  return {
    counts,
    found: async (finding) => {
      counts[finding.severity] += 1;
      await write(`${before}\n${JSON.stringify(shown(finding))}`);
      before = ",";
    },
    end: async ({ label, schemas, totals, seconds, error }) => {
      const summary = {
        complete: error === undefined,
        ...(error === undefined ? {} : { error }),
        redis: label,
        schemas,
        ...totals,
        problems: counts.problem,
        notes: counts.note,
        seconds: Number(seconds.toFixed(3)),
      };
      await write(`${before === "," ? "\n" : before}],"summary":${JSON.stringify(summary)}}\n`);
    },
  };
}

function many(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** A line a finding, and one at the end. */
export function textReport(): Report {
  const counts = { problem: 0, note: 0 };
  return {
    counts,
    found: async (finding) => {
      counts[finding.severity] += 1;
      const value = finding.value === "" ? "" : ` "${brief(finding.value)}"`;
      await write(
        `${finding.severity} ${finding.code}  ${brief(finding.key)}${value}: ${show(finding.reason)}\n`,
      );
    },
    end: async ({ label, totals, seconds, error }) => {
      const found = `${many(counts.problem, "problem")}, ${many(counts.note, "note")}`;
      const seen = `${many(totals.keys, "key")}, ${many(totals.names, "name")} in ${label}, ${seconds.toFixed(1)} s`;
      if (error === undefined) {
        await write(`${found}; ${seen}\n`);
      }
    },
  };
}

const TERMINAL_PERIOD = 200;

/** On stderr: one line that changes on a terminal, else a line every `seconds`. */
export function progressTo(
  expected: number | undefined,
  counts: Report["counts"],
  seconds: number,
): { show(totals: Totals): void; clear(): void } {
  const terminal = process.stderr.isTTY;
  let last = Date.now();
  let drawn = false;
  const clear = (): void => {
    if (drawn) {
      process.stderr.write("\r\x1b[K");
      drawn = false;
    }
  };
  return {
    clear,
    show: (totals) => {
      if (Date.now() - last < (terminal ? TERMINAL_PERIOD : seconds * 1000)) {
        return;
      }
      last = Date.now();
      const of = expected === undefined ? "" : ` of about ${expected.toLocaleString("en")}`;
      const line = `${totals.keys.toLocaleString("en")}${of} keys, ${many(counts.problem, "problem")}`;
      process.stderr.write(terminal ? `\r\x1b[K${line}` : `${line}\n`);
      drawn = terminal;
    },
  };
}
