import { Agent } from "node:http";
import { ask, type Answer, type Question, type RequestError } from "./http-client.ts";

/** What clients got while something happened. */
export interface Load {
  total: number;
  /** Answers with 200 by the name in X-Backend. */
  byBackend: Map<string, number>;
  /** Everything else: other statuses, broken connections. The first hundred; to show more takes for ever. */
  failures: string[];
}

const MOST_FAILURES = 100;

function noteFailure(load: Load, failure: string): void {
  if (load.failures.length < MOST_FAILURES) {
    load.failures.push(failure);
  }
}

/** How to put a host under load. */
export interface LoadOptions {
  port: number;
  host: string;
  /** Clients that ask one after the other, each on a connection of its own; 8 unless given. */
  clients?: number;
  method?: string;
  body?: string;
}

function note(load: Load, answer: Answer): void {
  load.total += 1;
  if (answer.status === 200) {
    const name = String(answer.headers["x-backend"]);
    load.byBackend.set(name, (load.byBackend.get(name) ?? 0) + 1);
  } else {
    noteFailure(load, `${answer.status} ${String(answer.headers["x-switchboard-error"])}`);
  }
}

/** Asks as every client does: a server may close an idle connection just as a request leaves, then it asks again. */
export async function askOnce(port: number, question: Question): Promise<Answer> {
  try {
    return await ask(port, question);
  } catch (error) {
    if ((error as RequestError).reusedConnection === true) {
      return ask(port, question);
    }
    throw error;
  }
}

/**
 * Sends requests one after the other, from several clients, while `during` runs.
 *
 * @param during gets the counts so far, which go on growing
 * @returns the counts at the end
 */
export async function underLoad(options: LoadOptions, during: (load: Load) => Promise<void>): Promise<Load> {
  const load: Load = { total: 0, byBackend: new Map(), failures: [] };
  const { host, method = "GET", body } = options;
  const question: Question = { host, method, body };
  let running = true;
  const client = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (running) {
      try {
        note(load, await askOnce(options.port, { ...question, agent }));
      } catch (error) {
        load.total += 1;
        noteFailure(load, String(error));
      }
    }
    agent.destroy();
  };
  const clients = Array.from({ length: options.clients ?? 8 }, client);
  try {
    await during(load);
  } finally {
    running = false;
    await Promise.all(clients);
  }
  return load;
}
