/**
 * Duty: the OpenAPI document and the routes agree, in both directions, and a fuzzer that knows only the document finds
 * nothing that the node should not hear of.
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { makeApi } from "../../../ui/api.ts";
import { openApi } from "../../../ui/openapi.ts";
import { ROUTES } from "../../../ui/routes.ts";
import { faultIn, type ObjectSchema, type Schema } from "../../../appliance/schema.ts";
import { openSite } from "../../support/listener.ts";
import { fakeDesk } from "../../support/update_desk.ts";
import { fakeNode, streamOf } from "../../unit/ui/fake_node.ts";

interface Operation {
  readonly operationId: string;
  readonly "x-role"?: string;
  readonly security: readonly object[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Schema }[];
  readonly requestBody?: { content: { "application/json"?: { schema: ObjectSchema } } };
  readonly responses: Readonly<Record<string, { content: Readonly<Record<string, { schema?: Schema }>> }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const DOCUMENT = openApi(ROUTES, "1.2.3") as Document;
const OPERATIONS = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
);

Deno.test("openApi() has each route once, with its role, parameters, body and answers", () => {
  assert.match(DOCUMENT.openapi, /^3\.1\./);
  assert.equal(OPERATIONS.length, ROUTES.length);
  assert.equal(new Set(OPERATIONS.map(({ operation }) => operation.operationId)).size, ROUTES.length);
  for (const route of ROUTES) {
    const operation = DOCUMENT.paths[route.path]?.[route.method.toLowerCase()];
    assert.ok(operation, route.name);
    assert.equal(operation["x-role"] ?? null, route.role);
    assert.equal(operation.security.length === 0, route.role === null);
    const named = (place: string) =>
      (operation.parameters ?? []).filter((one) => one.in === place).map(({ name }) => name);
    assert.deepEqual(named("query"), Object.keys(route.query ?? {}));
    assert.deepEqual(named("path"), [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    assert.ok(Object.keys(operation.responses).includes("default"));
  }
  assert.ok(isDeepStrictEqual(JSON.parse(JSON.stringify(DOCUMENT)), DOCUMENT), "it is JSON");
});

Deno.test("what routes answer is what the document says they answer", async () => {
  const site = await openSite({ users: [] });
  await using _ = site;
  const api = makeApi(site.node, {
    access: site.access,
    streams: site.streams,
    support: () => Promise.resolve(new Uint8Array(8)),
    update: fakeDesk().desk,
  });
  let compared = 0;
  for (const { path, operation } of OPERATIONS.filter(({ method }) => method === "get")) {
    const wants = operation.parameters?.some(({ required }) => required) ?? false;
    if (path.startsWith("/api/v1/config") || wants) continue;
    site.node.captured = streamOf(Uint8Array.of(1)); // a stream is read once
    const response = await api.request(path);
    assert.equal(response.status, 200, path);
    const [[type, { schema }]] = Object.entries(operation.responses[200]!.content) as [
      [string, { schema?: Schema }],
    ];
    assert.equal(response.headers.get("content-type"), type, path);
    if (type !== "application/json" || schema === undefined) {
      await response.body?.cancel();
      continue;
    }
    assert.equal(faultIn(schema, await response.json()), null, path);
    compared++;
  }
  assert.ok(compared >= 15, String(compared));
});

/** A small generator of the Lehmer kind: the same seed, the same requests. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = state * 48271 % 2147483647;
    return state % below;
  };
}

const ODD = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  "",
  "x",
  "\u0000",
  "../../etc/passwd",
  "%00",
  "'; --",
  "𝔘".repeat(300),
  [],
  {},
  [[[[]]]],
  { toString: 1, constructor: 2 },
] as const;

function texted(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function valueFor(schema: Schema, pick: (below: number) => number): unknown {
  if (pick(3) === 0) return ODD[pick(ODD.length)];
  if ("anyOf" in schema) return null;
  switch (schema.type) {
    case "boolean":
      return pick(2) === 0;
    case "integer":
      return [schema.minimum - 1, schema.minimum, schema.maximum, schema.maximum + 1, 7][pick(5)];
    case "string":
      return schema.enum?.[pick(schema.enum.length)] ?? "primary";
    default:
      return ODD[pick(ODD.length)];
  }
}

interface Made {
  readonly path: string;
  readonly method: string;
  readonly body?: string;
}

function requestFor(pick: (below: number) => number): Made {
  const { path, method, operation } = OPERATIONS[pick(OPERATIONS.length)]!;
  const odd = () => ODD[pick(ODD.length)];
  const filled = path.replace(/\{\w+\}/g, () => encodeURIComponent(texted(odd())));
  const url = new URL(filled, "http://n");
  for (const { name, in: place, schema } of operation.parameters ?? []) {
    if (place === "query" && pick(2) === 0) url.searchParams.append(name, texted(valueFor(schema, pick)));
  }
  if (pick(10) === 0) url.searchParams.append(texted(odd()), "x");
  const { properties = {} } = operation.requestBody?.content["application/json"]?.schema ?? {};
  const members = Object.entries(properties).filter(() => pick(4) > 0);
  const body = JSON.stringify(Object.fromEntries(members.map(([name, one]) => [name, valueFor(one, pick)])));
  const cut = pick(20) === 0 ? body.slice(0, pick(body.length + 1)) : body;
  return {
    path: url.pathname + url.search,
    method: method.toUpperCase(),
    ...(method !== "get" && { body: cut }),
  };
}

/** Every refusal is a problem detail. Returns the status. */
async function judged(response: Response, { path }: Made): Promise<number> {
  if (response.status < 400) await response.body?.cancel();
  else {
    assert.equal(response.headers.get("content-type"), "application/problem+json", path);
    assert.equal((await response.json()).status, response.status, path);
  }
  return response.status;
}

/** An argument as the node got it: a plain value, or a header field list. */
const VALUE = String.raw`(true|false|null|\d+|"[\w./:-]*"|\[\d+,\d+\])`;
const MEMBERS = String.raw`\{("\w+":${VALUE},?)*\}`;
const CALL = new RegExp(String.raw`^[\w -]+?( \{("\w+":(${VALUE}|${MEMBERS}),?)*\})?$`);

function heardOf(calls: readonly string[]): void {
  // Searches are texts of any kind; whatever else the node heard of is of its kind.
  for (const call of calls.filter((call) => !call.startsWith("flows") && !call.includes("filter"))) {
    assert.match(call, CALL, call);
  }
}

Deno.test("requests made from the document by a seed are taken or refused, and never break the node", async () => {
  const node = fakeNode(), api = makeApi(node), pick = chance(20260131);
  const statuses = new Map<number, number>();
  for (let round = 0; round < 3000; round++) {
    const made = requestFor(pick);
    node.captured = streamOf(Uint8Array.of(1));
    const status = await judged(await api.request(made.path, made), made);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  // 503: this API has no users, streams and configuration.
  for (const status of statuses.keys()) {
    assert.ok([200, 400, 404, 405, 409, 428, 503].includes(status), String(status));
  }
  assert.ok(statuses.get(200)! > 300 && statuses.get(400)! > 300, JSON.stringify([...statuses]));
  heardOf(node.calls);
});

Deno.test("the same requests over the network leave the listener, its users and its streams as they were", async () => {
  await using site = await openSite({ users: [] });
  // Without logins, which are slow and tried elsewhere.
  const authorization = `Bearer ${site.token("admin")}`, pick = chance(7);
  let added = 0;
  for (let round = 0; round < 800; round++) {
    const made = requestFor(pick);
    if (/^\/api\/v1\/(first|session)/.test(made.path) && made.method !== "GET") continue;
    site.node.captured = streamOf(Uint8Array.of(1));
    const response = await fetch(site.base + made.path, { ...made, headers: { authorization } });
    const status = await judged(response, made);
    assert.ok(status < 500 || status === 503, `${made.method} ${made.path}: ${status}`);
    added += Number(made.method === "POST" && made.path === "/api/v1/users" && status === 200);
  }
  // Chance may make a good request for a user; nobody comes in by a bad one.
  assert.ok(site.access.users().length <= added);
  for (let turn = 0; site.streams.readers > 0 && turn < 1_500; turn++) {
    await new Promise((done) => setTimeout(done, 20));
  }
  assert.equal(site.streams.readers, 0);
  heardOf(site.node.calls);
});
