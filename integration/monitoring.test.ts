import { strict as assert } from "node:assert";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { docker } from "./support/command.ts";
import { imageOf, ROOT } from "./support/containers.ts";
import { useStage } from "./support/stage.ts";

const FOLDER = `${ROOT}monitoring`;

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { h: number; w: number; x: number; y: number };
  targets?: { expr: string }[];
}

async function promtool(...words: string[]): Promise<string> {
  const outcome = await docker(
    "run",
    "--rm",
    "-v",
    `${FOLDER}:/m:ro`,
    "-w",
    "/m",
    imageOf("tools"),
    "promtool",
    ...words,
  );
  assert.equal(outcome.exitCode, 0, outcome.stdout + outcome.stderr);
  return outcome.stdout;
}

async function panels(): Promise<Panel[]> {
  const text = await readFile(`${FOLDER}/grafana-dashboard.json`, "utf8");
  return (JSON.parse(text) as { panels: Panel[] }).panels;
}

/** Names of series in an expression of PromQL. */
function named(text: string): string[] {
  return text.match(/\bswitchboard_\w+(?=[^\w"])/g) ?? [];
}

describe("what monitors the router", () => {
  const stage = useStage({
    workers: 1,
    environment: { SWITCHBOARD_OBSERVE: "instances" },
    server: "include switchboard/observe.conf;",
  });

  it("are rules that promtool takes, and that fire when they should", async () => {
    assert.match(await promtool("check", "rules", "alerts.yml"), /SUCCESS: 1\d rules found/);
    assert.match(await promtool("test", "rules", "alerts.test.yml"), /SUCCESS/);
  });

  it("asks for no series that the router does not have", async () => {
    const host = await stage.serve("monitored.test", await stage.backend("a"));
    await stage.router.echo({ host });
    const page = (await stage.router.ask({ host: "insider", path: "/metrics" })).body;
    const known = new Set(page.split("\n").map((line) => line.split(/[ {]/)[0]));
    const rules = (await readFile(`${FOLDER}/alerts.yml`, "utf8")).match(/expr: .*(\n {10}.*)*/g) ?? [];
    const asked = [
      ...rules,
      ...(await panels()).flatMap((panel) => panel.targets ?? []).map(({ expr }) => expr),
    ].map((expr) => `${expr} `);
    const names = new Set(asked.flatMap(named));
    assert.ok(names.size >= 20, [...names].join(" "));
    assert.deepEqual(
      [...names].filter(
        (name) => !known.has(name) && !/^switchboard_(routes|matches|state|names|metrics)$/.test(name),
      ),
      [],
    );
  });

  it("shows panels with expressions of their own places", async () => {
    const all = await panels();
    assert.equal(new Set(all.map((panel) => panel.id)).size, all.length);
    const taken = new Set<string>();
    for (const { title, type, gridPos, targets } of all) {
      assert.ok(type === "row" || (targets ?? []).length > 0, title);
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        assert.ok(!taken.has(`${x} ${gridPos.y}`), title);
        taken.add(`${x} ${gridPos.y}`);
      }
    }
  });
});
