/** The dashboard in a real Chromium: what it shows, how it is used, and what it keeps away from. */

import { strict as assert } from "node:assert";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, it } from "node:test";
import { startBrowser, type Browser, type Page } from "./support/browser.ts";
import { eventually, pass } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TOKEN = "t0ken";
const BEARER = { authorization: `Bearer ${TOKEN}` };

const admin = {
  port: await freePort(),
  get http() {
    return `server { listen 127.0.0.1:${this.port}; include switchboard/admin.conf; }`;
  },
};

let browser: Browser;
before(async () => {
  browser = await startBrowser({ viewport: { width: 1440, height: 900 } });
});
after(async () => browser.close());

/** Opens the dashboard; `problems` are what the browser complains of. */
async function open(address = "", problems: string[] = []): Promise<Page> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") {
      problems.push(message.text());
    }
  });
  await page.goto(`http://127.0.0.1:${admin.port}/ui/${address}`);
  return page;
}

/** The row of a route. */
function row(page: Page, name: string): ReturnType<Page["locator"]> {
  return page.locator("#canvas .row", { has: page.locator(`.name[title="${name}"]`) });
}

/** What axe finds wrong with the page as it is. */
async function complaints(page: Page): Promise<string[]> {
  // The page's own policy lets no other script in: this one comes as a debugger's does.
  const script = await readFile(AXE, "utf8");
  const run = 'axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations)';
  const found = await page.evaluate<{ id: string; nodes: { html: string }[] }[]>(`${script}; ${run}`);
  return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}

describe("the dashboard", () => {
  const stage = useStage({
    workers: 2,
    http: admin.http,
    environment: { SWITCHBOARD_CONNECT_TIMEOUT: "200ms" },
  });

  it("is served with its types, asked for again each time, and lets nothing else run", async () => {
    const root = await ask(admin.port, { host: "localhost", path: "/" });
    assert.deepEqual([root.status, root.headers.location], [302, "/ui/"]);
    const types: Record<string, RegExp> = {
      "": /^text\/html; charset=utf-8$/,
      "main.js": /^text\/javascript; charset=utf-8$/,
      "style.css": /^text\/css; charset=utf-8$/,
      "icon.svg": /^image\/svg\+xml/,
    };
    for (const [file, type] of Object.entries(types)) {
      const answer = await ask(admin.port, { host: "localhost", path: `/ui/${file}` });
      assert.equal(answer.status, 200, file);
      assert.match(String(answer.headers["content-type"]), type);
      assert.equal(answer.headers["cache-control"], "no-cache");
      assert.equal(answer.headers["x-content-type-options"], "nosniff");
      const policy = String(answer.headers["content-security-policy"]);
      assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
      assert.doesNotMatch(policy, /unsafe|http|\*/);
      const headers = { "if-none-match": String(answer.headers.etag) };
      assert.equal((await ask(admin.port, { host: "localhost", path: `/ui/${file}`, headers })).status, 304);
      assert.doesNotMatch(answer.body, /https?:\/\/(?!www\.w3\.org)/, `${file} names another server`);
    }
  });

  it("shows routes with their instances as cells, which change when one is ejected", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const dead = await deadPort();
    const host = await stage.serve("cells.test", a, b);
    await stage.redis.client.sadd(`backends:${host}`, `${dead}?zone=north`);
    await stage.redis.client.sadd("backends:calm.test", a.at);
    await stage.router.echo({ host: "calm.test" });
    const problems: string[] = [];
    const page = await open("", problems);
    await stage.router.echo({ host });
    const cells = row(page, host).locator(".cell");
    await cells.nth(2).waitFor();
    assert.equal(await row(page, "calm.test").locator(".cell.up").count(), 1);

    await eventually("one is ejected, in its cell and in the list", async () => {
      await stage.router.echo({ host });
      assert.equal(await row(page, host).locator(".cell.ejected").count(), 1);
      assert.match(await row(page, host).innerText(), /degraded/);
      assert.match(await page.locator("#out").innerText(), new RegExp(`${dead}\\s*connect failed`));
      assert.match(await page.locator("#events").innerText(), new RegExp(`ejected\\s*${dead}`));
    });
    assert.match(
      String(await row(page, host).locator(".cell.ejected").getAttribute("title")),
      /connect failed.* · zone north/,
    );
    assert.equal(await page.locator("#figure-out").innerText(), "1");

    // Requests that run, and how many end a second, over both workers.
    await eventually("rates are shown", async () => {
      await Promise.all(Array.from({ length: 10 }, async () => stage.router.echo({ host })));
      const rates = await row(page, host).locator(".cell.up i").allInnerTexts();
      assert.ok(rates.length === 2 && rates.every((each) => Number(each) > 0), rates.join());
      assert.ok(Number(await row(page, host).locator(".number").first().innerText()) > 0);
    });

    // A new instance comes at once, a route that is gone goes.
    await stage.redis.client.sadd("backends:calm.test", b.at);
    await eventually("two cells", async () =>
      assert.equal(await row(page, "calm.test").locator(".cell").count(), 2),
    );
    await stage.redis.client.del("backends:calm.test");
    await eventually("no row", async () => assert.equal(await row(page, "calm.test").count(), 0));
    assert.deepEqual(problems, []);
    await page.close();
  });

  it("finds routes by part of the name and by state, and says so in its address", async () => {
    const a = await stage.backend("a");
    for (const host of ["one-found.test", "two-found.test", "three.test"]) {
      await stage.router.echo({ host: await stage.serve(host, a) });
    }
    await stage.redis.client.sadd("backends:void-found.test", "-");
    await stage.router.ask({ host: "void-found.test" });
    const page = await open();
    const shown = async (): Promise<string[]> => page.locator("#canvas .name").allInnerTexts();
    await page.getByRole("searchbox").fill("-FOUND");
    await eventually("three rows", async () =>
      assert.deepEqual(await shown(), ["one-found.test", "two-found.test", "void-found.test"]),
    );
    assert.match(await page.locator("#count").innerText(), /^3 of \d+$/);
    await page.getByText("Empty", { exact: true }).click();
    await eventually("one row", async () => assert.deepEqual(await shown(), ["void-found.test"]));
    assert.match(page.url(), /#q=-FOUND&view=empty$/);

    const again = await open(new URL(page.url()).hash);
    await eventually("the same row", async () =>
      assert.deepEqual(await again.locator("#canvas .name").allInnerTexts(), ["void-found.test"]),
    );
    await page.getByText("Busiest", { exact: true }).click();
    await page.getByRole("searchbox").fill("found.test");
    await eventually("those with requests", async () => assert.equal((await shown()).length, 3));
    await page.getByRole("searchbox").fill("nobody has this");
    await page.getByText("No route is like that.").waitFor();
    await page.close();
    await again.close();
  });

  it("opens a route with all that is known of it, and the instances and pools from there", async () => {
    const a = await stage.backend("a");
    const { client } = stage.redis;
    await client.sadd("backends:open.test", `${a.at}?weight=3&id=web.1`, "wrong one");
    await client.hset("route:open.test", { "meta.owner": "web", hsts: "on", tries: "2" });
    await stage.router.echo({ host: "open.test" });
    const page = await open();
    await row(page, "open.test").click();
    const detail = page.locator("#detail");
    await detail.getByText("meta.owner").waitFor();
    const text = await detail.innerText();
    for (const part of [a.at, "web.1", "weight 3", "hsts", "tries", "wrong one", "backends:open.test"]) {
      assert.ok(text.includes(part), `${part} is not in: ${text}`);
    }
    await detail.getByRole("button", { name: a.at }).click();
    await detail.getByRole("button", { name: "open.test" }).click();
    await detail.getByText("meta.owner").waitFor();
    await detail.getByRole("button", { name: "Explain a request to it" }).click();
    await page.locator(".verdict", { hasText: a.at }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await detail.isVisible(), false);
    await page.close();
  });

  it("explains where a request would go, and why not elsewhere", async () => {
    const a = await stage.backend("a");
    await stage.redis.client.sadd("backends:why.test", a.at, "10.0.0.9:80?drain=1");
    await stage.redis.client.hset("route:why.test", "https_redirect", "off");
    const page = await open();
    const box = page.getByRole("region", { name: "Explain a request" });
    await box.getByLabel("Host").fill("why.test");
    await box.getByLabel("Path").fill("/a?b=c");
    await box.getByRole("button", { name: "Explain" }).click();
    await box.locator(".verdict", { hasText: a.at }).waitFor();
    const text = await box.innerText();
    for (const part of [
      "its turn in this worker",
      "round_robin",
      "10.0.0.9:80",
      "draining",
      "backends:why.test",
    ]) {
      assert.ok(text.includes(part), `${part} is not in: ${text}`);
    }
    await box.getByLabel("Host").fill("nobody.test");
    await page.keyboard.press("Enter");
    await box.locator(".verdict", { hasText: "404 unknown_route" }).waitFor();
    assert.match(await page.locator("#said").innerText(), /404 unknown route/);
    await box.getByText("Method, scheme").click();
    await box.getByLabel("Client").fill("no address");
    await box.getByRole("button", { name: "Explain" }).click();
    await box.getByText("client must be an IP address").waitFor();
    await page.close();
  });

  it("shows as text what Redis and clients say, whatever it is", async () => {
    const a = await stage.backend("a");
    const evil = "<script>window.evil=1</script><img src=x onerror=window.evil=1>";
    const { client } = stage.redis;
    await client.sadd("backends:evil.test", a.at, evil, `${a.at}?id=${encodeURIComponent(evil)}&zone=<b>`);
    await client.hset("route:evil.test", { "meta.<i>": evil, balance: evil });
    await client.sadd("paths:evil.test", "/<b>x");
    await client.sadd("backends:evil.test/<b>x", a.at);
    await stage.router.echo({ host: "evil.test" });
    await stage.router.sendRaw(
      `GET /${evil.replaceAll(" ", "")} HTTP/1.1\r\nHost: ${evil.replaceAll(" ", "")}\r\nConnection: close\r\n\r\n`,
    );
    await stage.router.echo({ host: "evil.test", path: "/%3Cb%3Ex/<script>" });
    const problems: string[] = [];
    const page = await open("#q=evil.test&route=evil.test", problems);
    await page.locator("#detail").getByText(evil).first().waitFor();
    await eventually("the path has a row", async () =>
      assert.equal(await row(page, "evil.test/<b>x").count(), 1),
    );
    const box = page.getByRole("region", { name: "Explain a request" });
    await box.getByLabel("Host").fill("evil.test");
    await box.getByLabel("Path").fill(`/${evil}`);
    await box.getByRole("button", { name: "Explain" }).click();
    await box.locator(".verdict").waitFor();
    await box.getByLabel("Host").fill(evil);
    await box.getByRole("button", { name: "Explain" }).click();
    await box.getByText("no site can have this name").waitFor();
    assert.equal(await page.evaluate("'evil' in window"), false);
    assert.equal(await page.locator("script").count(), 1);
    assert.equal(await page.locator("b:not(.cell b), main img, aside img, aside i").count(), 0);
    assert.deepEqual(
      problems.filter((each) => !each.includes("status of 400")),
      [],
    );
    await page.close();
  });

  it("can be used by the keyboard alone", async () => {
    const a = await stage.backend("a");
    for (const host of ["key-1.test", "key-2.test", "key-3.test"]) {
      await stage.router.echo({ host: await stage.serve(host, a) });
    }
    const page = await open("#q=key-");
    await row(page, "key-3.test").waitFor();
    const at = async (): Promise<string> => page.evaluate("document.activeElement?.id");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement?.className"), "skip");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Shift+Tab");
    const stops: string[] = [];
    for (let i = 0; i < 30 && (await at()) !== "list"; i += 1) {
      await page.keyboard.press("Tab");
      stops.push(await at());
    }
    assert.equal(await at(), "list", stops.join());
    const active = async (): Promise<string | null> =>
      page
        .locator(`#${await page.locator("#list").getAttribute("aria-activedescendant")} .name`)
        .textContent();
    assert.equal(await active(), "key-1.test");
    await page.keyboard.press("ArrowDown");
    await eventually("the second row", async () => assert.equal(await active(), "key-2.test"));
    await page.keyboard.press("End");
    await eventually("the last row", async () => assert.equal(await active(), "key-3.test"));
    await page.keyboard.press("Enter");
    await eventually("it is open", async () => assert.equal(await at(), "detail-title"));
    assert.equal(await page.locator("#detail-title").innerText(), "key-3.test");
    await page.keyboard.press("Tab");
    assert.equal(await at(), "detail-close");
    await page.keyboard.press("Escape");
    assert.equal(await at(), "list");
    // From there on everything else is reached too.
    const reached: string[] = [];
    for (let i = 0; i < 12; i += 1) {
      await page.keyboard.press("Tab");
      reached.push(await at());
    }
    assert.ok(reached.includes("explain-host") && reached.includes("explain-path"), reached.join());
    await page.close();
  });

  it("has nothing that axe complains of, light and dark, and other colours in the dark", async () => {
    const a = await stage.backend("a");
    await stage.router.echo({ host: await stage.serve("axe.test", a) });
    const page = await open("#route=axe.test");
    await page.locator("#detail .instances").waitFor();
    await page.getByLabel("Host").fill("axe.test");
    await page.getByRole("button", { name: "Explain", exact: true }).click();
    await page.locator(".verdict").waitFor();
    const ground: string[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      ground.push(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
      assert.deepEqual(await complaints(page), [], colorScheme);
    }
    const [light, dark] = ground.map((each) => Number(/\d+/.exec(each)![0]));
    assert.ok(light! > 200 && dark! < 60, ground.join());
    await page.close();
  });

  it("asks nothing while it is paused or hidden, and says when the server is gone", async () => {
    const page = await open();
    await page.getByText("Ready", { exact: true }).waitFor();
    let asked = 0;
    page.on("request", () => (asked += 1));
    const rests = async (): Promise<void> => {
      await pass(0.3);
      asked = 0;
      await pass(3);
      assert.equal(asked, 0);
    };
    const goesOn = async (): Promise<void> => eventually("it asks again", () => assert.ok(asked > 0));
    await page.getByRole("button", { name: "Pause" }).click();
    await rests();
    await page.getByRole("button", { name: "Pause" }).click();
    await goesOn();
    const hide = async (hidden: boolean): Promise<void> =>
      page.evaluate(`
        Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      `);
    await hide(true);
    await rests();
    await hide(false);
    await goesOn();
    await browser.context.setOffline(true);
    try {
      await page.getByText("The admin server does not answer").waitFor();
    } finally {
      await browser.context.setOffline(false);
    }
    await eventually(
      "it is back",
      async () => assert.equal(await page.locator("#lost").isVisible(), false),
      40,
    );
    await page.close();
  });
});

describe("the dashboard of a guarded server", () => {
  const stage = useStage({ workers: 1, http: admin.http, environment: { SWITCHBOARD_ADMIN_TOKEN: TOKEN } });

  it("asks for the token, keeps it for the tab alone, and says where it is wrong", async () => {
    const a = await stage.backend("a");
    await stage.router.echo({ host: await stage.serve("guarded.test", a) });
    const page = await open();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    assert.deepEqual(await complaints(page), []);
    assert.equal(await page.locator("#canvas .row").count(), 0);
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("That was not the token.").waitFor();
    await page.keyboard.press("Escape");
    assert.ok(await dialog.isVisible(), "nothing can be seen without it");
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await row(page, "guarded.test").waitFor();
    await page.reload();
    await row(page, "guarded.test").waitFor();
    const kept = await page.evaluate("[Object.keys(localStorage).length, document.cookie]");
    assert.deepEqual(kept, [0, ""]);

    const other = await open();
    await other.getByRole("dialog").waitFor();
    await other.close();
    await page.getByRole("button", { name: "Forget token" }).click();
    await dialog.waitFor();
    await page.close();
  });

  it("gives its own files to who has none, and nothing else", async () => {
    for (const [path, status] of [
      ["/ui/", 200],
      ["/ui/main.js", 200],
      ["/ui/nothing.js", 404],
      ["/ui/../status", 401],
      ["/ui/%2e%2e/status", 401],
      ["/ui/..%2fopenapi.json", 401],
      ["/ui/..%2f..%2fadmin.conf", 400],
      ["/ui/..%2fadmin.conf", 404],
      ["/ui/../../../etc/passwd", 400],
      ["/ui//etc/passwd", 404],
      ["/ui/%00", 400],
      ["/ui/.", 200],
    ] as [string, number][]) {
      const answer = await ask(admin.port, { host: "localhost", path });
      assert.equal(answer.status, status, path);
      if (status !== 200) {
        assert.equal(typeof (JSON.parse(answer.body) as { error: string }).error, "string", path);
      }
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await ask(admin.port, {
        host: "localhost",
        path: "/ui/main.js",
        method,
        headers: BEARER,
      });
      assert.deepEqual(
        [answer.status, (JSON.parse(answer.body) as { error: string }).error],
        [405, "method_not_allowed"],
      );
    }
  });
});

describe("the dashboard of a node with 10,000 routes", () => {
  const ROUTES = 10_000;
  const stage = useStage({ workers: 2, http: admin.http, environment: { SWITCHBOARD_PRELOAD: "on" } });

  it("scrolls through them with few elements and without standing still", async () => {
    const a = await stage.backend("a");
    const pipeline = stage.redis.client.pipeline();
    const nameOf = (i: number): string => `many-${String(i).padStart(5, "0")}.test`;
    for (let i = 0; i < ROUTES; i += 1) {
      // Two changes of each: many are read while they change once more, and none may be listed twice for that.
      pipeline.sadd(`backends:${nameOf(i)}`, a.at, `127.0.0.${1 + (i % 250)}:9`);
      pipeline.hset(`route:${nameOf(i)}`, "meta.number", String(i));
    }
    await pipeline.exec();
    const page = await open("#q=many-");
    await page.getByText(/^10,000 (routes|of)/).waitFor();
    await page.evaluate(`
      window.longest = 0;
      window.most = 0;
      new PerformanceObserver((list) => {
        longest = Math.max(longest, ...list.getEntries().map((entry) => entry.duration));
      }).observe({ entryTypes: ["longtask"] });
      setInterval(() => (most = Math.max(most, document.querySelectorAll("*").length)), 100);
    `);
    await page.locator("#list").hover();
    for (let i = 0; i < 40; i += 1) {
      await page.mouse.wheel(0, 700);
      await page.waitForTimeout(30);
    }
    await page.locator("#list").focus();
    await page.keyboard.press("End");
    await row(page, nameOf(ROUTES - 1))
      .locator(".cell")
      .first()
      .waitFor();
    await page.evaluate("list.scrollTop = list.scrollHeight / 2");
    await row(page, nameOf(ROUTES / 2))
      .locator(".cell")
      .first()
      .waitFor();
    const order = await page.locator("#canvas .name").allInnerTexts();
    const [longest, most] = await page.evaluate<[number, number]>("[longest, most]");
    assert.deepEqual(order, [...order].sort(), "rows stand in the page as they are seen");
    assert.ok(most > 0 && most < 1500, `${most} elements`);
    assert.ok(longest < 1000, `a task of ${longest} ms`);
    await page.close();
  });
});
