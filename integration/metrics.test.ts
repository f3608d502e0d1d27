import { strict as assert } from "node:assert";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Backend } from "./support/backends.ts";
import { docker } from "./support/command.ts";
import { imageOf } from "./support/containers.ts";
import { eventually } from "./support/eventually.ts";
import type { Router } from "./support/router.ts";
import { makeFolder } from "./support/site.ts";
import { useStage } from "./support/stage.ts";
import { deadPort, startSlow } from "./support/troubled-backends.ts";

/** `/metrics` of the server that proxies names routes; that of the health pages does not. */
const BY_NAME = { server: "include switchboard/observe.conf;" };

async function page(router: Router, accept = ""): Promise<string> {
  const answer = await router.ask({ host: "insider", path: "/metrics", headers: { accept } });
  assert.equal(answer.status, 200);
  return answer.body;
}

function valueIn(text: string, series: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? NaN : Number(line.slice(series.length + 1));
}

async function value(router: Router, series: string): Promise<number> {
  return valueIn(await page(router), series);
}

describe("metrics by name", () => {
  const stage = useStage({ workers: 2, ...BY_NAME });
  let a: Backend;
  let folder: { path: string; remove(): Promise<void> };
  before(async () => {
    a = await stage.backend("a");
    folder = await makeFolder();
  });
  after(async () => folder.remove());

  /** What `promtool check metrics` has to say of a page, and its exit status. */
  const judged = async (text: string): Promise<string> => {
    await writeFile(join(folder.path, "page"), text, { mode: 0o644 });
    const outcome = await docker(
      "run",
      "--rm",
      "-v",
      `${folder.path}:/page:ro`,
      imageOf("tools"),
      "sh",
      "-c",
      "promtool check metrics </page/page",
    );
    return `${outcome.exitCode} ${outcome.stdout}${outcome.stderr}`.trim();
  };

  it("count requests of all workers by route, status and duration", async () => {
    const host = await stage.serve("counted.test", a);
    const slow = await stage.serve("slow-counted.test", await stage.keep(startSlow("slow", 0.3)));
    for (let i = 0; i < 50; i += 1) {
      await stage.router.echo({ host });
    }
    await stage.router.ask({ host: slow });

    await eventually("all are counted", async () => {
      const text = await page(stage.router);
      const of = (name: string, more = ""): number =>
        valueIn(text, `switchboard_route_${name}{${more}route="${host}"}`);
      assert.equal(of("requests_total", 'code="2xx",'), 50);
      assert.equal(of("requests_total", 'code="5xx",'), 0);
      assert.equal(of("duration_seconds_count"), 50);
      assert.equal(of("duration_seconds_bucket", 'le="+Inf",'), 50);
      assert.equal(of("tries_total"), 50);
      assert.equal(of("answers_total"), 0);
      const ofSlow = (le: string): number =>
        valueIn(text, `switchboard_route_duration_seconds_bucket{le="${le}",route="${slow}"}`);
      assert.equal(ofSlow("0.25"), 0);
      assert.equal(ofSlow("2.5"), 1);
      assert.ok(valueIn(text, `switchboard_route_duration_seconds_sum{route="${slow}"}`) >= 0.3);
      const [requests, seconds] = ["requests_total", "request_duration_seconds_count"].map((name) =>
        text
          .split("\n")
          .filter((line) => line.startsWith(`switchboard_${name}`))
          .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0),
      );
      assert.equal(requests, 51);
      assert.equal(seconds, 51);
    });
  });

  it("count what the router answers itself, by reason and by route, and tries by what failed", async () => {
    const half = await stage.serve("half-counted.test", a);
    const dead = await deadPort();
    await stage.redis.client.sadd(`backends:${half}`, dead);
    await stage.redis.client.sadd("backends:dead-counted.test", dead);
    await stage.redis.client.sadd("backends:empty-counted.test", "-");
    const before = await page(stage.router);
    for (let i = 0; i < 4; i += 1) {
      await stage.router.echo({ host: half });
    }
    assert.equal((await stage.router.ask({ host: "dead-counted.test" })).status, 502);
    assert.equal((await stage.router.ask({ host: "empty-counted.test" })).status, 503);
    assert.equal((await stage.router.ask({ host: "unknown-counted.test" })).status, 404);

    await eventually("all are counted", async () => {
      const text = await page(stage.router);
      const more = (series: string): number => valueIn(text, series) - (valueIn(before, series) || 0);
      const retries = more('switchboard_retries_total{reason="connect_failed"}');
      assert.ok(retries >= 1, String(retries));
      assert.equal(more('switchboard_route_tries_total{route="half-counted.test"}'), 4 + retries);
      assert.equal(more('switchboard_route_answers_total{route="half-counted.test"}'), 0);
      for (const [reason, route, code] of [
        ["connect_failed", "dead-counted.test", "5xx"],
        ["no_instances", "empty-counted.test", "5xx"],
      ] as const) {
        assert.equal(more(`switchboard_answers_total{reason="${reason}"}`), 1);
        assert.equal(more(`switchboard_route_answers_total{route="${route}"}`), 1);
        assert.equal(more(`switchboard_route_requests_total{code="${code}",route="${route}"}`), 1);
      }
      assert.equal(more('switchboard_answers_total{reason="unknown_route"}'), 1);
      assert.equal(more('switchboard_requests_total{code="4xx"}'), 1);
      assert.equal(more('switchboard_requests_total{code="5xx"}'), 2);
      assert.doesNotMatch(text, /unknown-counted/);
    });
  });

  it("tell of lookups by layer, of Redis, of dicts and of the watch", async () => {
    const host = await stage.serve("layered.test", a);
    const before = await page(stage.router);
    for (let i = 0; i < 40; i += 1) {
      await stage.router.echo({ host });
    }
    await eventually("all are counted", async () => {
      const text = await page(stage.router);
      const more = (series: string): number => valueIn(text, series) - valueIn(before, series);
      assert.ok(more('switchboard_lookups_total{cache="worker"}') >= 36);
      assert.equal(more('switchboard_lookups_total{cache="redis"}'), 1);
      assert.ok(more("switchboard_redis_duration_seconds_count") >= 1);
      assert.equal(
        valueIn(text, 'switchboard_redis_duration_seconds_bucket{le="+Inf"}'),
        valueIn(text, "switchboard_redis_duration_seconds_count"),
      );
      assert.equal(valueIn(text, 'switchboard_watch{mode="tracking"}'), 1);
      assert.equal(valueIn(text, "switchboard_staleness_seconds"), 0);
      for (const dict of ["routes", "matches", "names", "state", "metrics"]) {
        const size = valueIn(text, `switchboard_dict_size_bytes{dict="switchboard_${dict}"}`);
        const free = valueIn(text, `switchboard_dict_free_bytes{dict="switchboard_${dict}"}`);
        assert.ok(size > 1_000_000 && free > 0 && free <= size, `${dict}: ${free} of ${size}`);
      }
    });
  });

  it("pass promtool, also with names that are no easy labels", async () => {
    await stage.redis.client.sadd("paths:odd.test", '/a"b\\c');
    await stage.redis.client.sadd('backends:odd.test/a"b\\c', a.at);
    assert.equal((await stage.router.ask({ host: "odd.test", path: "/a%22b%5Cc" })).status, 200);
    await eventually("it is counted", async () => {
      assert.match(await page(stage.router), /route="odd\.test\/a\\"b\\\\c"/);
    });
    assert.equal(await judged(await page(stage.router)), "0");
    assert.equal(await judged((await stage.router.health("/metrics")).body), "0");
    assert.match(await judged("a_count_total 1\n"), /^3 .*no help text/);
  });

  it("are OpenMetrics for who asks for it", async () => {
    const accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    const question = { host: "insider", path: "/metrics", headers: { accept } };
    const answer = await stage.router.ask(question);
    assert.equal(
      answer.headers["content-type"],
      "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    const lines = answer.body.split("\n");
    assert.deepEqual(lines.splice(-2), ["# EOF", ""]);
    // Every sample belongs to the family that was begun last, and no family begins twice.
    const families = new Set<string>();
    let [family, kind] = ["", ""];
    for (const line of lines) {
      const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
      if (name !== undefined) {
        assert.ok(!families.has(name), name);
        families.add(name);
        [family, kind] = [name, type!];
      } else if (!line.startsWith("# HELP ")) {
        const endings = { counter: "_total", gauge: "", histogram: "_(bucket|sum|count)" }[kind]!;
        assert.match(
          line,
          new RegExp(`^${family}${endings}(\\{([a-z]+="([^"\\\\]|\\\\.)*",?)+\\})? [0-9.e+-]+$`),
        );
      }
    }
    assert.ok(families.has("switchboard_route_requests"));
    const plain = await stage.router.ask({ host: "insider", path: "/metrics" });
    assert.equal(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  });

  it("survive a reload and a killed worker, and count what old workers end", async () => {
    const host = await stage.serve("surviving.test", a);
    const slow = await stage.serve("slow-surviving.test", await stage.keep(startSlow("slow", 1.5)));
    const router = await stage.moreRouter({ workers: 2, killed: true, ...BY_NAME });
    const requests = async (route: string): Promise<number> =>
      value(router, `switchboard_route_requests_total{code="2xx",route="${route}"}`);
    for (let i = 0; i < 30; i += 1) {
      await router.echo({ host });
    }
    await eventually("all are counted", async () => assert.equal(await requests(host), 30));

    const running = [1, 2, 3].map(async () => router.ask({ host: slow }));
    await eventually("they run", async () => {
      assert.equal(await value(router, "switchboard_in_flight"), 3);
    });
    await router.signal("HUP");
    assert.deepEqual(
      (await Promise.all(running)).map((answer) => answer.status),
      [200, 200, 200],
    );
    await eventually("the old workers' requests are counted", async () =>
      assert.equal(await requests(slow), 3),
    );
    await router.exec(["sh", "-c", "kill -9 $(pgrep -P $(cat /tmp/nginx.pid))"]);
    await eventually("new workers answer", async () => router.echo({ host }));
    await eventually("nothing is forgotten", async () => assert.ok((await requests(host)) >= 31));
    assert.ok((await requests(host)) <= 32);
  });

  it("keep to themselves on the health pages", async () => {
    const health = (await stage.router.health("/metrics")).body;
    assert.doesNotMatch(health, /\.test|route=/);
    assert.match(await page(stage.router), /counted\.test/);
  });
});

describe("what is counted", () => {
  const stage = useStage({ workers: 1, environment: { SWITCHBOARD_OBSERVE: "instances" }, ...BY_NAME });

  it("is each instance, on demand", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const dead = await deadPort();
    const host = await stage.serve("instances.test", a, b);
    await stage.redis.client.sadd(`backends:${host}`, dead);
    for (let i = 0; i < 30; i += 1) {
      await stage.router.echo({ host });
    }
    const text = await page(stage.router);
    const of = (name: string, at: string, more = ""): number =>
      valueIn(text, `switchboard_instance_${name}{${more}instance="http://${at}"}`);
    const [ofA, ofB] = [a, b].map((each) => of("requests_total", each.at, 'code="2xx",'));
    assert.equal(ofA! + ofB!, 30);
    assert.ok(Math.abs(ofA! - ofB!) <= 12, `${ofA} ${ofB}`);
    assert.equal(of("requests_total", dead, 'code="2xx",'), 0);
    assert.equal(
      of("tries_total", dead),
      valueIn(text, 'switchboard_retries_total{reason="connect_failed"}'),
    );
    assert.ok(of("tries_total", dead) >= 1);
  });

  it("is nothing of a request with observe=off", async () => {
    const host = await stage.serve("unobserved.test", await stage.backend("a"));
    const router = await stage.moreRouter({
      workers: 1,
      environment: { SWITCHBOARD_OBSERVE: "off" },
      ...BY_NAME,
    });
    await router.echo({ host });
    await router.ask({ host: "unknown.test" });
    const text = await page(router);
    assert.doesNotMatch(text, /switchboard_(requests|tries|request_duration|route|instance)_/);
    assert.equal(valueIn(text, 'switchboard_answers_total{reason="unknown_route"}'), 1);
    assert.equal(valueIn(text, "switchboard_redis_up"), 1);
  });
});
