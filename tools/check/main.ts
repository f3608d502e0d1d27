/** `switchboard check`: reads its command line, walks through a Redis, says what is wrong there. */

import { type Arguments, HELP, readArguments } from "./arguments.ts";
import { show } from "./bytes.ts";
import { startLua, type Lua } from "./lua.ts";
import { CannotCheck, connect, type Secure, type SentinelUser, type Target } from "./redis.ts";
import { jsonReport, type Outcome, progressTo, textReport } from "./report.ts";
import { walk } from "./walk.ts";

const CLEAN = 0;
const FOUND = 1;
const COULD_NOT = 2;

interface Settled {
  redis: Target;
  secure: Secure;
  sentinel: SentinelUser;
  schemas: string[];
}

/** The module's own reading of options and environment. */
function configure(lua: Lua, given: Arguments): Settled {
  const names = lua.call("options") as string[];
  const settled = lua.call("configure", given.options, given.environment(names)) as {
    error?: string;
  };
  if (settled.error !== undefined) {
    throw new CannotCheck(show(settled.error.replace(/^configure: /, "")));
  }
  return settled as unknown as Settled;
}

async function check(given: Arguments): Promise<number> {
  const began = Date.now();
  const report = given.json ? jsonReport() : textReport();
  const outcome: Outcome = {
    label: "",
    schemas: [],
    totals: { keys: 0, names: 0, foreign: 0 },
    seconds: 0,
  };
  try {
    const lua = await startLua();
    const { redis, secure, sentinel, schemas } = configure(lua, given);
    outcome.label = redis.label;
    outcome.schemas = schemas;
    const store = await connect(
      redis,
      { ...secure, verify: secure.verify && !given.insecure, authority: given.authority },
      sentinel,
      given.timeout,
    );
    try {
      const [size] = await store.ask([["DBSIZE"]]);
      const progress = progressTo(typeof size === "number" ? size : undefined, report.counts, given.progress);
      outcome.totals = await walk({
        store,
        lua,
        label: redis.label,
        schemas,
        count: given.count,
        found: async (finding) => {
          progress.clear();
          await report.found(finding);
        },
        progress: (totals) => {
          outcome.totals = { ...totals };
          if (!given.quiet) {
            progress.show(totals);
          }
        },
      });
      progress.clear();
    } finally {
      store.close();
    }
  } catch (err) {
    if (!(err instanceof CannotCheck)) {
      throw err;
    }
    outcome.error = err.message;
  }
  outcome.seconds = (Date.now() - began) / 1000;
  await report.end(outcome);
  if (outcome.error !== undefined) {
    process.stderr.write(`switchboard check: ${outcome.error}\n`);
    return COULD_NOT;
  }
  const counted = report.counts.problem + (given.strict ? report.counts.note : 0);
  return counted > 0 ? FOUND : CLEAN;
}

/** Runs the command line; the exit status says how it ended. */
export async function main(words: string[]): Promise<void> {
  // `… | head` is no failure.
  process.stdout.on("error", (err: NodeJS.ErrnoException) => {
    process.exit(err.code === "EPIPE" ? FOUND : COULD_NOT);
  });
  try {
    const given = readArguments(words, process.env);
    if (given === "help") {
      process.stdout.write(HELP);
      return;
    }
    process.exitCode = await check(given);
  } catch (err) {
    process.stderr.write(`switchboard check: ${(err as Error).message}\n`);
    process.exitCode = COULD_NOT;
  }
}
