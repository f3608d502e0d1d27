import { strict as assert } from "node:assert";
import { access, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { command, type Outcome } from "./support/command.ts";
import { ROOT } from "./support/containers.ts";
import { makeFolder } from "./support/site.ts";

/** All that an installation from the tarball may need: no Node, no npm, no Docker. */
const PROGRAMS = ["make", "sh", "bash", "cat", "cp", "find", "grep", "awk", "mkdir", "rm"];

let folder: { path: string; remove(): Promise<void> };
let unpacked: string;
let openresty: string;
let version: string;

before(async () => {
  folder = await makeFolder();
  openresty = join(folder.path, "open resty");
  await mkdir(join(openresty, "nginx/conf"), { recursive: true });
  const made = await command("make", ["dist"], { cwd: ROOT });
  assert.equal(made.exitCode, 0, made.stderr);
  ({ version } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8")) as { version: string });
  const tarball = `${ROOT}dist/switchboard-${version}.tar.gz`;
  assert.equal((await command("tar", ["-C", folder.path, "-xzf", tarball])).exitCode, 0);
  unpacked = join(folder.path, `switchboard-${version}`);
  await mkdir(join(folder.path, "bin"));
  for (const program of PROGRAMS) {
    const found = (await command("sh", ["-c", `command -v ${program}`])).stdout.trim();
    await symlink(found, join(folder.path, "bin", program));
  }
});

after(async () => folder.remove());

async function install(...words: string[]): Promise<Outcome> {
  return command("make", ["install", ...words], {
    cwd: unpacked,
    env: { PATH: join(folder.path, "bin"), LC_ALL: "C" },
  });
}

async function files(path: string): Promise<string[]> {
  const found = await readdir(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();
}

describe("the tarball of make dist", () => {
  it("has the compiled Lua, the conf parts, README, changelog and license, and nothing else", async () => {
    const held = await files(unpacked);
    const lua = (await files(`${ROOT}lib`))
      .filter((file) => file.endsWith(".lua"))
      .map((file) => `lib/${file}`);
    const conf = (await readdir(`${ROOT}nginx`))
      .filter((file) => file.endsWith(".conf"))
      .map((file) => `conf/${file}`);
    conf.push(...(await files(`${ROOT}nginx/admin`)).map((file) => `conf/admin/${file}`));
    const others = ["CHANGELOG.md", "LICENSE", "Makefile", "README.md"];
    assert.deepEqual(held, [...lua, ...conf, ...others].sort());
    assert.ok(lua.includes("lib/resty/switchboard/init.lua"));
  });

  it("lets an ngx_lua that is too old fail in a file whose name says which is needed", async () => {
    // nginx reads all of its conf before any Lua runs, and of a directive that it does not know it says only this.
    const holding: string[] = [];
    for (const file of await files(join(unpacked, "conf"))) {
      const text = await readFile(join(unpacked, "conf", file), "utf8");
      holding.push(...(/^\s*balancer_keepalive /m.test(text) ? [file] : []));
    }
    assert.deepEqual(holding, ["needs_ngx_lua_0.10.28_openresty_1.27.1.2.conf"]);
  });

  it("installs with nothing but make, again and again, and leaves no module of an older version", async () => {
    const lua = join(openresty, "site/lualib/resty/switchboard");
    assert.equal((await install(`PREFIX=${openresty}`)).exitCode, 0);
    await writeFile(join(lua, "older.lua"), "");
    const { exitCode, stdout, stderr } = await install(`PREFIX=${openresty}`);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /include switchboard\/http\.conf;/);
    assert.deepEqual(await files(lua), await files(join(unpacked, "lib/resty/switchboard")));
    assert.deepEqual(
      await files(join(openresty, "nginx/conf/switchboard")),
      await files(join(unpacked, "conf")),
    );
  });

  it("installs below DESTDIR, where packagers collect", async () => {
    const stage = join(folder.path, "stage");
    const { exitCode, stderr } = await install(`DESTDIR=${stage}`, "PREFIX=/opt/openresty");
    assert.equal(exitCode, 0, stderr);
    await access(join(stage, "opt/openresty/site/lualib/resty/switchboard/init.lua"));
    await access(join(stage, "opt/openresty/nginx/conf/switchboard/http.conf"));
  });

  it("refuses a PREFIX that is no OpenResty in one line, and writes nothing there", async () => {
    const wrong = join(folder.path, "elsewhere");
    await mkdir(wrong);
    const { exitCode, stderr } = await install(`PREFIX=${wrong}`);
    assert.notEqual(exitCode, 0);
    const [first = "", ...rest] = stderr.trimEnd().split("\n");
    assert.equal(
      first,
      `${wrong} is no OpenResty (it has no nginx/conf): make install PREFIX=<where yours is>`,
    );
    assert.ok(
      rest.every((line) => line.startsWith("make: *** ")),
      stderr,
    );
    assert.deepEqual(await readdir(wrong), []);
  });
});

describe("the check of the versions", () => {
  it("finds the place that names another one", async () => {
    const copy = join(folder.path, "copy");
    await mkdir(copy);
    const names = ["CHANGELOG.md", "dist.ini", "lua-src", "package.json"];
    names.push(...(await readdir(ROOT)).filter((name) => name.endsWith(".rockspec")));
    assert.equal((await command("cp", ["-r", ...names, copy], { cwd: ROOT })).exitCode, 0);
    const check = async (): Promise<Outcome> =>
      command(
        process.execPath,
        ["--import", `${ROOT}node_modules/tsx/dist/loader.mjs`, `${ROOT}tools/version.ts`],
        {
          cwd: copy,
        },
      );
    assert.equal((await check()).exitCode, 0);
    await writeFile(join(copy, "dist.ini"), "version = 9.9.9\n");
    const { exitCode, stderr } = await check();
    assert.equal(exitCode, 1);
    assert.match(stderr, new RegExp(`^dist\\.ini names version 9\\.9\\.9; package\\.json has ${version}\n$`));
  });
});
