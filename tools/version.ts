/** Fails unless every place that names the version names the same, and the rockspec lists the modules that there are. */

import { readdirSync, readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

function found(file: string, pattern: RegExp): string {
  return pattern.exec(readFileSync(file, "utf8"))?.[1] ?? "none";
}

const rockspec = readdirSync(".").find((name) => name.endsWith(".rockspec")) ?? "no rockspec";
const places: [string, string][] = [
  [
    "lua-src/resty/switchboard/init.ts",
    found("lua-src/resty/switchboard/init.ts", /const VERSION = "([^"]+)"/),
  ],
  ["dist.ini", found("dist.ini", /^version = (.+)$/m)],
  ["CHANGELOG.md", found("CHANGELOG.md", /^## (\S+)/m)],
  [`the name of ${rockspec}`, /-(\d[\d.]*)-\d+\.rockspec$/.exec(rockspec)?.[1] ?? "none"],
  [rockspec, found(rockspec, /^version = "([\d.]+)-\d+"/m)],
  [`${rockspec}, source`, found(rockspec, /url = "switchboard-([\d.]+)\.tar\.gz"/)],
];
const wrong = places.filter(([, named]) => named !== version);
for (const [place, named] of wrong) {
  console.error(`${place} names version ${named}; package.json has ${version}`);
}
const listed = new Set(
  [...readFileSync(rockspec, "utf8").matchAll(/= "lib\/(\S+)\.lua"/g)].map(([, path]) => path!),
);
const modules = readdirSync("lua-src", { recursive: true, encoding: "utf8" })
  .filter((file) => file.startsWith("resty/") && file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));
const missing = modules.filter((module) => !listed.has(module));
for (const module of missing) {
  console.error(`${rockspec} does not list lib/${module}.lua`);
}
const gone = [...listed].filter((path) => !modules.includes(path));
for (const path of gone) {
  console.error(`${rockspec} lists lib/${path}.lua, which has no source`);
}
process.exit(wrong.length + missing.length + gone.length === 0 ? 0 : 1);
