/**
 * `make run`: Redis, the router and three small apps in containers, and what to type to play with them.
 *
 * Environment: SWITCHBOARD_REDIS_URL uses that Redis instead of starting one; PORT (8080), HEALTH_PORT (8082), ADMIN_PORT (8081)
 * name other ports on 127.0.0.1; SWITCHBOARD_ADMIN_TOKEN is the token of the admin server instead of a random one; RUN_ONCE=1
 * ends after the ten requests.
 */

import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const HOST = "demo.localhost";
const NAME = `switchboard-run-${process.pid}`;
const PORT = Number(process.env.PORT ?? 8080);
const HEALTH_PORT = Number(process.env.HEALTH_PORT ?? 8082);
const ADMIN_PORT = Number(process.env.ADMIN_PORT ?? 8081);
/** The admin server listens where a container's ports are published from: never without one. */
const ADMIN_TOKEN = (process.env.SWITCHBOARD_ADMIN_TOKEN ??= randomBytes(8).toString("hex"));
const APPS = ["one", "two", "three"];

const started: string[] = [];
let network = false;
/** What takes the apps out of a Redis that is not ours. */
let unregister: string[] | undefined;

const run = promisify(execFile);

async function docker(...words: string[]): Promise<string> {
  try {
    return (await run("docker", words)).stdout.trim();
  } catch (err) {
    const { stderr = "", stdout = "" } = err as { stderr?: string; stdout?: string };
    throw new Error(`docker ${words[0]} failed: ${(stderr + stdout).trim()}`, { cause: err });
  }
}

function imageOf(kind: string): string {
  return execFileSync(`${ROOT}nginx/image/base-image`, [kind], { encoding: "utf8" }).trim();
}

function say(line: string): void {
  console.log(line);
}

async function start(name: string, words: string[]): Promise<string> {
  const full = `${NAME}-${name}`;
  started.push(full);
  await docker("run", "--detach", "--name", full, "--network", NAME, ...words);
  return full;
}

async function cleanUp(): Promise<void> {
  if (!network) {
    return;
  }
  say("\ncleaning up");
  if (unregister !== undefined) {
    await docker(...unregister).catch((err: Error) => say(err.message));
  }
  if (started.length > 0) {
    await docker("rm", "--force", ...started.splice(0)).catch((err: Error) => say(err.message));
  }
  network = false;
  await docker("network", "rm", NAME).catch((err: Error) => say(err.message));
}

async function checkPort(port: number, variable: string): Promise<void> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    throw new Error(
      `port ${port} on 127.0.0.1 is taken: end what listens there, or name another, ${variable}=…`,
    );
  }
  server.close();
  await once(server, "close");
}

/** The body that the router answers with. */
function ask(port: number, path: string, host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, path, headers: { Host: host } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (body += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: body.trim() }));
    });
    call.on("error", reject);
    call.end();
  });
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await isSo().catch(() => false))) {
    if (Date.now() > deadline) {
      throw new Error(`waited 20 s in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A small app: nginx that says who it is. */
function appConf(name: string): string {
  return [
    "events {}",
    `http { server { listen 8000; default_type text/plain; return 200 "hello from ${name}\\n"; } }`,
  ].join("\n");
}

async function main(): Promise<void> {
  const own = process.env.SWITCHBOARD_REDIS_URL;
  if (own !== undefined && !/^rediss?:\/\//.test(own)) {
    throw new Error(
      "SWITCHBOARD_REDIS_URL must start with redis:// or rediss:// here: a container sees no socket file",
    );
  }
  await checkPort(PORT, "PORT");
  await checkPort(HEALTH_PORT, "HEALTH_PORT");
  await checkPort(ADMIN_PORT, "ADMIN_PORT");
  const tools = imageOf("tools");
  const openresty = imageOf("openresty");

  say(own === undefined ? "starting Redis, the router and three apps" : "starting the router and three apps");
  network = true;
  await docker("network", "create", NAME);
  // redis-cli takes redis://:password@ for a user without a name.
  process.env.REDIS_CLI_URL = own?.replace("://:", "://default:");
  // The URL may hold a password: it goes from environment to environment, not through command lines.
  let cli = ["run", "--rm", "--network", "host", "-e", "REDIS_CLI_URL", tools];
  cli.push("sh", "-c", 'exec redis-cli -e --no-auth-warning -u "$REDIS_CLI_URL" "$@"', "redis-cli");
  if (own === undefined) {
    const redis = await start("redis", [tools, "redis-server", "--protected-mode", "no", "--save", ""]);
    process.env.SWITCHBOARD_REDIS_URL = `redis://${await addressOf(redis)}:6379`;
    cli = ["exec", redis, "redis-cli"];
    await eventually("Redis", async () => (await docker(...cli, "ping")) === "PONG");
  }
  const instances: string[] = [];
  for (const app of APPS) {
    const command = `mkdir -p /tmp/app && printf '%s' "$CONF" > /tmp/app/nginx.conf && exec openresty -c /tmp/app/nginx.conf -g 'daemon off;'`;
    const container = await start(app, [
      "-e",
      `CONF=${appConf(app)}`,
      "--entrypoint",
      "sh",
      openresty,
      "-c",
      command,
    ]);
    instances.push(`${await addressOf(container)}:8000`);
  }
  // A Redis of the caller's is reached as the caller reaches it: the router shares the host's network then.
  const reach =
    own === undefined
      ? [
          ...["-p", `127.0.0.1:${PORT}:8080`, "-p", `127.0.0.1:${HEALTH_PORT}:8082`],
          ...["-p", `127.0.0.1:${ADMIN_PORT}:8081`, "-e", "SWITCHBOARD_ADMIN_LISTEN=0.0.0.0:8081"],
        ]
      : [
          "-e",
          `SWITCHBOARD_LISTEN=127.0.0.1:${PORT}`,
          "-e",
          `SWITCHBOARD_HEALTH_LISTEN=127.0.0.1:${HEALTH_PORT}`,
          "-e",
          `SWITCHBOARD_ADMIN_LISTEN=127.0.0.1:${ADMIN_PORT}`,
        ];
  const router = `${NAME}-router`;
  started.push(router);
  await docker(
    ...["run", "--detach", "--name", router, "--network", own === undefined ? NAME : "host"],
    ...["-e", "SWITCHBOARD_REDIS_URL", "-e", "SWITCHBOARD_ADMIN_TOKEN", "-e", "SWITCHBOARD_TTL=1s"],
    ...[...reach, "switchboard"],
  );
  await docker(...cli, "sadd", `backends:${HOST}`, ...instances);
  unregister = own === undefined ? undefined : [...cli, "srem", `backends:${HOST}`, ...instances];
  await eventually("the router to be ready (docker logs shows why not)", async () => {
    return (await ask(HEALTH_PORT, "/readyz", "health")).status === 200;
  });

  say(`\nredis-cli SADD backends:${HOST} ${instances.join(" ")}\n`);
  for (let i = 1; i <= 10; i++) {
    const { status, body } = await ask(PORT, "/", HOST);
    say(`  request ${String(i).padStart(2)}   ${status}   ${body}`);
  }
  const typed = own === undefined ? `docker ${cli.join(" ")}` : "redis-cli -u $SWITCHBOARD_REDIS_URL";
  const [first, second, third] = instances as [string, string, string];
  say(`
Open http://${HOST}:${PORT}/ or

  curl -H 'Host: ${HOST}' http://127.0.0.1:${PORT}/
  curl http://127.0.0.1:${HEALTH_PORT}/readyz        also /healthz and /metrics
  curl -H 'Authorization: Bearer ${ADMIN_TOKEN}' 'http://127.0.0.1:${ADMIN_PORT}/explain?host=${HOST}'

The dashboard is http://127.0.0.1:${ADMIN_PORT}/ and asks for the token ${ADMIN_TOKEN}

Change what serves it (seen within ${"`ttl`"}, 1 s here):

  remove       ${typed} SREM backends:${HOST} ${third}
  add          ${typed} SADD backends:${HOST} ${third}
  weight       ${typed} HSET instances:${HOST} ${first} weight=5
  drain        ${typed} HSET instances:${HOST} ${second} drain=1
  blue/green   ${typed} SADD backends:@green ${third}
               ${typed} HSET route:${HOST} pool @green
  and back     ${typed} DEL route:${HOST} instances:${HOST}
`);
  if (process.env.RUN_ONCE === "1") {
    return;
  }
  say("Ctrl-C ends and cleans up.");
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM"), docker("wait", router)]);
}

async function addressOf(container: string): Promise<string> {
  return docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container);
}

// A reader that ends early (`make run | head`) must not keep it from cleaning up.
process.stdout.on("error", () => undefined);

// From the first container on, an interrupt must clean up; it ends `main` wherever that waits.
const interrupted = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
try {
  await Promise.race([main(), interrupted]);
} catch (err) {
  console.error(`make run: ${(err as Error).message}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
