/** Containers of the image `switchboard`, started and stopped by the commands that a user types. */

import { docker, type Outcome } from "./command.ts";
import { ask, type Answer, type Question } from "./http-client.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./ports.ts";
import { assertCalm } from "./router.ts";

const IMAGE = "switchboard";

async function must(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await docker(...words);
  if (exitCode !== 0) {
    throw new Error(`docker ${words.join(" ")}: ${stderr}${stdout}`);
  }
  return stdout.trim();
}

/** A container of the image on the host's network. */
export interface ImageContainer {
  port: number;
  healthPort: number;
  adminPort: number;
  id: string;
  ask(question: Question): Promise<Answer>;
  health(path: string): Promise<Answer>;
  signal(name: string): Promise<void>;
  /** `docker stop --time …`; returns when the container has ended. */
  stop(seconds: number): Promise<void>;
  /** Waits for the end: the exit status. */
  ended(): Promise<number>;
  start(): Promise<void>;
  ready(): Promise<void>;
  /** User ids, process ids and commands of its processes. */
  processes(): Promise<string[]>;
  stdout(): Promise<string>;
  stderr(): Promise<string>;
  /** Removes it and makes sure that its error log tells of no Lua error and no crash. */
  close(): Promise<void>;
}

function words(environment: Record<string, string>): string[] {
  return Object.entries(environment).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
}

/**
 * Makes a container, which is not started yet, with ports of its own.
 *
 * @param flags of `docker create`
 */
export async function createContainer(
  environment: Record<string, string>,
  flags: string[] = [],
): Promise<ImageContainer> {
  const port = await freePort();
  const healthPort = await freePort();
  const adminPort = await freePort();
  const listens = {
    SWITCHBOARD_LISTEN: `127.0.0.1:${port}`,
    SWITCHBOARD_HEALTH_LISTEN: `127.0.0.1:${healthPort}`,
    SWITCHBOARD_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
  };
  const id = await must(
    "create",
    "--network",
    "host",
    ...words({ ...listens, ...environment }),
    ...flags,
    IMAGE,
  );
  const health = async (path: string): Promise<Answer> => ask(healthPort, { host: "health", path });
  const logs = async (): Promise<Outcome> => docker("logs", id);
  return {
    port,
    healthPort,
    adminPort,
    id,
    ask: async (question) => ask(port, question),
    health,
    signal: async (name) => {
      await must("kill", "--signal", name, id);
    },
    stop: async (seconds) => {
      await must("stop", "--time", String(seconds), id);
    },
    ended: async () => Number(await must("wait", id)),
    start: async () => {
      await must("start", id);
    },
    ready: async () =>
      eventually("the container is ready", async () => {
        const answer = await health("/readyz");
        if (answer.status !== 200) {
          throw new Error(answer.body);
        }
      }),
    processes: async () => (await must("top", id, "-eo", "uid,pid,args")).split("\n").slice(1),
    stdout: async () => (await logs()).stdout,
    stderr: async () => (await logs()).stderr,
    close: async () => {
      const { stderr } = await logs();
      await must("rm", "--force", id);
      assertCalm(stderr.split("\n"));
    },
  };
}

/** What the image says when it is run, and must not stay up; after 20 s it is killed, with status 137. */
export async function runImage(
  environment: Record<string, string>,
  flags: string[] = [],
  command: string[] = [],
): Promise<Outcome> {
  const id = await must("create", ...words(environment), ...flags, IMAGE, ...command);
  const killed = setTimeout(() => void docker("kill", id), 20_000);
  try {
    await must("start", id);
    const exitCode = Number(await must("wait", id));
    return { ...(await docker("logs", id)), exitCode };
  } finally {
    clearTimeout(killed);
    await must("rm", "--force", id);
  }
}
