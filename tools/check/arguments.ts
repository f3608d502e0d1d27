/** The command line of `switchboard check`. */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { CannotCheck } from "./redis.ts";

export const HELP = `switchboard check: what is wrong with the routes in a Redis

  npx switchboard check --redis redis://10.0.0.2:6379 [--schema native,hipache] [--json]

  --redis <url>           redis://[user:password@]host[:port][,host…][/db], redis+sentinel://host[,host…]/master[/db],
                          the same with rediss, or unix:/path
                          (default: SWITCHBOARD_REDIS_URL, which keeps a password out of the list of
                          processes; else redis://127.0.0.1:6379)
  --schema <list>         the layouts, as the module's option schema: native, hipache, planb, dinp (default: native)
  --key-format <format>   as the module's option key_format
  --key-prefix <prefix>   as the module's option key_prefix
  --legacy-prefix <text>  as the module's option legacy_prefix
  --deny-instances <list> as the module's option deny_instances
  --tls-ca <file>         certificates to trust for rediss://
  --tls-name <name>       as the module's option redis_tls_name
  --tls-cert <file>       as the module's option redis_tls_cert
  --tls-key <file>        as the module's option redis_tls_key
  --tls-insecure          do not check the certificate
  --timeout <seconds>     for connecting and for each answer (default: 10)
  --count <n>             keys a SCAN asks for at once (default: 1000)
  --json                  one JSON document instead of lines
  --strict                notes count as findings for the exit status
  --progress <seconds>    how often a line on stderr says how far it is, where that is no terminal (default: 10)
  --quiet                 no progress on stderr
  --help

The module's environment (SWITCHBOARD_KEY_FORMAT, …, and SWITCHBOARD_…_FILE) is read as the router reads it.
It only reads, with SCAN. Exit status: 0 nothing found, 1 findings, 2 could not check.
`;

/** Options of the command line that are options of the module. */
const OF_MODULE = {
  redis: "redis_url",
  "tls-name": "redis_tls_name",
  "tls-cert": "redis_tls_cert",
  "tls-key": "redis_tls_key",
  schema: "schema",
  "legacy-prefix": "legacy_prefix",
  "key-format": "key_format",
  "key-prefix": "key_prefix",
  "deny-instances": "deny_instances",
} as const;

const LONGEST_TIMEOUT = 3600;
const LARGEST_COUNT = 100_000;

export interface Arguments {
  /** The module's options that were given. */
  options: Record<string, string>;
  /** What the environment says of these options, as the module's own reader returns it. */
  environment(names: string[]): Record<string, { value: string; variable: string }>;
  authority: string | undefined;
  insecure: boolean;
  /** Milliseconds. */
  timeout: number;
  count: number;
  json: boolean;
  strict: boolean;
  /** Seconds. */
  progress: number;
  quiet: boolean;
}

function parse(words: string[]): ReturnType<typeof parseTyped> {
  try {
    return parseTyped(words);
  } catch (err) {
    // Never the value: it may be a URL with a password.
    const [sentence] = (err as Error).message.split("\n");
    throw new CannotCheck(`${sentence ?? "bad arguments"}; --help lists the options`);
  }
}

// eslint-disable-next-line @typescript-eslint/explicit-function-return-type
function parseTyped(words: string[]) {
  return parseArgs({
    args: words,
    strict: true,
    allowPositionals: true,
    options: {
      redis: { type: "string" },
      schema: { type: "string" },
      "key-format": { type: "string" },
      "key-prefix": { type: "string" },
      "legacy-prefix": { type: "string" },
      "deny-instances": { type: "string" },
      "tls-ca": { type: "string" },
      "tls-name": { type: "string" },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" },
      "tls-insecure": { type: "boolean" },
      timeout: { type: "string" },
      count: { type: "string" },
      json: { type: "boolean" },
      strict: { type: "boolean" },
      progress: { type: "string" },
      quiet: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
}

function whole(name: string, text: string | undefined, initial: number, most: number): number {
  const value = Number(text ?? initial);
  if (!/^\d+$/.test(text ?? "0") || value > most || value < (text === undefined ? 0 : 1)) {
    throw new CannotCheck(`--${name} must be a whole number from 1 to ${most}; got "${text}"`);
  }
  return value;
}

function environmentOf(env: NodeJS.ProcessEnv, names: string[]): ReturnType<Arguments["environment"]> {
  const found: ReturnType<Arguments["environment"]> = {};
  for (const name of names) {
    const variable = `SWITCHBOARD_${name.toUpperCase()}`;
    const direct = env[variable];
    const file = env[`${variable}_FILE`];
    if (direct !== undefined) {
      found[name] = { value: direct, variable };
    } else if (file !== undefined) {
      try {
        found[name] = {
          value: readFileSync(file, "latin1").replace(/[\r\n]+$/, ""),
          variable: `${variable}_FILE`,
        };
      } catch (err) {
        throw new CannotCheck(
          `could not read the file that ${variable}_FILE names: ${(err as Error).message}`,
        );
      }
    }
  }
  return found;
}

/**
 * Reads the words behind `switchboard`.
 *
 * @throws CannotCheck with what is wrong, and never with a password
 */
export function readArguments(words: string[], env: NodeJS.ProcessEnv): Arguments | "help" {
  const { values, positionals } = parse(words);
  if (values.help === true || words.length === 0) {
    return "help";
  }
  const [command, ...rest] = positionals;
  if (command !== "check" || rest.length > 0) {
    throw new CannotCheck("say: switchboard check [options]; --help lists them");
  }
  const options: Record<string, string> = {};
  for (const [flag, option] of Object.entries(OF_MODULE)) {
    const value = values[flag as keyof typeof OF_MODULE];
    if (value !== undefined) {
      options[option] = Buffer.from(value, "utf8").toString("latin1");
    }
  }
  return {
    options,
    environment: (names) => environmentOf(env, names),
    authority: values["tls-ca"],
    insecure: values["tls-insecure"] === true,
    timeout: whole("timeout", values.timeout, 10, LONGEST_TIMEOUT) * 1000,
    count: whole("count", values.count, 1000, LARGEST_COUNT),
    json: values.json === true,
    strict: values.strict === true,
    progress: whole("progress", values.progress, 10, LONGEST_TIMEOUT),
    quiet: values.quiet === true,
  };
}
