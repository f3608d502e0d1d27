#!/usr/bin/env node
// Starts the tool: `npx switchboard check …`. In a fresh clone it first fetches what it needs and compiles.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

function fail(message) {
  process.stderr.write(`switchboard check: ${message}\n`);
  process.exit(2);
}

if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`Node.js 20 or later is needed; this is ${process.version}`);
}

/** Runs a program of npm's, whose words go to stderr: stdout is for findings. */
function run(saying, command, words) {
  process.stderr.write(`switchboard check: ${saying}\n`);
  const { status } = spawnSync(command, words, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) {
    fail(`this failed: ${command} ${words.join(" ")} (in ${root})`);
  }
}

function isInstalled(name) {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** When a file was written; 0 when it is not there. */
function written(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What is compiled must be what the sources say: else the tool would judge by old rules. */
function isCompiled() {
  const compiled = written(`${root}lib/resty/switchboard/init.lua`);
  const sources = existsSync(`${root}lua-src`) ? readdirSync(`${root}lua-src`, { recursive: true }) : [];
  return compiled > 0 && sources.every((file) => written(`${root}lua-src/${file}`) <= compiled);
}

if (!["tsx", "wasmoon", "ioredis"].every(isInstalled)) {
  run("fetching what it needs, once", "npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"]);
}
if (!isCompiled()) {
  const compiler = `${root}node_modules/typescript-to-lua/dist/tstl.js`;
  run("compiling the router's Lua", process.execPath, [compiler, "-p", "tstl.json"]);
}

const { register } = await import("tsx/esm/api");
register();
const { main } = await import("./main.ts");
await main(process.argv.slice(2));
