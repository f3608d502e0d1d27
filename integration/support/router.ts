import { strict as assert } from "node:assert";
import { GenericContainer, type StartedTestContainer } from "testcontainers";
import type { Echo } from "./backends.ts";
import { controlOf, imageOf, ROOT } from "./containers.ts";
import { eventually } from "./eventually.ts";
import { ask, sendRaw, type Answer, type Question } from "./http-client.ts";
import { freePort } from "./ports.ts";

const NGINX = "/usr/local/openresty/nginx/sbin/nginx";
const PREFIX = "/usr/local/openresty/nginx";
const SITE = "/usr/local/openresty/site/lualib";

/** How to start a router. */
export interface RouterOptions {
  /** SWITCHBOARD_* and others. */
  environment?: Record<string, string>;
  workers?: number;
  /** Directives of the server that proxies, beside `location /`. */
  server?: string;
  /** Whether the server includes errors.conf and prepared.conf, as the example does; yes unless given. */
  errors?: boolean;
  /** Whether reasons.conf is there, as in http.conf; yes unless given. The image has none. */
  reasons?: boolean;
  /** Directives of `http {}`; `{port}` stands for the router's port. */
  http?: string;
  files?: { content: string; target: string }[];
  /** Folders of this machine, by their path in the container. */
  folders?: Record<string, string>;
  /** The story kills workers with -9: that they were is no news. */
  killed?: boolean;
  extraHosts?: { host: string; ipAddress: string }[];
}

/** A real OpenResty with Switchboard in it. */
export interface Router {
  port: number;
  healthPort: number;
  /** Asks the router as a client would. */
  ask(question: Question): Promise<Answer>;
  /** Asks an echo backend through the router; throws unless it answered 200. */
  echo(question: Question): Promise<Echo>;
  sendRaw(bytes: string): Promise<string>;
  health(path: string): Promise<Answer>;
  /** Series of `/metrics` and their values. */
  metrics(): Promise<Map<string, number>>;
  /** What `/readyz` said before it was ready. */
  notReadyBecause: string[];
  /** Lines of the error log so far. */
  log(): string[];
  /** Waits for a line in the error log. */
  logged(pattern: RegExp): Promise<string>;
  /** Runs a command in the container. */
  exec(
    command: string[],
    environment?: Record<string, string>,
  ): Promise<{ output: string; exitCode: number }>;
  signal(name: string): Promise<void>;
  /** Stops it and makes sure that its error log tells of no Lua error and no crash. */
  close(): Promise<void>;
}

/** What http.conf includes. */
const PARTS = ["dicts", "init", "upstream", "log", "reasons"];

function configuration(options: RouterOptions, port: number, healthPort: number): string {
  return `
worker_processes ${options.workers ?? 2};
error_log stderr notice;
pid /tmp/nginx.pid;
events { worker_connections 8192; }
http {
  access_log off;
  client_max_body_size 0;
  ${PARTS.filter((part) => part !== "reasons" || (options.reasons ?? true))
    .map((part) => `include switchboard/${part}.conf;`)
    .join("\n  ")}
  ${(options.http ?? "").replaceAll("{port}", String(port))}
  server {
    listen 127.0.0.1:${port} default_server;
    ${(options.errors ?? true) ? "include switchboard/errors.conf; include switchboard/prepared.conf;" : ""}
    ${(options.server ?? "").replaceAll("{port}", String(port))}
    location / { include switchboard/proxy.conf; }
  }
  server {
    listen 127.0.0.1:${healthPort};
    include switchboard/health.conf;
  }
}
`;
}

const WRONG =
  /lua entry thread aborted|failed to run|attempt to (?:index|call|compare|concatenate|perform|get length|yield)|stack traceback|\[alert\]|\[emerg\]|exited on signal|lua coroutine|runtime error|uninitialized/;

/** What nginx says of a worker that was killed, and of the lock that it held. */
const OF_A_KILL = /exited on signal 9|shared memory zone "\w+" was locked by/;

/** Lines with which nginx does not start. */
const REFUSED = /\[emerg\]|init_by_lua error/;

/** Fails if an error log tells of a Lua error or a crash. */
export function assertCalm(log: string[]): void {
  const wrong = log.filter((line) => WRONG.test(line));
  assert.deepEqual(wrong, [], "the error log of the router");
}

function parseMetrics(text: string): Map<string, number> {
  const series = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line !== "" && !line.startsWith("#")) {
      const end = line.lastIndexOf(" ");
      series.set(line.slice(0, end), Number(line.slice(end + 1)));
    }
  }
  return series;
}

interface Running {
  container: StartedTestContainer;
  log: string[];
}

async function run(options: RouterOptions, port: number, healthPort: number): Promise<Running> {
  const log: string[] = [];
  let rest = "";
  const container = await new GenericContainer(imageOf("openresty"))
    .withNetworkMode("host")
    .withEnvironment(options.environment ?? {})
    .withExtraHosts(options.extraHosts ?? [])
    .withCopyDirectoriesToContainer([{ source: `${ROOT}lib`, target: SITE }])
    .withCopyDirectoriesToContainer([{ source: `${ROOT}nginx`, target: `${PREFIX}/conf/switchboard` }])
    .withCopyContentToContainer([
      { content: configuration(options, port, healthPort), target: `${PREFIX}/conf/nginx.conf` },
      ...(options.files ?? []),
    ])
    .withBindMounts(
      Object.entries(options.folders ?? {}).map(([target, source]) => ({ source, target, mode: "rw" })),
    )
    .withLogConsumer((stream) => {
      stream.on("data", (chunk: Buffer | string) => {
        const lines = (rest + chunk.toString()).split("\n");
        rest = lines.pop() ?? "";
        log.push(...lines);
      });
    })
    .withEntrypoint([NGINX])
    .withCommand(["-p", `${PREFIX}/`, "-g", "daemon off;"])
    .start();
  return { container, log };
}

/** Starts a router on a port of 127.0.0.1, and waits until it is ready. */
async function startOnce(options: RouterOptions): Promise<Router> {
  const port = await freePort();
  const healthPort = await freePort();
  const { container, log } = await run(options, port, healthPort);
  const control = await controlOf(container);
  const notReadyBecause: string[] = [];
  const router: Router = {
    port,
    healthPort,
    notReadyBecause,
    ask: async (question) => ask(port, question),
    echo: async (question) => {
      const answer = await ask(port, question);
      assert.equal(answer.status, 200, `${question.host}: ${answer.body}`);
      return JSON.parse(answer.body) as Echo;
    },
    sendRaw: async (bytes) => sendRaw(port, bytes),
    health: async (path) => ask(healthPort, { host: "health", path }),
    metrics: async () => parseMetrics((await ask(healthPort, { host: "health", path: "/metrics" })).body),
    log: () => log,
    logged: async (pattern) =>
      eventually(`the error log says ${String(pattern)}`, () => {
        const line = log.find((each) => pattern.test(each));
        assert.ok(line !== undefined, log.slice(-20).join("\n"));
        return line;
      }),
    exec: async (command, environment = {}) => container.exec(command, { env: environment }),
    signal: control.signal,
    close: async () => {
      await container.stop({ timeout: 2000 });
      assertCalm(options.killed === true ? log.filter((line) => !OF_A_KILL.test(line)) : log);
    },
  };
  try {
    await eventually("the router is ready", async () => {
      if (log.some((line) => REFUSED.test(line))) {
        return;
      }
      const answer = await router.health("/readyz");
      if (answer.status !== 200) {
        notReadyBecause.push(answer.body);
      }
      assert.equal(answer.status, 200, answer.body);
    });
    assert.ok(!log.some((line) => REFUSED.test(line)), "nginx refused its configuration");
  } catch (failure) {
    await container.stop({ timeout: 0 });
    throw new Error(`the router did not start:\n${log.slice(-30).join("\n")}`, { cause: failure });
  }
  return router;
}

/** The command that starts nginx in the container, to see it refuse a configuration. */
export const START_NGINX = [NGINX, "-p", `${PREFIX}/`, "-g", "daemon off;"];

/** Somebody else took a port between our look at it and nginx's. */
const PORT_TAKEN = "Address already in use";

/** Starts a router and waits until it is ready. */
export async function startRouter(options: RouterOptions = {}): Promise<Router> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (failure) {
      if (attempt === 3 || !String(failure).includes(PORT_TAKEN)) {
        throw failure;
      }
    }
  }
}
