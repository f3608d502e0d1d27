import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { addressOfThisMachine } from "./support/addresses.ts";
import { eventually } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import type { Router } from "./support/router.ts";
import { useStage } from "./support/stage.ts";

interface Event {
  number: number;
  time: number;
  kind: string;
  subject: string;
  detail: string;
}

interface Events {
  last: number;
  events: Event[];
}

async function eventsOf(router: Router, query = ""): Promise<Events> {
  const answer = await router.ask({ host: "insider", path: `/events${query}` });
  assert.equal(answer.status, 200);
  assert.match(String(answer.headers["content-type"]), /^application\/json/);
  return JSON.parse(answer.body) as Events;
}

const ENVIRONMENT = { SWITCHBOARD_PRELOAD: "on", SWITCHBOARD_EMPTY_HOLD: "0" };

describe("the history of events", () => {
  const stage = useStage({
    workers: 2,
    environment: ENVIRONMENT,
    server: "include switchboard/observe.conf;",
  });
  const told = async (kind: string, subject: string): Promise<Event> =>
    eventually(`${kind} ${subject} is told`, async () => {
      const found = (await eventsOf(stage.router)).events.find(
        (each) => each.kind === kind && each.subject === subject,
      );
      assert.ok(found !== undefined, JSON.stringify((await eventsOf(stage.router)).events.slice(0, 5)));
      return found;
    });

  it("tells of routes that are added, changed and removed, newest first, once each", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    await eventually("all routes are known", async () => {
      assert.equal((await stage.router.metrics()).get("switchboard_routes_complete"), 1);
    });
    const before = (await eventsOf(stage.router)).last;
    const host = await stage.serve("told.test", a);
    assert.equal((await told("route_added", host)).detail, "1 instance");
    await stage.redis.client.sadd(`backends:${host}`, b.at);
    assert.equal((await told("route_changed", host)).detail, "2 instances");
    await stage.redis.client.del(`backends:${host}`);
    const removed = await told("route_removed", host);

    assert.ok(Math.abs(removed.time - Date.now() / 1000) < 60);
    const { events } = await eventsOf(stage.router, `?after=${before}`);
    assert.deepEqual(
      events.map((each) => `${each.kind} ${each.subject}`),
      [`route_removed ${host}`, `route_changed ${host}`, `route_added ${host}`],
    );
    assert.equal((await eventsOf(stage.router, `?limit=1`)).events[0]?.number, removed.number);
    assert.deepEqual((await eventsOf(stage.router, `?after=${removed.number}`)).events, []);
  });

  it("does not tell of heart-beats, nor of routes that are read for the first time only", async () => {
    const backend = await stage.backend("c");
    const later = Math.floor(Date.now() / 1000) + 60;
    await stage.redis.client.zadd("backends:beating-told.test", later, backend.at);
    await told("route_added", "beating-told.test");
    const { last } = await eventsOf(stage.router);
    await stage.redis.client.zadd("backends:beating-told.test", later + 30, backend.at);
    await stage.serve("marker.test", backend);
    await told("route_added", "marker.test");
    assert.equal((await eventsOf(stage.router)).last, last + 1);

    const lazy = await stage.moreRouter({ workers: 1, server: "include switchboard/observe.conf;" });
    await lazy.echo({ host: "marker.test" });
    assert.deepEqual((await eventsOf(lazy)).events, []);
  });

  it("takes any query as it comes", async () => {
    for (const query of [
      "?after=-1",
      "?after=x",
      "?after=99999999999999999999",
      "?limit=0",
      "?limit=%00",
      "?after[]=1",
    ]) {
      assert.ok(Array.isArray((await eventsOf(stage.router, query)).events));
    }
    assert.deepEqual((await eventsOf(stage.router, "?limit=0")).events, []);
  });

  it("tells of a store that is lost and back, and of routes that the guard holds and lets go", async () => {
    await stage.redis.stop();
    await told("store_lost", "");
    await stage.redis.start();
    assert.match((await told("store_back", "")).detail, /^after \d+ s$/);
    await eventually("the watch is back", async () => {
      assert.equal((await stage.router.metrics()).get('switchboard_watch{mode="tracking"}'), 1);
    });
    await stage.redis.client.flushall();
    assert.match((await told("guard_holding", "")).detail, /^\d+ of \d+ routes are gone from Redis$/);
    await stage.redis.client.set("switchboard:wiped", Math.floor(Date.now() / 1000) + 1);
    await told("guard_released", "");
  });
});

describe("the pages of observe.conf", async () => {
  const [own, both] = [await freePort(), await freePort()];
  const http = `
    server { listen ${own}; server_name Own.Internal other.internal; include switchboard/observe.conf; }
    server { listen [::]:${both} ipv6only=off; include switchboard/observe.conf; }`;
  useStage({ workers: 1, http });
  const statuses = async (port: number, host: string, address?: string): Promise<number[]> =>
    Promise.all(
      ["/metrics", "/events"].map(async (path) => (await ask(port, { host, path, address })).status),
    );

  it("are read at a loopback address by no page whose own name leads there", async () => {
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "own.internal.evil.example",
      "evil.example:1",
    ]) {
      assert.deepEqual(await statuses(own, host), [403, 403], host);
      assert.deepEqual(await statuses(both, host), [403, 403], `${host}, mapped into IPv6`);
    }
    const { body, headers } = await ask(own, { host: "evil.example", path: "/events" });
    assert.equal((JSON.parse(body) as { error: string }).error, "wrong_host");
    assert.match(String(headers["content-type"]), /^application\/json/);
  });

  it("are read by who scrapes them by address, localhost, the name of a container or their server's own", async () => {
    const good = [
      "127.0.0.1",
      `127.0.0.1:${own}`,
      "[::1]:1",
      "10.1.2.3",
      "localhost",
      "LocalHost:1",
      "router",
      "own.internal",
    ];
    for (const host of good) {
      assert.deepEqual(await statuses(own, host), [200, 200], host);
    }
    assert.deepEqual(await statuses(both, "router-1:9145"), [200, 200]);
  });

  it("are read by any name at an address that other machines reach: a scraper may know the node by any", async () => {
    const address = addressOfThisMachine();
    for (const host of [address, "node-1.example.com", "switchboard.monitoring.svc.cluster.local"]) {
      assert.deepEqual(await statuses(own, host, address), [200, 200], host);
    }
  });
});
