/** Ten instances of which three are ill, each in its way, at the same time: no client may notice, whatever chooses. */

import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { startApp, type Backend } from "./support/backends.ts";
import { tally, useStage } from "./support/stage.ts";
import { startBlackHole, startSlow } from "./support/troubled-backends.ts";

const REQUESTS = 300;
/** Tries that an ill instance may cost before it is left alone. */
const FEW = 5;
/** Those that it gets when its time is over, while a story lasts. */
const TRIALS = 3;

describe("ten instances, of which one fails at once, one drops connections and one takes five seconds", () => {
  const stage = useStage({
    workers: 4,
    environment: { SWITCHBOARD_CONNECT_TIMEOUT: "200ms" },
    http: "include switchboard/log-formats.conf;",
    server: "access_log /dev/stderr switchboard_json;",
  });
  let well: Backend[];
  before(async () => {
    well = [];
    for (let i = 0; i < 7; i += 1) {
      well.push(await stage.backend(`b${i}`));
    }
  });

  for (const balance of ["round_robin", "least_conn", "ewma", "hash:uri", "random"]) {
    it(`cost no client an error, and get few tries by ${balance}`, async () => {
      const failing = await stage.keep(
        startApp("failing", (request, response) => {
          request.resume().on("end", () => response.writeHead(502).end("no\n"));
        }),
      );
      const [hole, slow] = [await stage.keep(startBlackHole("hole")), await stage.keep(startSlow("slow", 5))];
      const host = `ten-by-${balance.replace(/\W/, "-").replace("_", "-")}.test`;
      await stage.redis.client.hset(`route:${host}`, {
        balance,
        eject: "5xx",
        retry_on: "502,503,504",
        read_timeout: "300ms",
        tries: "4",
      });
      await stage.serve(host, ...well, failing, hole, slow);

      const statuses: string[] = [];
      for (let i = 0; i < REQUESTS; i += 1) {
        statuses.push(String((await stage.router.ask({ host, path: `/${i}` })).status));
      }

      assert.deepEqual(tally(statuses), { 200: REQUESTS });
      assert.ok(failing.count() <= FEW + TRIALS, `${failing.count()} failed at once`);
      assert.ok(slow.count() <= FEW + TRIALS, `${slow.count()} were slow`);
      const late = stage.router
        .log()
        .filter((line) => line.startsWith("{") && line.includes(`"route":"${host}"`))
        .map((line) => JSON.parse(line) as { retry_reason: string })
        .filter((line) => line.retry_reason === "connect_timeout");
      assert.ok(late.length <= FEW + TRIALS, `${late.length} waited for a connection`);
    });
  }
});
