import { strict as assert } from "node:assert";
import { after, before, describe, it } from "node:test";
import { eventually, pass } from "./support/eventually.ts";
import { startImpostor, type Impostor, type Manner } from "./support/fake-redis.ts";
import { ask } from "./support/http-client.ts";
import { underLoad } from "./support/load.ts";
import { freePort } from "./support/ports.ts";
import type { Router } from "./support/router.ts";
import { useStage } from "./support/stage.ts";

const HOSTS = Array.from({ length: 40 }, (_, i) => `h${i}.bad-redis.test`);
/** The manner, and by which word it is told. */
const WORDS: [manner: Manner, cause: string][] = [
  ["garbage", "not_redis"],
  ["noise", "not_redis"],
  ["endlessLine", "not_redis"],
  ["noperm", "noperm"],
  ["loading", "loading"],
  ["misconf", "misconf"],
  ["readonly", "readonly"],
  ["half", "timeout"],
  ["silence", "timeout"],
  ["largeText", "too_large"],
  ["largeList", "too_large"],
];

/** The most memory that any process of the router ever had, in megabytes. */
async function peak(router: Router): Promise<number> {
  const { output } = await router.exec(["sh", "-c", "cat /proc/[0-9]*/status"]);
  const sizes = [...output.matchAll(/^Name:\s+nginx\n(?:.*\n)*?VmHWM:\s+(\d+) kB/gm)];
  assert.ok(sizes.length >= 3, output.slice(0, 2000));
  return Math.max(...sizes.map(([, kilobytes]) => Number(kilobytes) / 1024));
}

describe("in the place of Redis is something that", () => {
  const stage = useStage();
  let impostor: Impostor;
  let router: Router;
  let admin = 0;

  interface Status {
    store: Record<"state" | "cause" | "reason" | "server", string>;
  }
  const status = async (): Promise<Status["store"]> =>
    (JSON.parse((await ask(admin, { host: "localhost", path: "/status" })).body) as Status).store;

  before(async () => {
    admin = await freePort();
    impostor = await startImpostor(stage.redis.port);
    router = await stage.moreRouter({
      environment: {
        SWITCHBOARD_REDIS_URL: `redis://127.0.0.1:${impostor.port}`,
        SWITCHBOARD_TTL: "500ms",
        SWITCHBOARD_ADMIN_LISTEN: `127.0.0.1:${admin}`,
      },
      http: `server { listen 127.0.0.1:${admin}; include switchboard/admin.conf; }`,
    });
  });
  after(async () => impostor.close());

  const served = async (): Promise<void> => {
    for (const host of HOSTS) {
      assert.equal((await router.echo({ host })).name, "a");
    }
  };

  for (const [manner, cause] of WORDS) {
    it(`answers with ${manner}: it is told as ${cause}, and what is known is served in bounded memory`, async () => {
      const a = await stage.backend("a");
      for (const host of HOSTS) {
        await stage.redis.client.sadd(`backends:${host}`, a.at);
      }
      await eventually("all is known", served);
      const before = await peak(router);
      const load = await underLoad({ port: router.port, host: HOSTS[0]!, clients: 2 }, async () => {
        impostor.behave(manner);
        await eventually("it is told", async () => {
          const { state, cause: word, reason } = await status();
          assert.deepEqual([state, word], ["down", cause], reason);
          const { status: code, body } = await router.health("/readyz");
          assert.equal(code, 200);
          assert.match(
            body,
            new RegExp(`^ready\ndegraded: redis has been unreachable for \\d+ s: ${cause};`),
          );
          assert.equal((await router.metrics()).get("switchboard_redis_up"), 0);
        });
        await router.logged(new RegExp(`event=redis_down about="${cause}"`));
        await served();
        const unknown = await router.ask({ host: `asked-for-first-while-${manner}.bad-redis.test` });
        assert.equal(unknown.headers["x-switchboard-error"], "store_unreachable");
        await pass(1);
        await served();
      });
      assert.deepEqual(load.failures, []);
      const grown = (await peak(router)) - before;
      assert.ok(grown < 40, `a process has grown by ${grown.toFixed(1)} MB`);

      impostor.behave(undefined);
      await eventually("it is well again", async () => {
        assert.deepEqual([(await status()).state, (await status()).cause], ["up", ""]);
        assert.equal((await router.metrics()).get('switchboard_watch{mode="tracking"}'), 1);
      });
    });
  }
});
