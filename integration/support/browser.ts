/** A real Chromium, and pages in it. */

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium, type BrowserContext, type BrowserContextOptions } from "playwright-core";
import { ROOT } from "./containers.ts";

/** What keeps it from asking anybody on the network; root has no sandbox. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export type { Page } from "playwright-core";

/** A browser with a folder of its own, which `close` removes. */
export interface Browser {
  context: BrowserContext;
  close(): Promise<void>;
}

/** Starts a browser; the script installs what is missing. */
export async function startBrowser(options: BrowserContextOptions = {}): Promise<Browser> {
  const { stdout } = await promisify(execFile)(`${ROOT}.ci/chromium`);
  const folder = await mkdtemp(join(tmpdir(), "switchboard-chromium-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: stdout.trim(),
    headless: true,
    args: FLAGS,
    ...options,
  });
  return {
    context,
    close: async () => {
      await context.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
