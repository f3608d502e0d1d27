/** An OpenResty with a configuration of its own, into which `make install` has put Switchboard. */

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, docker, type Outcome } from "./command.ts";
import { imageOf, ROOT } from "./containers.ts";
import { eventually } from "./eventually.ts";
import { ask, type Answer, type Question } from "./http-client.ts";
import { freePort } from "./ports.ts";
import { assertCalm } from "./router.ts";

const OPENRESTY = "/usr/local/openresty";
const NGINX = [`${OPENRESTY}/nginx/sbin/nginx`, "-p", `${OPENRESTY}/nginx/`, "-g", "daemon off;"];

/** A folder of this machine that the containers can read, and how to remove it. */
export async function makeFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "switchboard-"));
  await chmod(path, 0o755);
  return { path, remove: async () => rm(path, { recursive: true }) };
}

/** A site that runs. */
export interface Site {
  ask(question: Question): Promise<Answer>;
  /** Asks the listener of `{health}`. */
  health(path: string): Promise<string>;
  log(): Promise<string[]>;
  close(): Promise<void>;
}

/** Where Switchboard is installed, to start sites with it. */
export interface Installation {
  /**
   * @param conf the whole nginx.conf; `{port}` and `{health}` stand for ports of 127.0.0.1
   */
  start(conf: string, environment?: Record<string, string>): Promise<Site>;
  /** What nginx says to a configuration with which it must not start; stopped after 10 s (or so many), with status 124. */
  refusal(conf: string, environment?: Record<string, string>, seconds?: number): Promise<Outcome>;
  remove(): Promise<void>;
}

/** `make install` under a folder of its own. */
export async function install(): Promise<Installation> {
  const folder = await makeFolder();
  const { exitCode, stderr } = await command("make", ["install", `DESTDIR=${folder.path}`], { cwd: ROOT });
  if (exitCode !== 0) {
    throw new Error(`make install: ${stderr}`);
  }
  const root = join(folder.path, OPENRESTY);
  let count = 0;

  const words = async (conf: string, environment: Record<string, string>): Promise<string[]> => {
    count += 1;
    const file = join(folder.path, `nginx-${count}.conf`);
    await writeFile(file, conf);
    return [
      ...["--network", "host", "--entrypoint", "timeout"],
      ...["-v", `${root}/site/lualib/resty/switchboard:${OPENRESTY}/site/lualib/resty/switchboard:ro`],
      ...["-v", `${root}/nginx/conf/switchboard:${OPENRESTY}/nginx/conf/switchboard:ro`],
      ...["-v", `${file}:${OPENRESTY}/nginx/conf/nginx.conf:ro`],
      ...Object.entries(environment).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
      imageOf("openresty"),
    ];
  };

  return {
    start: async (conf, environment = {}) => {
      const port = await freePort();
      const health = await freePort();
      const filled = conf.replaceAll("{port}", String(port)).replaceAll("{health}", String(health));
      const created = await docker(
        ...["run", "--detach", ...(await words(filled, environment))],
        ...["--signal=QUIT", "600", ...NGINX],
      );
      const id = created.stdout.trim();
      if (created.exitCode !== 0) {
        throw new Error(created.stderr);
      }
      const log = async (): Promise<string[]> => (await docker("logs", id)).stderr.split("\n");
      const site: Site = {
        ask: async (question) => ask(port, question),
        health: async (path) => (await ask(health, { host: "health", path })).body,
        log,
        close: async () => {
          const said = await log();
          await docker("rm", "--force", id);
          assertCalm(said);
        },
      };
      try {
        await eventually("the site is ready", async () => {
          const page = await site.health("/readyz");
          if (page !== "ready\n") {
            throw new Error(page);
          }
        });
      } catch (failure) {
        const said = await log();
        await docker("rm", "--force", id);
        throw new Error(said.slice(-20).join("\n"), { cause: failure });
      }
      return site;
    },
    refusal: async (conf, environment = {}, seconds = 10) =>
      docker("run", "--rm", ...(await words(conf, environment)), String(seconds), ...NGINX),
    remove: folder.remove,
  };
}
