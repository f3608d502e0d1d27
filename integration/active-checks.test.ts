/** Active checks: who is asked what and how often, and what becomes of an instance whose check fails. */

import { strict as assert } from "node:assert";
import type { IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { startApp, startRaw, type Backend } from "./support/backends.ts";
import { makeCertificate } from "./support/certificates.ts";
import { eventually, pass } from "./support/eventually.ts";
import { ask } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { useStage, type Stage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

const WORKERS = 4;
const admin = await freePort();
const otherAdmin = await freePort();

/** Parts of what the admin server says. */
interface Told {
  instances: { address: string; state?: string; ejected_why?: string; reason?: string; detail?: string }[];
  ejections: { address: string; why: string }[];
  events: { kind: string; subject: string; detail: string }[];
}

async function tell(port: number, path: string): Promise<Told> {
  const answer = await ask(port, { host: "localhost", path });
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Told;
}

/** An app whose checks are told from its other requests by their User-Agent. */
interface Checked extends Backend {
  checks: IncomingMessage[];
  /** Other requests. */
  asked(): number;
  /** What `/health` is answered with. */
  status: number;
  body: string;
}

async function startChecked(stage: Stage, name: string): Promise<Checked> {
  const checks: IncomingMessage[] = [];
  let asked = 0;
  const state = { status: 200, body: "all well" };
  const backend = await stage.keep(
    startApp(name, (request, response) => {
      if (request.headers["user-agent"] === "Switchboard-Check") {
        checks.push(request);
        response.writeHead(state.status).end(state.body);
      } else {
        asked += 1;
        response.setHeader("X-Backend", name);
        response.end(`${name}\n`);
      }
    }),
  );
  return Object.assign(state, backend, { checks, asked: () => asked });
}

/** Who answered, of so many requests at once; all must be well. */
async function whoAnswers(stage: Stage, host: string, times: number): Promise<Set<string>> {
  const answers = await Promise.all(
    Array.from({ length: times }, async () => stage.router.ask({ host, patience: 60 })),
  );
  assert.deepEqual([...new Set(answers.map((each) => each.status))], [200]);
  return new Set(answers.map((each) => each.body.trim()));
}

/** Stories are about what checks find, not about how busy this machine is. */
const PATIENT = { SWITCHBOARD_LOAD_TIMEOUT: "10s" };

/** Makes a route with options. */
async function route(
  stage: Stage,
  host: string,
  options: Record<string, string>,
  ...instances: string[]
): Promise<string> {
  await stage.redis.client.hset(`route:${host}`, { check_timeout: "5s", ...options });
  await stage.redis.client.sadd(`backends:${host}`, ...instances);
  return host;
}

async function isOut(port: number, host: string, at: string): Promise<void> {
  const { instances } = await tell(port, `/explain?host=${host}`);
  const reason = instances.find((each) => each.address === at)?.reason;
  assert.ok(reason === "check_failed" || reason === "kept_in_need", String(reason));
}

/** Each story waits for checks most of its time, and has instances of its own. */
describe("active checks", { concurrency: true }, () => {
  const stage = useStage({
    workers: WORKERS,
    environment: PATIENT,
    http: `server { listen 127.0.0.1:${admin}; include switchboard/admin.conf; }`,
  });
  it("take an instance out of all workers, tell why everywhere, and bring it back", async () => {
    const [ill, a, b] = [
      await startChecked(stage, "ill"),
      await startChecked(stage, "a"),
      await startChecked(stage, "b"),
    ];
    const host = await route(stage, "toggled.test", { check: "http:/health" }, ill.at, a.at, b.at);
    assert.deepEqual(await whoAnswers(stage, host, 60), new Set(["ill", "a", "b"]));
    await eventually("it is checked", () => assert.ok(ill.checks.length > 0, "none yet"));

    ill.status = 503;
    await eventually("it is out", async () => isOut(admin, host, ill.at), 20);

    const before = ill.asked();
    await pass(0.02);
    assert.deepEqual(await whoAnswers(stage, host, 100), new Set(["a", "b"]));
    assert.equal(ill.asked(), before);
    const found = async (path: string): Promise<Told["instances"][number]> =>
      (await tell(admin, path)).instances.find((each) => each.address === ill.at)!;
    const shown = await found(`/routes/${host}`);
    assert.deepEqual([shown.state, shown.ejected_why], ["ejected", "check_failed"]);
    assert.equal((await found(`/explain?host=${host}`)).detail, "http:/health: status 503");
    assert.equal(
      (await tell(admin, "/status")).ejections.find((each) => each.address === ill.at)?.why,
      "check_failed",
    );
    const one = JSON.parse((await ask(admin, { host: "localhost", path: `/instances/${ill.at}` })).body) as {
      ejected_why: string;
    };
    assert.equal(one.ejected_why, "check_failed");
    await stage.router.logged(
      new RegExp(`event=unhealthy about="http://${ill.at}".*check_failed: http:/health: status 503`),
    );

    ill.status = 200;
    await eventually(
      "it is asked again",
      async () => {
        await whoAnswers(stage, host, 20);
        assert.ok(ill.asked() > before, String(ill.asked()));
      },
      20,
    );
    const events = (await tell(admin, "/events")).events.filter(
      (each) => each.subject === `http://${ill.at}`,
    );
    assert.deepEqual(
      events.map(({ kind, detail }) => `${kind} ${detail}`),
      ["instance_recovered http:/health passes", "instance_ejected check_failed: http:/health: status 503"],
    );
    await stage.router.logged(new RegExp(`event=healthy about="http://${ill.at}"`));
    const metrics = await stage.router.metrics();
    assert.ok(metrics.get('switchboard_checks_total{result="passed"}')! > 5);
    assert.ok(metrics.get('switchboard_checks_total{result="failed"}')! >= 3);
  });

  it("ask what the route says, as its requests ask, and want the status and text that it says", async () => {
    const [app, mute] = [await startChecked(stage, "app"), await startChecked(stage, "mute")];
    mute.body = "hardly well";
    const options = { check: "http:/up?deep=1", check_status: "204,500-599", check_body: "all well" };
    app.status = 503;
    mute.status = 503;
    const host = await route(stage, "asks.test", options, app.at, mute.at);
    await whoAnswers(stage, host, 1);

    await eventually("the one without the text is out", async () => isOut(admin, host, mute.at), 20);

    assert.deepEqual(await whoAnswers(stage, host, 20), new Set(["app"]));
    const [check] = app.checks;
    assert.deepEqual([check!.method, check!.url, check!.headers.host], ["GET", "/up?deep=1", host]);
    await stage.redis.client.hset(`route:${host}`, { host_header: "other.test" });
    await eventually("another Host is told", () =>
      assert.equal(app.checks.at(-1)!.headers.host, "other.test"),
    );
  });

  it("ask each instance once, however many routes and workers there are", async () => {
    const app = await startChecked(stage, "shared");
    for (let i = 0; i < 30; i += 1) {
      await whoAnswers(stage, await route(stage, `shared-${i}.test`, { check: "http:/health" }, app.at), 2);
    }
    await eventually("it is checked", () => assert.ok(app.checks.length > 0, "none yet"));

    const before = app.checks.length;
    await pass(5);

    const during = app.checks.length - before;
    assert.ok(during >= 1 && during <= 3, `${during} in 5 s`);
  });

  it("by tcp want connections alone", async () => {
    const app = await stage.backend("well");
    const dead = await deadPort();
    const closing = await stage.keep(startRaw("closing", (socket) => socket.destroy()));
    const host = await route(stage, "tcp.test", { check: "tcp", eject: "off" }, app.at, dead, closing.at);
    await stage.router.ask({ host });

    await eventually("the dead one is out", async () => isOut(admin, host, dead), 20);

    const { instances } = await tell(admin, `/explain?host=${host}`);
    const reasons = Object.fromEntries(instances.map(({ address, reason }) => [address, reason]));
    assert.deepEqual(reasons, { [app.at]: "usable", [dead]: "check_failed", [closing.at]: "usable" });
  });

  it("are over TLS with the name of the host where the instance is", async () => {
    const certificate = await makeCertificate("DNS:secure.test");
    const names: string[] = [];
    const server = createTlsServer(
      { ...certificate, SNICallback: (name, done) => (names.push(name), done(null)) },
      (_, response) => response.end("ok\n"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const host = await route(
        stage,
        "secure.test",
        { check: "http:/", check_body: "ok" },
        `https://127.0.0.1:${port}`,
      );
      await stage.router.ask({ host });
      const asked = names.length;
      await eventually("it is checked", () => assert.ok(names.length > asked, String(names.length)));

      assert.deepEqual([...new Set(names)], ["secure.test"]);
      assert.equal(
        await (async () => (await tell(admin, `/explain?host=${host}`)).instances[0]!.reason)(),
        "usable",
      );
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("that all fail take out nobody", async () => {
    const [a, b] = [await startChecked(stage, "a"), await startChecked(stage, "b")];
    a.status = 500;
    b.status = 500;
    const host = await route(stage, "panic.test", { check: "http:/health" }, a.at, b.at);
    await whoAnswers(stage, host, 1);

    await eventually(
      "both fail",
      async () => Promise.all([isOut(admin, host, a.at), isOut(admin, host, b.at)]),
      20,
    );

    assert.deepEqual(await whoAnswers(stage, host, 40), new Set(["a", "b"]));
  });

  it("end with the option, and who was out is back", async () => {
    const [ill, a, b] = [
      await startChecked(stage, "ill"),
      await startChecked(stage, "a"),
      await startChecked(stage, "b"),
    ];
    ill.status = 500;
    const host = await route(stage, "ended.test", { check: "http:/health" }, ill.at, a.at, b.at);
    await whoAnswers(stage, host, 20);
    await eventually("it is out", async () => isOut(admin, host, ill.at), 20);

    await stage.redis.client.hdel(`route:${host}`, "check");
    await eventually("it is back", async () =>
      assert.ok((await whoAnswers(stage, host, 20)).has("ill"), "not asked"),
    );

    const checks = a.checks.length;
    await pass(3);
    assert.ok(a.checks.length <= checks + 1, "one may have been under way");
  });

  it("are for routes that somebody asks for, or that want it always", async () => {
    const [idle, always] = [await startChecked(stage, "idle"), await startChecked(stage, "always")];
    await route(stage, "idle.test", { check: "http:/health" }, idle.at);
    await route(stage, "always.test", { check: "http:/health", check_always: "on" }, always.at);

    await stage.moreRouter({ workers: 2, environment: { SWITCHBOARD_PRELOAD: "on" } });

    await eventually("it is checked", () =>
      assert.ok(always.checks.length > 1, String(always.checks.length)),
    );
    assert.equal(idle.checks.length + idle.asked() + always.asked(), 0);
  });
});

describe("active checks of a node whose workers come and go", () => {
  const stage = useStage({
    workers: WORKERS,
    environment: PATIENT,
    killed: true,
    http: `server { listen 127.0.0.1:${otherAdmin}; include switchboard/admin.conf; }`,
  });

  it("survive reloads and killed workers: who is out stays out", async () => {
    const [ill, a, b] = [
      await startChecked(stage, "ill"),
      await startChecked(stage, "a"),
      await startChecked(stage, "b"),
    ];
    ill.status = 500;
    const host = await route(stage, "lasting.test", { check: "http:/health" }, ill.at, a.at, b.at);
    await whoAnswers(stage, host, 20);
    await eventually("it is out", async () => isOut(otherAdmin, host, ill.at), 20);
    await pass(0.02);
    const before = ill.asked();
    const goesOn = async (what: () => Promise<unknown>): Promise<void> => {
      const checks = ill.checks.length;
      await what();
      await eventually(
        "it is checked again",
        async () => {
          await stage.router.ask({ host }).catch(() => undefined);
          assert.ok(ill.checks.length > checks + 1, String(ill.checks.length));
        },
        20,
      );
    };

    await goesOn(async () => stage.router.signal("SIGHUP"));
    await goesOn(async () => stage.router.exec(["sh", "-c", "kill -9 $(pgrep -P $(cat /tmp/nginx.pid))"]));

    assert.equal(ill.asked(), before);
  });

  it("are 64 at a time, however many instances there are and however long they take", async () => {
    let running = 0;
    let together = 0;
    const addresses = new Set<string>();
    const slow = await stage.keep(
      startApp(
        "slow",
        (request, response) => {
          running += 1;
          together = Math.max(together, running);
          addresses.add(request.socket.localAddress!);
          setTimeout(() => {
            running -= 1;
            response.end("ok\n");
          }, 500);
        },
        { address: "0.0.0.0" },
      ),
    );
    const many = Array.from({ length: 200 }, (_, i) => `127.0.77.${i + 1}:${slow.port}`);
    const host = await route(stage, "many.test", { check: "http:/health" }, ...many);
    await stage.router.ask({ host });
    together = 0;

    await eventually("all are checked", () => assert.equal(addresses.size, 200), 30);

    assert.ok(together > 8 && together <= 64, String(together));
  });
});
