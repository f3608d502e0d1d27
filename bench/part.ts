/** A part of the bench: a stage of its own, and one line where it has no figures. */

import { openStage, type Stage } from "./stage.ts";

/** @param what it measures, for the message */
export async function play(what: string, perform: (stage: Stage) => Promise<void>): Promise<void> {
  let stage: Stage | undefined = undefined;
  const leave = (): void => {
    void (stage?.close() ?? Promise.resolve()).finally(() => process.exit(130));
  };
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);
  try {
    stage = await openStage();
    await perform(stage);
  } catch (failure) {
    console.error(`make bench: no figures of ${what}: ${(failure as Error).message}`);
    process.exitCode = 1;
  } finally {
    await stage?.close();
    // A connection that a failure left open must not keep the bench from its next part.
    setTimeout(() => process.exit(), 2000).unref();
  }
}
