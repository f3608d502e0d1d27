import { strict as assert } from "node:assert";
import { after, before, describe, it } from "node:test";
import { startEcho, type Backend, type Echo } from "./support/backends.ts";
import { eventually } from "./support/eventually.ts";
import { startRedis, type RedisServer } from "./support/redis-server.ts";
import { install, type Installation, type Site } from "./support/site.ts";
import { deadPort } from "./support/troubled-backends.ts";

let redis: RedisServer;
let backends: Backend[];
let installed: Installation;

before(async () => {
  redis = await startRedis();
  backends = [await startEcho("a"), await startEcho("b")];
  installed = await install();
});

after(async () => {
  await installed.remove();
  for (const backend of backends) {
    await backend.close();
  }
  await redis.close();
});

/** The site's own Lua at http level, and its dicts, beside which Switchboard must find its place. */
function page(http: string, server: string): string {
  return `
worker_processes 2;
error_log stderr notice;
pid /tmp/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  lua_shared_dict site 1m;
  ${http}
  server {
    listen 127.0.0.1:{port} default_server;
    location = /site { content_by_lua_block { ngx.say(ngx.shared.site:get("logged") or 0) } }
    ${server}
  }
  server {
    listen 127.0.0.1:{health};
    include switchboard/health.conf;
  }
}
`;
}

/** Lua of the site in its own blocks. */
const SITE_ACCESS = `if ngx.var.http_x_key ~= "open" then return ngx.exit(403) end`;
const SITE_HEADER_FILTER = `ngx.header["X-Site"] = SITE_NAME or "site"`;
const SITE_LOG = `ngx.shared.site:incr("logged", 1, 0)`;

/** Two lines of conf. The site keeps Lua only in a location of its own, where it takes the place of ours. */
const INCLUDES = page(
  `include switchboard/http.conf;`,
  `location /own {
     access_by_lua_block { ${SITE_ACCESS} }
     header_filter_by_lua_block { ${SITE_HEADER_FILTER} }
     log_by_lua_block { ${SITE_LOG} }
     content_by_lua_block { ngx.say("own") }
   }
   location / { include switchboard/proxy.conf; }`,
);

const OWN_DICTS = `
  lua_shared_dict switchboard_routes 1m;
  lua_shared_dict switchboard_matches 1m;
  lua_shared_dict switchboard_names 1m;
  lua_shared_dict switchboard_state 1m;
  lua_shared_dict switchboard_metrics 2m;`;

const OWN_INIT = `
  init_by_lua_block {
    SITE_NAME = "example"
    require("resty.switchboard").configure { redis_url = os.getenv("SITE_REDIS"), ttl = "1s" }
  }
  init_worker_by_lua_block {
    ngx.shared.site:set("started", true)
    require("resty.switchboard").start()
  }`;

const OWN_HANDLERS = `
  header_filter_by_lua_block {
    ${SITE_HEADER_FILTER}
    require("resty.switchboard").header_filter()
  }
  log_by_lua_block {
    ${SITE_LOG}
    require("resty.switchboard").log()
  }`;

/** Own dicts, init, and a header filter that leaves failures to errors.conf; the rest is ours. */
const PARTS = page(
  `${OWN_DICTS} ${OWN_INIT}
   header_filter_by_lua_block { ${SITE_HEADER_FILTER} }
   include switchboard/upstream.conf;
   log_by_lua_block { ${SITE_LOG} require("resty.switchboard").log() }`,
  `include switchboard/errors.conf;
   location /own {
     access_by_lua_block { ${SITE_ACCESS} }
     content_by_lua_block { ngx.say("own") }
   }
   location / { include switchboard/proxy.conf; }`,
);

/** Own blocks for every phase, and an upstream of the site's own. */
const BLOCKS = page(
  `${OWN_DICTS} ${OWN_INIT} ${OWN_HANDLERS}
   include switchboard/upstream.conf;
   upstream site_apps {
     server 0.0.0.1:1;
     balancer_by_lua_block { require("resty.switchboard").balance() }
     balancer_keepalive 16;
   }`,
  `location /own {
     access_by_lua_block { ${SITE_ACCESS} }
     content_by_lua_block { ngx.say("own") }
   }
   location / {
     include switchboard/headers.conf;
     access_by_lua_block {
       ${SITE_ACCESS}
       require("resty.switchboard").access()
     }
     proxy_pass https://site_apps;
     proxy_ssl_server_name on;
     proxy_ssl_name $host;
     proxy_next_upstream error timeout;
     proxy_connect_timeout 1s;
   }`,
);

/** Each worker hands in its counts once a second. */
async function counts(site: Site, series: string, expected: number): Promise<void> {
  await eventually(`${series} is ${expected}`, async () => {
    assert.equal(await metric(site, series), expected);
  });
}

async function metric(site: Site, series: string): Promise<number> {
  const line = (await site.health("/metrics")).split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

interface Way {
  name: string;
  conf: string;
  environment(): Record<string, string>;
  /** Header lines with which the site lets a request to an app through. */
  headers: Record<string, string>;
  /** What the site's header filter puts on an app's response. */
  mark: string | undefined;
}

const WAYS: Way[] = [
  {
    name: "by its includes alone",
    conf: INCLUDES,
    environment: () => ({ SWITCHBOARD_REDIS_URL: redis.url }),
    headers: {},
    mark: undefined,
  },
  {
    name: "by single parts, beside own dicts, init, header filter and log",
    conf: PARTS,
    environment: () => ({ SITE_REDIS: redis.url }),
    headers: {},
    mark: "example",
  },
  {
    name: "by calls from own blocks, with an own upstream",
    conf: BLOCKS,
    environment: () => ({ SITE_REDIS: redis.url }),
    headers: { "X-Key": "open" },
    mark: "example",
  },
];

for (const [number, { name, conf, environment, headers, mark }] of WAYS.entries()) {
  describe(`a site into which Switchboard is dropped ${name}`, () => {
    const host = `way-${number}.test`;
    let site: Site;

    before(async () => {
      await redis.client.sadd(`backends:${host}`, ...backends.map((backend) => backend.at));
      site = await installed.start(conf, environment());
    });

    after(async () => site.close());

    it("routes to all instances, in turn, and counts these requests, not the site's own", async () => {
      for (let i = 0; i < 5; i += 1) {
        await site.ask({ host, path: "/own", headers: { "X-Key": "open" } });
      }
      const names: string[] = [];
      for (let i = 0; i < 20; i += 1) {
        const answer = await site.ask({ host, headers });
        assert.equal(answer.status, 200, answer.body);
        assert.equal(answer.headers["x-site"], mark);
        names.push((JSON.parse(answer.body) as Echo).name);
      }
      assert.deepEqual([...new Set(names)].sort(), ["a", "b"]);
      await counts(site, 'switchboard_requests_total{code="2xx"}', 20);
      await counts(site, "switchboard_tries_total", 20);
    });

    it("tries another instance, and says why when none can be reached", async () => {
      const dead = await deadPort();
      await redis.client.sadd(`backends:half-${host}`, dead, backends[0]!.at);
      await redis.client.sadd(`backends:dead-${host}`, dead);
      for (let i = 0; i < 4; i += 1) {
        assert.equal((await site.ask({ host: `half-${host}`, headers })).status, 200);
      }
      await eventually("a retry is counted", async () => {
        assert.ok((await metric(site, `switchboard_retries_total{reason="connect_failed"}`)) >= 1);
      });
      const failed = await site.ask({ host: `dead-${host}`, headers });
      assert.equal(failed.status, 502);
      assert.equal(failed.headers["x-switchboard-error"], "connect_failed");
      assert.equal((await site.ask({ host: `no-${host}`, headers })).status, 404);
    });

    it("has its own Lua still: access, header filter and log", async () => {
      const logged = async (): Promise<number> => Number((await site.ask({ host, path: "/site" })).body);
      const before = await logged();
      assert.equal((await site.ask({ host, path: "/own" })).status, 403);
      const own = await site.ask({ host, path: "/own", headers: { "X-Key": "open" } });
      assert.equal(own.body, "own\n");
      assert.equal(own.headers["x-site"], mark ?? "site");
      assert.ok((await logged()) >= before + 2);
      if (headers["X-Key"] !== undefined) {
        assert.equal((await site.ask({ host })).status, 403, "its access comes before ours");
      }
    });

    it("leaves nothing in flight", async () => {
      await Promise.all(Array.from({ length: 50 }, async () => site.ask({ host, headers })));
      await site.ask({ host: `dead-${host}`, headers });
      await eventually("nothing is in flight", async () => {
        assert.equal(await metric(site, "switchboard_in_flight"), 0);
      });
    });
  });
}

describe("a mistake in how Switchboard is dropped in", () => {
  const environment = (): Record<string, string> => ({ SWITCHBOARD_REDIS_URL: redis.url });
  const proxy = "location / { include switchboard/proxy.conf; }";

  /** What nginx says to it: the first line of its refusal. */
  const refusal = async (http: string, server: string): Promise<string> => {
    const conf = page(http, server).replaceAll("{port}", "1").replaceAll("{health}", "2");
    const { exitCode, stderr } = await installed.refusal(conf, environment());
    assert.equal(exitCode, 1, stderr);
    return stderr.split("\n").find((line) => /\[emerg\]|\[error\]/.test(line)) ?? "";
  };

  for (const dict of [
    "switchboard_routes",
    "switchboard_matches",
    "switchboard_state",
    "switchboard_names",
    "switchboard_metrics",
  ]) {
    it(`such as no dict ${dict} stops the start with the remedy`, async () => {
      const dicts = OWN_DICTS.replace(new RegExp(`lua_shared_dict ${dict} .*`), "");
      const parts = ["init", "upstream", "log"].map((part) => `include switchboard/${part}.conf;`).join(" ");
      assert.match(
        await refusal(`${dicts} ${parts}`, proxy),
        new RegExp(`configure: the shared dict ${dict} is missing: include switchboard/dicts\\.conf in http`),
      );
    });
  }

  for (const part of ["http", "dicts", "init", "upstream", "log", "reasons"]) {
    it(`such as ${part}.conf beside http.conf stops the start, and the line names the part`, async () => {
      const line = await refusal(`include switchboard/http.conf; include switchboard/${part}.conf;`, proxy);
      assert.match(line, /duplicate|already defined/);
      assert.match(line, new RegExp(`switchboard/${part === "http" ? "dicts" : part}\\.conf:\\d+`));
    });
  }

  for (const part of ["proxy", "headers", "handlers"]) {
    it(`such as ${part}.conf beside proxy.conf stops the start, and the line names the part`, async () => {
      const server = `location / { include switchboard/proxy.conf; include switchboard/${part}.conf; }`;
      const line = await refusal(`include switchboard/http.conf;`, server);
      assert.match(line, /duplicate/);
      assert.match(line, new RegExp(`switchboard/${part === "proxy" ? "headers" : part}\\.conf:\\d+`));
    });
  }

  it("such as health.conf twice in a server stops the start, and the line names the part", async () => {
    const twice = "include switchboard/health.conf; ".repeat(2);
    const line = await refusal(`include switchboard/http.conf;`, `${twice} ${proxy}`);
    assert.match(line, /duplicate location "\/healthz" in .*switchboard\/health\.conf:\d+/);
  });

  it("such as errors.conf twice in a server, which nginx takes, does no harm", async () => {
    const twice = "include switchboard/errors.conf; ".repeat(2);
    await redis.client.sadd("backends:dead.test", await deadPort());
    const site = await installed.start(
      page(`include switchboard/http.conf;`, `${twice} ${proxy}`),
      environment(),
    );
    const answer = await site.ask({ host: "dead.test" });
    assert.equal(answer.status, 502);
    assert.equal(answer.headers["x-switchboard-error"], "connect_failed");
    assert.match(answer.body, /connect_failed/);
    await eventually("nothing is in flight", async () => {
      assert.equal(await metric(site, "switchboard_in_flight"), 0);
    });
    await site.close();
  });

  it("such as an ngx_lua that says it is too old stops the start with the version that is needed", async () => {
    const line = await refusal(
      `${OWN_DICTS}
       init_by_lua_block {
         ngx.config.ngx_lua_version = 10027
         require("resty.switchboard").configure()
       }
       include switchboard/upstream.conf;`,
      proxy,
    );
    assert.match(
      line,
      /configure: ngx_lua 10027 is too old: OpenResty 1\.27\.1\.2 \(ngx_lua 0\.10\.28\) or later/,
    );
  });

  it("such as start() without configure() is told in the log, with the remedy", async () => {
    const site = await installed.refusal(
      page(
        `${OWN_DICTS} include switchboard/upstream.conf; include switchboard/log.conf;
         init_worker_by_lua_block { require("resty.switchboard").start() }`,
        proxy,
      )
        .replaceAll("{port}", "1")
        .replaceAll("{health}", "2"),
      {},
      2,
    );
    assert.match(
      site.stderr,
      /switchboard is not configured: include switchboard\/init\.conf in http \{\}, or call configure\{\}/,
    );
  });
});
