import { strict as assert } from "node:assert";
import { before, describe, it } from "node:test";
import { eventually } from "./support/eventually.ts";
import { askTimes, tally, useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const stage = useStage({ workers: 1 });

async function fillPools(): Promise<void> {
  await stage.serve("@v1", await stage.backend("v1"));
  await stage.serve("@v2", await stage.backend("v2"));
  await stage.redis.client.sadd("backends:@none", "-");
}

async function split(host: string, value: string, ...more: string[]): Promise<void> {
  await stage.redis.client.hset(`route:${host}`, "split", value, ...more);
}

async function shares(host: string, times: number): Promise<Record<string, number>> {
  return tally(await askTimes(stage.router, host, times));
}

describe("a route that is split over pools", () => {
  before(fillPools);

  it("gives each its share, exactly, and promotion is one HSET", async () => {
    await split("canary.test", "@v2=5,@v1=95");
    assert.deepEqual(await shares("canary.test", 200), { v1: 190, v2: 10 });

    await split("canary.test", "@v2=100");
    await eventually("all go to the new version", async () => {
      assert.deepEqual(await shares("canary.test", 20), { v2: 20 });
    });
  });

  it("follows its pools when these change", async () => {
    await stage.serve("@moving", await stage.backend("old"));
    await split("moving.test", "@moving=1");
    assert.deepEqual(await shares("moving.test", 4), { old: 4 });
    const fresh = await stage.backend("fresh");
    await stage.redis.client.multi().del("backends:@moving").sadd("backends:@moving", fresh.at).exec();
    await eventually("the pool's new instance has the requests", async () => {
      assert.deepEqual(await shares("moving.test", 4), { fresh: 4 });
    });
  });

  it("gives the share of a pool without a usable instance to the others, and counts that", async () => {
    const passed = async (): Promise<number> =>
      (await stage.router.metrics()).get("switchboard_split_passed_total") ?? 0;
    const counted = await passed();
    await split("thin.test", "@none=50,@gone=25,@v1=25");
    assert.deepEqual(await shares("thin.test", 20), { v1: 20 });
    await eventually("it is counted", async () => {
      assert.ok((await passed()) > counted);
    });
    await stage.router.logged(/skipped in backends:@gone: "": this pool does not exist/);
  });

  it("is 503 when none has a usable instance, whatever its own set says", async () => {
    await stage.serve("dry.test", await stage.backend("own"));
    await split("dry.test", "@none=1");
    const answer = await stage.router.ask({ host: "dry.test" });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers["x-switchboard-error"], "no_instances");
  });

  it("gives its pools its own options", async () => {
    const live = await stage.backend("live");
    await stage.redis.client.sadd("backends:@half", live.at, await deadPort());
    await split("one-try.test", "@half=1", "tries", "1");
    const statuses = await Promise.all(
      [1, 2].map(async () => (await stage.router.ask({ host: "one-try.test" })).status),
    );
    assert.deepEqual(statuses.sort(), [200, 502]);
    await stage.redis.client.hset("route:one-try.test", "tries", "2");
    await eventually("both requests find the live one", async () => {
      assert.deepEqual(await shares("one-try.test", 4), { live: 4 });
    });
  });

  it("may be a path, or a wildcard", async () => {
    await stage.redis.client.sadd("paths:paths.test", "/shop");
    await split("paths.test/shop", "@v2=1");
    assert.equal((await stage.router.echo({ host: "paths.test", path: "/shop/x" })).name, "v2");
    await split("*.split.test", "@v1=1");
    assert.deepEqual(await shares("any.split.test", 3), { v1: 3 });
  });

  it("keeps its last good shares when new ones are bad, and tells", async () => {
    await split("bad.test", "@v1=1");
    assert.deepEqual(await shares("bad.test", 2), { v1: 2 });
    await split("bad.test", "@v1=1,@v1=2");
    await stage.router.logged(
      /skipped in route:bad\.test: "split @v1=1,@v1=2": split must name each pool once/,
    );
    assert.deepEqual(await shares("bad.test", 2), { v1: 2 });
  });
});

describe("the cookie of a split route", () => {
  before(fillPools);

  const cookieOf = (header: unknown): string => /^lane=[0-9a-f]{8}/.exec(String(header))?.[0] ?? "none";

  it("keeps a client where it landed, also when the shares change", async () => {
    await split("sticky.test", "@v1=50,@v2=50", "split_cookie", "lane");
    const first = await stage.router.ask({ host: "sticky.test" });
    const landed = (JSON.parse(first.body) as { name: string }).name;
    const given = String(first.headers["set-cookie"]);
    assert.match(given, /^lane=[0-9a-f]{8}; Path=\/; HttpOnly; SameSite=Lax$/);
    const headers = { cookie: cookieOf(given) };
    const ask = async (): Promise<string> => (await stage.router.echo({ host: "sticky.test", headers })).name;
    for (let i = 0; i < 10; i += 1) {
      assert.equal(await ask(), landed);
    }
    const again = await stage.router.ask({ host: "sticky.test", headers });
    assert.equal(again.headers["set-cookie"], undefined, "it has the cookie already");

    const other = landed === "v1" ? "v2" : "v1";
    await split("sticky.test", `@${landed}=0,@${other}=1`);
    await eventually("new clients go to the other", async () => {
      assert.deepEqual(await shares("sticky.test", 4), { [other]: 4 });
    });
    assert.equal(await ask(), landed, "with a share of 0 it has only its own clients");

    await split("sticky.test", `@${other}=1`);
    await eventually("a pool that left has none", async () => {
      assert.equal(await ask(), other);
    });
  });

  it("is given anew when its pool has no usable instance, and means nothing when it is made up", async () => {
    await stage.serve("@leaving", await stage.backend("leaving"));
    await split("leave.test", "@leaving=1,@v1=0", "split_cookie", "lane");
    const headers = {
      cookie: cookieOf((await stage.router.ask({ host: "leave.test" })).headers["set-cookie"]),
    };
    await split("leave.test", "@leaving=1,@v1=1");
    await stage.redis.client.multi().del("backends:@leaving").sadd("backends:@leaving", "-").exec();
    await eventually("the client goes to another pool, with its cookie", async () => {
      const answer = await stage.router.ask({ host: "leave.test", headers });
      assert.equal((JSON.parse(answer.body) as { name: string }).name, "v1");
      assert.match(String(answer.headers["set-cookie"]), /^lane=/);
    });
    for (const cookie of ["lane=deadbeef", "lane=", "lane=@v2", `lane=${"x".repeat(3000)}`]) {
      const answer = await stage.router.ask({ host: "leave.test", headers: { cookie } });
      assert.equal(answer.status, 200);
      assert.match(String(answer.headers["set-cookie"]), /^lane=[0-9a-f]{8};/);
    }
  });
});
