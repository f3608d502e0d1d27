/** Commands of this machine, whose failure is an outcome too. */

import { execFile, type ExecFileOptions } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What a command said and how it ended. */
export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a command to its end.
 *
 * @throws only when it could not be run at all, or was killed
 */
export async function command(
  file: string,
  words: string[],
  options: Pick<ExecFileOptions, "cwd" | "env"> = {},
): Promise<Outcome> {
  try {
    const { stdout, stderr } = await run(file, words, { ...options, maxBuffer: 1 << 26 });
    return { exitCode: 0, stdout: String(stdout), stderr: String(stderr) };
  } catch (failure) {
    const { code, stdout = "", stderr = "" } = failure as { code?: number } & Partial<Outcome>;
    if (typeof code !== "number") {
      throw failure;
    }
    return { exitCode: code, stdout, stderr };
  }
}

/** Runs docker. */
export async function docker(...words: string[]): Promise<Outcome> {
  return command("docker", words);
}
