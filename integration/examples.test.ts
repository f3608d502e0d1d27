import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { command } from "./support/command.ts";
import { imageOf, ROOT } from "./support/containers.ts";
import { eventually } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";

describe("examples/compose.yaml", () => {
  let port: number;
  let compose: (...words: string[]) => Promise<string>;

  before(async () => {
    port = await freePort();
    const words = execFileSync(`${ROOT}.ci/docker-compose`, { encoding: "utf8" }).trim().split(" ");
    words.push("--project-name", `switchboard-${process.pid}`, "--file", `${ROOT}examples/compose.yaml`);
    const images = { REDIS_IMAGE: imageOf("tools"), APP_IMAGE: imageOf("openresty") };
    compose = async (...more) => {
      const { exitCode, stdout, stderr } = await command(words[0]!, [...words.slice(1), ...more], {
        env: { ...process.env, ...images, PORT: String(port) },
      });
      assert.equal(exitCode, 0, `${more.join(" ")}: ${stderr}`);
      return stdout.trim();
    };
    await compose("up", "--detach", "--scale", "app=2");
  });

  after(async () => compose("down", "--volumes", "--timeout", "1"));

  it("routes to all containers of the app", async () => {
    const names = new Set<string>();
    await eventually("both answer", async () => {
      const { status, body } = await ask(port, { host: "demo.localhost" });
      assert.equal(status, 200, body);
      names.add(/^hello from (\S+)\n$/.exec(body)?.[1] ?? body);
      assert.equal(names.size, 2, [...names].join(", "));
    });
  });

  it("lets the router drain before it ends", async () => {
    const router = await compose("ps", "--quiet", "router");
    const began = Date.now();
    await compose("stop", "router");
    assert.ok(Date.now() - began >= 5000, "it waited for load balancers");
    const state = ["inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", router];
    assert.equal((await command("docker", state)).stdout.trim(), "0 false");
  });
});
