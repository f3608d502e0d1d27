/**
 * The router's own Lua, run inside Node: the same compiled modules that nginx loads, so that the tool and the
 * router cannot judge differently.
 *
 * The machine is PUC Lua 5.4 in WebAssembly; bridge.lua makes up for what LuaJIT has beyond it.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LuaFactory } from "wasmoon";
import { decode, encode, type Value } from "./wire.ts";

const LIB = fileURLToPath(new URL("../../lib/", import.meta.url));
const BRIDGE = fileURLToPath(new URL("bridge.lua", import.meta.url));
/** Of the buffer that texts are handed over in, in bytes. */
const FIRST_SIZE = 1 << 16;

/** What wasmoon exports of Lua's C interface beside its typed one, which takes texts for UTF-8. */
interface Machine {
  HEAPU8: Uint8Array;
  _malloc(size: number): number;
  _free(pointer: number): void;
  _lua_pushlstring(state: number, text: number, length: number): number;
  _lua_tolstring(state: number, index: number, length: number): number;
  _lua_pcallk(
    state: number,
    given: number,
    wanted: number,
    handler: number,
    context: number,
    k: number,
  ): number;
}

/** The functions of bridge.lua, by name. */
export interface Lua {
  /** @throws Error with Lua's message */
  call(name: string, ...given: Value[]): Value;
}

/** Module name to source, of everything that was compiled. */
function modules(): [string, string][] {
  let files: string[];
  try {
    files = readdirSync(LIB, { recursive: true, encoding: "utf8" });
  } catch {
    files = [];
  }
  const found = files.filter((file) => file.endsWith(".lua"));
  if (found.length === 0) {
    throw new Error("the compiled Lua is not there; run make build, or npx tstl -p tstl.json");
  }
  return found.map((file) => [
    file.replace(/(\/init)?\.lua$/, "").replaceAll("/", "."),
    readFileSync(join(LIB, file), "utf8"),
  ]);
}

/** Starts the machine. */
export async function startLua(): Promise<Lua> {
  const engine = await new LuaFactory().createEngine({ openStandardLibs: true, injectObjects: false });
  const { global } = engine;
  const machine = global.lua.module as unknown as Machine;
  const state = global.address;
  let size = FIRST_SIZE;
  let buffer = machine._malloc(size);
  const lengthAt = machine._malloc(8);

  const push = (text: string): void => {
    if (text.length > size) {
      machine._free(buffer);
      size = text.length * 2;
      buffer = machine._malloc(size);
    }
    Buffer.from(machine.HEAPU8.buffer, buffer, size).write(text, "latin1");
    machine._lua_pushlstring(state, buffer, text.length);
  };
  const pop = (): string => {
    const pointer = machine._lua_tolstring(state, -1, lengthAt);
    const heap = Buffer.from(machine.HEAPU8.buffer);
    const text = heap.toString("latin1", pointer, pointer + heap.readUInt32LE(lengthAt));
    global.pop(1);
    return text;
  };

  for (const [name, source] of modules()) {
    global.lua.lua_getglobal(state, "package");
    global.lua.lua_getfield(state, -1, "preload");
    // Compiled when it is first needed: most are never.
    engine.doStringSync(
      "function preload(source, name) return function(...) return load(source, name)(...) end end",
    );
    global.lua.lua_getglobal(state, "preload");
    push(source);
    push(`=${name}`);
    machine._lua_pcallk(state, 2, 1, 0, 0, 0);
    global.lua.lua_setfield(state, -2, name);
    global.pop(2);
  }
  engine.doStringSync(readFileSync(BRIDGE, "utf8"));

  return {
    call: (name, ...given) => {
      const out: string[] = [];
      encode([name, ...given], out);
      global.lua.lua_getglobal(state, "bridge");
      push(out.join(""));
      const status = machine._lua_pcallk(state, 1, 1, 0, 0, 0);
      const answer = pop();
      if (status !== 0) {
        throw new Error(answer);
      }
      return decode(answer);
    },
  };
}
