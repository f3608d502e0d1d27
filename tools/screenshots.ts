/**
 * Makes the pictures of the dashboard in docs/: a real router with 10,000 routes under load, some of whose instances fail, as
 * a real Chromium (.ci/chromium) shows it.
 *
 *   make pictures
 */

import { Agent } from "node:http";
import { mkdir, stat } from "node:fs/promises";
import { startApp } from "../integration/support/backends.ts";
import { startBrowser } from "../integration/support/browser.ts";
import { ask } from "../integration/support/http-client.ts";
import { freePort } from "../integration/support/ports.ts";
import { startRedis } from "../integration/support/redis-server.ts";
import { startRouter } from "../integration/support/router.ts";

const folder = process.argv[2] ?? "docs";
const ROUTES = 10_000;
const [WIDTH, HEIGHT] = [1120, 660];
/** Bytes that a picture may have. */
const MOST = 150 * 1024;
/** Requests a second, and for how many seconds before a picture. */
const PACE = 150;
const WARM_UP = 25;

/** The same numbers each time. */
let seed = 7;
function random(): number {
  seed = (seed * 1103515245 + 12345) % 2 ** 31;
  return seed / 2 ** 31;
}

interface Site {
  host: string;
  instances: number;
  /** Of its instances nobody listens at so many. */
  dead?: number;
  share: number;
  failing?: boolean;
}

const SITES: Site[] = [
  { host: "api.example.com", instances: 6, share: 30, dead: 1 },
  { host: "app.example.com", instances: 4, share: 22 },
  { host: "assets.example.com", instances: 3, share: 18 },
  { host: "auth.example.com", instances: 3, share: 9 },
  { host: "billing.example.com", instances: 2, share: 3, failing: true },
  { host: "blog.example.com", instances: 1, share: 2 },
  { host: "chat.example.com", instances: 5, share: 8 },
  { host: "docs.example.com", instances: 2, share: 4 },
  { host: "events.example.com", instances: 44, share: 20, dead: 2 },
  { host: "feeds.example.com", instances: 3, share: 2 },
  { host: "forum.example.com", instances: 2, share: 1 },
  { host: "img.example.com", instances: 24, share: 12 },
  { host: "legacy.example.com", instances: 0, share: 0.3 },
  { host: "login.example.com", instances: 3, share: 6, dead: 1 },
  { host: "maps.example.com", instances: 2, share: 1 },
  { host: "search.example.com", instances: 5, share: 10 },
  { host: "shop.example.com", instances: 4, share: 14 },
  { host: "status.example.com", instances: 1, share: 0.5 },
  { host: "upload.example.com", instances: 3, share: 2 },
  { host: "www.example.com", instances: 4, share: 16 },
];
const WORDS =
  "amber birch cedar delta ember fjord grove heron iris juniper kelp lotus maple nettle opal pine quartz reed sage tide".split(
    " ",
  );

const app = await startApp(
  "app",
  (request, response) => {
    request.resume();
    const host = String(request.headers.host);
    const status = host.startsWith("billing") && random() < 0.15 ? 500 : 200;
    setTimeout(
      () => response.writeHead(status).end("ok\n"),
      20 + random() * (host.startsWith("upload") ? 2500 : 250),
    );
  },
  { address: "0.0.0.0" },
);
const redis = await startRedis();
const admin = await freePort();
const router = await startRouter({
  workers: 2,
  http: `server { listen 127.0.0.1:${admin}; include switchboard/admin.conf; }`,
  environment: {
    SWITCHBOARD_REDIS_URL: redis.url,
    SWITCHBOARD_PRELOAD: "on",
    SWITCHBOARD_OBSERVE: "instances",
  },
});
const browser = await startBrowser({ viewport: { width: WIDTH, height: HEIGHT } });
const agent = new Agent({ keepAlive: true });
const clock: NodeJS.Timeout[] = [];

try {
  const pipeline = redis.client.pipeline();
  SITES.forEach(({ host, instances, dead = 0 }, i) => {
    const members = Array.from(
      { length: instances },
      (_, k) =>
        `127.20.${i + 1}.${k + 11}:${k < instances - dead ? app.port : 8080}?zone=${k % 2 === 0 ? "north" : "south"}`,
    );
    pipeline.sadd(`backends:${host}`, ...members, ...(members.length === 0 ? ["-"] : []));
    pipeline.hset(`route:${host}`, { "meta.team": WORDS[i % 5]! });
  });
  pipeline.sadd("backends:img.example.com", `127.20.40.11:${app.port}?drain=1`);
  pipeline.sadd("backends:shop.example.com", `127.20.41.11:${app.port}?backup=1`, "not an instance");
  pipeline.sadd("paths:app.example.com", "/reports");
  pipeline.sadd("backends:app.example.com/reports", `127.20.42.11:${app.port}`);
  pipeline.sadd("backends:*.preview.example.com", `127.20.43.11:${app.port}`);
  for (let i = SITES.length; i < ROUTES - 2; i += 1) {
    const host = `tenant-${WORDS[i % 20]}-${i}.example.com`;
    pipeline.sadd(`backends:${host}`, `127.21.${i >> 8}.${i & 255}:${app.port}`);
  }
  await pipeline.exec();

  const all = SITES.reduce((sum, { share }) => sum + share, 0);
  const one = async (): Promise<void> => {
    let at = random() * all;
    const site = SITES.find(({ share }) => (at -= share) < 0) ?? SITES[0]!;
    await ask(router.port, { host: site.host, agent }).catch(() => undefined);
  };
  clock.push(setInterval(() => void one(), 1000 / PACE));

  await mkdir(folder, { recursive: true });
  const page = await browser.context.newPage();
  const picture = async (name: string): Promise<void> => {
    const path = `${folder}/${name}.png`;
    await page.screenshot({ path });
    const { size } = await stat(path);
    console.log(`${path}: ${size} bytes`);
    if (size > MOST) {
      throw new Error(`${path} has more than ${MOST} bytes`);
    }
  };
  await page.goto(`http://127.0.0.1:${admin}/ui/`);
  await page.waitForTimeout(WARM_UP * 1000);
  await redis.client.hset("route:docs.example.com", "balance", "ewma");
  await redis.client.sadd("backends:new.example.com", `127.20.50.11:${app.port}`);
  await page.waitForTimeout(5000);
  for (const colours of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: colours });
    await page.waitForTimeout(300);
    await picture(`dashboard-${colours}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page
    .getByRole("row", { name: /api\.example\.com/ })
    .first()
    .click();
  await page.getByLabel("Host").fill("login.example.com");
  await page.getByRole("button", { name: "Explain", exact: true }).click();
  await page.waitForTimeout(4000);
  await picture("dashboard-route");
} finally {
  clock.forEach((each) => clearInterval(each));
  agent.destroy();
  await browser.close();
  await router.close();
  await redis.close();
  await app.close();
}
