/**
 * What the compiled Lua must be: free of TypeScriptToLua's library, free of stray globals and of loops that are
 * compiled for ever, in modules of one idea that import one way.
 *
 *   tsx tools/gates.ts <bytecode listing>
 *
 * The listing is `luajit -bl` of every file, each after a line `FILE <path>`.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** What LuaJIT and ngx_lua define, and we use. */
const GLOBALS = new Set(
  "ngx require type assert pairs ipairs tonumber tostring string table math bit pcall error setmetatable next select unpack io os collectgarbage".split(
    " ",
  ),
);

/** Rooms from the top down: a room imports its own and those below. */
const ROOMS = [
  ["init"],
  ["admin"],
  ["request"],
  ["observe", "health", "balance", "route"],
  ["schema", "store"],
  ["config"],
  ["net"],
  ["absent", "captured"],
];

const LONGEST_MODULE = 330;

const SOURCES = "lua-src/resty/switchboard";
const COMPILED = "lib/resty/switchboard";

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function strayGlobals(listing: string): string[] {
  const found = new Set<string>();
  let file = "";
  for (const line of listing.split("\n")) {
    if (line.startsWith("FILE ")) {
      file = line.slice(5);
    }
    const [, opcode, name] = /\b(GGET|GSET)\s.*?; "([^"]+)"/.exec(line) ?? [];
    if (name !== undefined && (opcode === "GSET" || !GLOBALS.has(name))) {
      found.add(`${file}: ${opcode === "GSET" ? "sets" : "reads"} the global ${name}`);
    }
  }
  return [...found];
}

function lualib(): string[] {
  return filesBelow("lib")
    .filter((file) => file.endsWith(".lua") && readFileSync(file, "utf8").includes("__TS__"))
    .map((file) => `${file}: needs TypeScriptToLua's library (__TS__…)`);
}

/** The room of a Lua module, 0 for the topmost; -1: no room that is known here. */
function roomOf(module: string): number {
  return ROOMS.findIndex((rooms) => rooms.includes(module.split(".")[0]!));
}

/** By the compiled Lua, where an import of types alone has left no trace. */
function wrongImports(): string[] {
  const found: string[] = [];
  for (const file of filesBelow(COMPILED).filter((name) => name.endsWith(".lua"))) {
    const module = relative(COMPILED, file)
      .replace(/\.lua$/, "")
      .replaceAll("/", ".");
    const from = roomOf(module);
    if (from < 0) {
      found.push(`${module}: is in no room that tools/gates.ts knows`);
    }
    for (const [, target] of readFileSync(file, "utf8").matchAll(
      /require\("resty\.switchboard\.([^"]+)"\)/g,
    )) {
      if (roomOf(target!) < from) {
        found.push(`${module}: imports ${target}, which is in a room above its own`);
      }
    }
  }
  return found;
}

/** Where it runs seldom: with the start, a connection, an operator's question. */
const MAY_GMATCH = /^(admin|config|net\.system|store\.listener)\b/;

/** See captured.ts. */
function endlessTraces(): string[] {
  return filesBelow(COMPILED)
    .filter((file) => file.endsWith(".lua") && readFileSync(file, "utf8").includes("string.gmatch"))
    .map((file) =>
      relative(COMPILED, file)
        .replace(/\.lua$/, "")
        .replaceAll("/", "."),
    )
    .filter((module) => !MAY_GMATCH.test(module))
    .map(
      (module) => `${module}: string.gmatch is compiled anew for each call: use find_captured of captured.ts`,
    );
}

function longModules(): string[] {
  return filesBelow(SOURCES)
    .map((file) => ({ file, lines: readFileSync(file, "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > LONGEST_MODULE)
    .map(({ file, lines }) => `${file}: has ${lines} lines; a module is one idea, split it`);
}

const [listingFile] = process.argv.slice(2);
if (listingFile === undefined) {
  console.error("usage: tsx tools/gates.ts <bytecode listing>");
  process.exit(2);
}
const listing = readFileSync(listingFile, "utf8");
if (!/\bGGET\b/.test(listing)) {
  console.error(`${listingFile} is no bytecode listing: it reads not one global`);
  process.exit(2);
}
const complaints = [
  ...lualib(),
  ...strayGlobals(listing),
  ...wrongImports(),
  ...endlessTraces(),
  ...longModules(),
];
for (const complaint of complaints) {
  console.error(complaint);
}
if (complaints.length === 0) {
  console.log(
    "no lualib, no stray global, imports one way, no gmatch where it is compiled, modules of one idea",
  );
}
process.exit(complaints.length === 0 ? 0 : 1);
