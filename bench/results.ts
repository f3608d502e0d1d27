/**
 * Where figures are kept. Each part of the bench sets keys of its own and leaves those of others; `runs` says of each part
 * when, where and of which commit it was run last.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, release } from "node:os";
import { fileURLToPath } from "node:url";

/** Everything once and shorter, for a look. */
export const QUICK = process.env.QUICK === "1";

/** A look's figures do not take the place of a full run's. */
const FILE = new URL(QUICK ? "results.quick.json" : "results.json", import.meta.url);
const DIGITS = 6;

export type Figures = Record<string, unknown>;

export interface Run {
  date: string;
  /** With a `+` where files had been changed since. */
  commit: string;
  machine: string;
  image: string;
}

export function readResults(): Figures {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Figures) : {};
}

function git(...words: string[]): string {
  return execFileSync("git", words, {
    cwd: fileURLToPath(new URL("../", import.meta.url)),
    encoding: "utf8",
  });
}

/** What the bench writes itself is no change. */
function commit(): string {
  try {
    const changed = git("status", "--porcelain", "--", ".", ":!bench/*.json", ":!bench/plots", ":!*.md");
    return `${git("rev-parse", "--short=12", "HEAD").trim()}${changed === "" ? "" : "+"}`;
  } catch {
    return "unknown";
  }
}

function here(image: string): Run {
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: `${cpus()[0]!.model}, ${cpus().length} cores, Linux ${release()}, ${arch()}`,
    image,
  };
}

function write(results: Figures): void {
  const short = (_: string, value: unknown): unknown =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  // Lists of numbers on one line, as prettier has them.
  const text = JSON.stringify(results, short, 2).replace(
    /\[\s+([-\d.e+,\s]+?)\s+\]/g,
    (_, numbers: string) => `[${numbers.split(/,\s+/).join(", ")}]`,
  );
  writeFileSync(FILE, `${text}\n`);
}

/** Sets figures of a part in the file, each under a key of its own, and says where they are from. */
export function record(part: string, image: string, figures: Figures): void {
  const before = readResults();
  const run = here(image);
  write({ ...before, ...run, ...figures, runs: { ...(before.runs as object | undefined), [part]: run } });
}
