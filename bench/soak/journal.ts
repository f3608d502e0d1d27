/** What happens in a soak, as it happens: on the screen, in files that stay, and what failed first. */

import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Failure {
  /** Seconds since the soak began. */
  at: number;
  /** By the clock, to find it in the logs of the others. */
  time: string;
  what: string;
}

export interface Journal {
  folder: string;
  failures: Failure[];
  /** Seconds since the soak began: since `begin`. */
  seconds(): number;
  /** All is set up. */
  begin(): void;
  /** Something that was meant to happen. */
  note(what: string): void;
  /** Something that must not happen. */
  fail(what: string): void;
  /** Adds lines to a log that is kept. */
  keep(log: string, lines: string[]): void;
}

/** More of the same tell nothing. */
const MOST_FAILURES = 100;

/** 75 -> "01:15" */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}

/** @param folder for the logs; what an earlier soak left there goes */
export function openJournal(folder: string): Journal {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  let began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const write = (line: string): void => {
    appendFileSync(join(folder, "events.log"), `${new Date().toISOString()} ${clock(seconds())} ${line}\n`);
  };
  const failures: Failure[] = [];
  return {
    folder,
    failures,
    seconds,
    begin: () => {
      began = performance.now();
    },
    note: (what) => write(what),
    fail: (what) => {
      if (failures.length < MOST_FAILURES) {
        failures.push({ at: seconds(), time: new Date().toISOString(), what });
        write(`FAILED ${what}`);
        console.log(`${clock(seconds())}  FAILED  ${what}`);
      }
    },
    keep: (log, lines) => {
      if (lines.length > 0) {
        appendFileSync(join(folder, log), `${lines.join("\n")}\n`);
      } else {
        writeFileSync(join(folder, log), "", { flag: "a" });
      }
    },
  };
}
