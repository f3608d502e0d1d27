/** The OpenAPI description of the admin server says what is served: no page, field, parameter or status more or less. */

import { strict as assert } from "node:assert";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { ROOT } from "./support/containers.ts";
import { eventually } from "./support/eventually.ts";
import { ask, type Answer } from "./support/http-client.ts";
import { freePort } from "./support/ports.ts";
import { useStage } from "./support/stage.ts";
import { deadPort } from "./support/troubled-backends.ts";

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
}

interface Operation {
  summary: string;
  parameters: { name: string; in: string; required: boolean }[];
  responses: Record<string, { content: Record<string, { schema: Schema }> }>;
}

interface Description {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const described = JSON.parse(await readFile(`${ROOT}nginx/admin/openapi.json`, "utf8")) as Description;

function typeOf(value: unknown): string[] {
  if (value === null) {
    return ["null"];
  }
  if (Array.isArray(value)) {
    return ["array"];
  }
  return Number.isInteger(value) ? ["integer", "number"] : [typeof value];
}

/** What of a value its schema does not say, or the value does not have. */
function differences(value: unknown, given: Schema, at: string, seen: Set<string>): string[] {
  const name = given.$ref?.split("/").pop();
  const schema = name !== undefined ? described.components.schemas[name]! : given;
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => typeOf(value).includes(type))) {
    return [`${at}: is ${typeOf(value)[0]}, not ${types.join(" or ")}`];
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    return [`${at}: ${String(value)} is none of ${schema.enum.join()}`];
  }
  if (Array.isArray(value)) {
    return value.flatMap((each, i) => differences(each, schema.items ?? {}, `${at}[${i}]`, seen));
  }
  if (typeof value !== "object" || value === null) {
    return [];
  }
  const fields = value as Record<string, unknown>;
  const missing = (schema.required ?? [])
    .filter((field) => !(field in fields))
    .map((field) => `${at}.${field}: missing`);
  const more = schema.additionalProperties;
  return missing.concat(
    Object.entries(fields).flatMap(([field, each]) => {
      const of = schema.properties?.[field] ?? (typeof more === "object" ? more : undefined);
      if (of !== undefined) {
        seen.add(`${name ?? at}.${field}`);
        return differences(each, of, `${at}.${field}`, seen);
      }
      return more === false ? [`${at}.${field}: not described`] : [];
    }),
  );
}

const port = await freePort();
const TOKEN = "t0ken";
const headers = { authorization: `Bearer ${TOKEN}` };

describe("the description of the admin server", () => {
  const stage = useStage({
    workers: 1,
    http: `server { listen 127.0.0.1:${port}; include switchboard/admin.conf; }`,
    environment: { SWITCHBOARD_ADMIN_TOKEN: TOKEN },
  });
  const seen = new Set<string>();
  /** Asks, and holds the answer to what is described. */
  const hold = async (template: string, path: string, method = "get"): Promise<Answer> => {
    const operation = described.paths[template]?.[method];
    assert.ok(operation !== undefined, `${method} ${template} is not described`);
    const answer = await ask(port, { host: "localhost", path, method: method.toUpperCase(), headers });
    const content = operation.responses[String(answer.status)]?.content;
    assert.ok(content !== undefined, `${method} ${path}: ${answer.status} is not described: ${answer.body}`);
    const type = String(answer.headers["content-type"]).split(";")[0]!;
    assert.ok(content[type] !== undefined, `${method} ${path}: ${type} is not described`);
    const value: unknown = type === "application/json" ? JSON.parse(answer.body) : answer.body;
    assert.deepEqual(differences(value, content[type].schema, template, seen), []);
    return answer;
  };

  it("is served as it is shipped, in the version of the module", async () => {
    const answer = await hold("/openapi.json", "/openapi.json");
    assert.deepEqual(JSON.parse(answer.body), described);
    assert.equal(described.openapi, "3.1.0");
    const { version } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8")) as { version: string };
    assert.equal(described.info.version, version);
  });

  it("says of each page what it answers, also where it refuses", async () => {
    const [a, b] = [await stage.backend("a"), await stage.backend("b")];
    const dead = await deadPort();
    const { client } = stage.redis;
    await client.sadd("backends:d.test", `${a.at}?zone=z&id=web.1`, `localhost:${b.port}`, dead, "wrong!");
    await client.hset("route:d.test", {
      "meta.owner": "me",
      tries: "3",
      hsts: "on",
      max_conns: "9",
      max_inflight: "99",
    });
    await client.hset("route:e.test", "balance", "ewma");
    await stage.serve("e.test", a, b);
    await stage.router.echo({ host: "e.test" });
    await client.hset("route:s.test", { split: "@p=1" });
    await client.sadd("backends:@p", a.at);
    await eventually("one is ejected", async () => {
      await stage.router.echo({ host: "d.test" });
      const { body } = await hold("/routes", "/routes?state=ejected&q=d.&meta.owner=me&limit=1");
      assert.match(body, /"ejected_why":"connect_failed"/);
    });
    await stage.router.echo({ host: "s.test" });
    await eventually("requests are counted", async () => {
      assert.match((await hold("/routes", "/routes")).body, /"requests_per_second":/);
    });
    const reads: [string, string, number][] = [
      ["/healthz", "/healthz", 200],
      ["/readyz", "/readyz", 200],
      ["/status", "/status", 200],
      ["/routes", "/routes?limit=x", 400],
      ["/routes", `/routes?q=${"x".repeat(5000)}`, 414],
      ["/routes", "/routes?order=busiest&limit=2", 200],
      ["/names", "/names?q=.test&state=ok&meta.a=b", 200],
      ["/names", "/names?limit=1&order=busiest", 200],
      ["/names", "/names?limit=x", 400],
      ["/names", `/names?q=${"x".repeat(5000)}`, 414],
      ["/routes/{name}", "/routes/d.test", 200],
      ["/routes/{name}", "/routes/s.test", 200],
      ["/routes/{name}", "/routes/e.test", 200],
      ["/routes/{name}", "/routes/none.test", 404],
      ["/instances/{address}", `/instances/${a.at}`, 200],
      ["/instances/{address}", `/instances/${b.at}`, 200],
      ["/instances/{address}", `/instances/${dead}`, 200],
      ["/instances/{address}", "/instances/x", 400],
      ["/instances/{address}", "/instances/10.1.1.1:1", 404],
      ["/explain", "/explain?host=d.test", 200],
      ["/explain", "/explain?host=s.test&path=/x", 200],
      ["/explain", "/explain?host=none.test&header=A:b&client=::1&scheme=https&method=POST", 200],
      ["/explain", "/explain?host=!", 400],
      ["/events", "/events?after=1&limit=5", 200],
      ["/metrics", "/metrics", 200],
    ];
    for (const [template, path, status] of reads) {
      assert.equal((await hold(template, path)).status, status, path);
    }
    // Who is looked at by name is told of by all workers, from the second look on.
    for (const [template, path] of [
      ["/routes", "/routes?name=e.test&name=none.test&instances=1"],
      ["/instances/{address}", `/instances/${a.at}`],
    ] as [string, string][]) {
      await eventually(`${path} has numbers of all workers`, async () => {
        assert.match((await hold(template, path)).body, /"requests_per_second":[\d.]+,.*"running":0/);
      });
    }
    const orders: [string, string, number][] = [
      ["/instances/{address}/eject", `/instances/${b.at}/eject?seconds=60`, 200],
      ["/instances/{address}/restore", `/instances/${b.at}/restore`, 200],
      ["/instances/{address}/restore", `/instances/${b.at}/restore`, 409],
      ["/instances/{address}/eject", `/instances/${b.at}/eject?seconds=x`, 400],
      ["/instances/{address}/eject", "/instances/10.1.1.1:1/eject", 404],
      ["/routes/{name}/forget", "/routes/d.test/forget", 200],
      ["/routes/{name}/forget", "/routes/none.test/forget", 404],
      ["/guard/release", "/guard/release", 409],
    ];
    for (const [template, path, status] of orders) {
      assert.equal((await hold(template, path, "post")).status, status, path);
    }
    await stage.redis.client.flushall();
    await eventually("the guard holds", async () => {
      assert.equal((await hold("/guard/release", "/guard/release", "post")).status, 200);
    });
    await stage.redis.stop();
    const lost = await hold("/explain", "/explain?host=new.test");
    assert.match(lost.body, /"reason":"store_unreachable"/);
    await stage.redis.start();
  });

  it("has no page and no field that was never seen", () => {
    const fields = Object.entries(described.components.schemas).flatMap(([name, schema]) =>
      Object.keys(schema.properties ?? {}).map((field) => `${name}.${field}`),
    );
    assert.deepEqual(
      fields.filter((field) => !seen.has(field)),
      [],
    );
  });

  it("has the pages that the README lists", async () => {
    const readme = await readFile(`${ROOT}README.md`, "utf8");
    const section = readme.split("\n## Admin server\n")[1]!.split("\n## ")[0]!;
    const listed = [...section.matchAll(/^\| (`\/[^|]*) \|/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`(\/[^`?]*)[^`]*`/g)].map(([, path]) =>
        path!.replaceAll("<", "{").replaceAll(">", "}"),
      ),
    );
    assert.deepEqual(listed.sort(), Object.keys(described.paths).sort());
  });
});
