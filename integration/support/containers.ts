import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { getContainerRuntimeClient, type StartedTestContainer } from "testcontainers";

/** The folder of the repository. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

type Image = "openresty" | "tools" | "redis-7";

const images = new Map<Image, string>();

/** The tag of one of the images that containers are started from; its script makes what is missing. */
export function imageOf(kind: Image): string {
  const known = images.get(kind);
  if (known !== undefined) {
    return known;
  }
  const [script, words] =
    kind === "redis-7" ? ["integration/support/redis-7-image", []] : ["nginx/image/base-image", [kind]];
  const tag = execFileSync(`${ROOT}${script}`, words, { encoding: "utf8" }).trim();
  images.set(kind, tag);
  return tag;
}

/** What the engine can do to a container beyond what testcontainers offers: it stays the same container. */
export interface Control {
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<void>;
  /** Sends SIGKILL and waits for the end. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Freezes its processes: connections stay open and nobody answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Sends a signal to its first process. */
  signal(name: string): Promise<void>;
}

/** Control over a started container. */
export async function controlOf(container: StartedTestContainer): Promise<Control> {
  const client = await getContainerRuntimeClient();
  const handle = client.container.getById(container.getId());
  return {
    stop: async () => {
      await handle.stop({ t: 10 });
    },
    kill: async () => {
      const ended = handle.wait();
      await handle.kill({ signal: "SIGKILL" });
      await ended;
    },
    start: async () => {
      await handle.start();
    },
    pause: async () => {
      await handle.pause();
    },
    resume: async () => {
      await handle.unpause();
    },
    signal: async (name) => {
      await handle.kill({ signal: name });
    },
  };
}
