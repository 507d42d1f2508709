/**
 * Duty: strangers, the wrong people and broken requests against a real listener on loopback.
 *
 * Everything is derived from the table of routes, so a route that is added is tried as well. The node behind it is not
 * there, and remembers what it heard of: after most of these tests that must be nothing.
 */
import assert from "node:assert/strict";
import { request as plainRequest } from "node:http";
import type { Route } from "../../../ui/route.ts";
import { ROUTES } from "../../../ui/routes.ts";
import { ACCESS_ROLES, allows } from "../../../ui/session.ts";
import { openSite, PASSWORD, type Site } from "../../support/listener.ts";

const GUARDED = ROUTES.filter(({ role }) => role !== null);
const CHANGING = GUARDED.filter(({ method }) => method !== "GET");
const pathOf = ({ path, needs = [] }: Route) =>
  path.replace(/\{(\w+)\}/g, "some$1") +
  (needs.length > 0 ? `?${needs.map((name) => `${name}=some`).join("&")}` : "");

interface Told {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

async function ask(
  site: Site,
  route: Route,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Told> {
  const response = await fetch(site.base + pathOf(route), {
    method: route.method,
    headers,
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") ?? false;
  return { status: response.status, body: isJson ? JSON.parse(text) : {}, headers: response.headers };
}

Deno.test("no route but health and login answers a stranger", async () => {
  await using site = await openSite({ users: [] });
  const open = ROUTES.filter(({ role }) => role === null).map(({ name }) => name);
  assert.deepEqual(open, ["health", "ready", "login", "first"]);
  for (const route of GUARDED) {
    for (
      const authorization of ["", "Bearer x", `Bearer rmt_${"0".repeat(12)}_${"A".repeat(43)}`, "Basic YTpi"]
    ) {
      const { status, body, headers } = await ask(site, route, {
        ...(authorization && { authorization }),
        cookie: `__Host-remediate=${"A".repeat(43)}`,
      });
      assert.equal(status, 401, route.name);
      assert.equal(headers.get("www-authenticate"), "Bearer");
      assert.equal(body.status, 401);
    }
  }
  assert.deepEqual(site.node.calls, []);
  assert.deepEqual(site.audited, []);
});

Deno.test("no route answers a role below its own", async () => {
  await using site = await openSite({ users: [] });
  for (const role of ACCESS_ROLES) {
    const authorization = `Bearer ${site.token(role)}`;
    for (const route of GUARDED.filter((one) => !allows(role, one.role!))) {
      const { status, body } = await ask(site, route, { authorization });
      assert.equal(status, 403, `${route.name} as ${role}`);
      assert.match(String(body.detail), new RegExp(`needs ${route.role}`));
    }
  }
  assert.deepEqual(site.node.calls, []);
});

Deno.test("no route changes anything for a session without its token against forgery", async () => {
  await using site = await openSite({ users: ["admin"] });
  const { cookie, csrf } = await site.enter("admin");
  for (const route of CHANGING) {
    for (const forged of [{}, { "x-csrf-token": "" }, { "x-csrf-token": csrf.slice(1) }]) {
      const { status, body } = await ask(site, route, { cookie, ...forged } as Record<string, string>, "{}");
      assert.equal(status, 403, route.name);
      assert.equal(body.title, "Not meant");
    }
  }
  assert.deepEqual(site.node.calls, []);
  const failback = ROUTES.find(({ name }) => name === "failback")!;
  assert.equal((await ask(site, failback, { cookie, "x-csrf-token": csrf })).status, 200);
  assert.deepEqual(site.node.calls, ['failback {"force":false}']);
});

Deno.test("no page of another site can have a browser log in or change anything", async () => {
  await using site = await openSite({ users: [] });
  const admin = { authorization: `Bearer ${site.token("admin")}` };
  const foreign = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "https://other.example" },
    { origin: "null" },
  ] as Record<string, string>[];
  for (const route of ROUTES.filter(({ method }) => method !== "GET")) {
    for (const headers of foreign) {
      const { status, body } = await ask(site, route, { ...admin, ...headers }, "{}");
      assert.deepEqual([status, body.title], [403, "Not meant"], route.name);
    }
  }
  assert.deepEqual(site.node.calls, []);
  const failback = ROUTES.find(({ name }) => name === "failback")!;
  for (const own of [{ "sec-fetch-site": "same-origin" }, { origin: site.base }]) {
    assert.equal((await ask(site, failback, { ...admin, ...own } as Record<string, string>)).status, 200);
  }
});

Deno.test("every route refuses bodies that are too long, broken or of other members", async () => {
  await using site = await openSite({ users: [] });
  const headers = { authorization: `Bearer ${site.token("admin")}` };
  // A stream is no body of members; what takes it in bounds it.
  for (const route of CHANGING.filter(({ stream }) => stream === undefined)) {
    const long = JSON.stringify({ x: "x".repeat((route.bytesMax ?? 4096) + 1) });
    assert.equal((await ask(site, route, headers, long)).status, 413, route.name);
    for (
      const broken of ["{", "[]", "null", "1", '"x"', '{"nobody_knows":1}', "\u0000", '{"__proto__":{"x":1}}']
    ) {
      assert.equal((await ask(site, route, headers, broken)).status, 400, `${route.name} ${broken}`);
    }
  }
  assert.deepEqual(site.node.calls, []);
});

Deno.test("paths lead nowhere but to routes", async () => {
  const seen: string[] = [];
  const pages = (request: Request) => {
    seen.push(new URL(request.url).pathname);
    return new Response("no such page", { status: 404 });
  };
  await using site = await openSite({ users: [], pages });
  const paths = [
    "/../../etc/passwd",
    "/api/v1/../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/api/v1/config/history/..%2f..%2fledger.json",
    "/api/v1/users/%00",
    "/..\\..\\etc",
    "//other.example/x",
    "/api/v1/status/",
    "/API/v1/status",
    "/healthz/../api/v1/status",
    "*",
    "http://other.example/api/v1/status",
  ];
  for (const path of paths) {
    const status = await rawStatus(site, path);
    assert.ok([400, 401, 404, 405].includes(status), `${path}: ${status}`);
  }
  for (const path of seen) assert.ok(!path.includes(".."), path);
  assert.deepEqual(site.node.calls, []);
});

/** The client of Deno would tidy up the path. */
function rawStatus(site: Site, path: string): Promise<number> {
  return new Promise((done, failed) => {
    const request = plainRequest({ host: "127.0.0.1", port: site.port, path, agent: false }, (response) => {
      response.resume();
      response.on("end", () => done(response.statusCode ?? 0));
    });
    request.on("error", failed);
    request.end();
  });
}

Deno.test("every answer forbids framing, sniffing, foreign scripts and keeping", async () => {
  await using site = await openSite({ users: [] });
  for (const path of ["/healthz", "/api/v1/status", "/nowhere"]) {
    const response = await fetch(site.base + path);
    await response.body?.cancel();
    const { headers } = response;
    assert.match(headers.get("content-security-policy")!, /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(headers.get("content-security-policy")!, /unsafe|\*/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("a thousand bad logins get few answers, and keep nobody else out", async () => {
  await using site = await openSite({ users: ["admin"] });
  const login = ROUTES.find(({ name }) => name === "login")!;
  const statuses = new Map<number, number>();
  for (let round = 0; round < 50; round++) {
    const tries = Array.from({ length: 20 }, (_, index) => {
      const body = JSON.stringify({
        name: index % 2 ? "admin" : `user${round}${index}`,
        password: `guess ${index}`,
      });
      return ask(site, login, {}, body);
    });
    for (const { status } of await Promise.all(tries)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  assert.deepEqual([...statuses.keys()].sort(), [401, 429]);
  // Ten that an address has, and few more for each second that passed meanwhile.
  assert.ok(statuses.get(401)! <= 20, JSON.stringify([...statuses]));
  assert.ok(site.audited.length <= 20);
  site.aheadMs += 31_000;
  const elsewhere = await site.access.login({ name: "admin", password: PASSWORD, address: "192.0.2.7" });
  assert.ok("cookie" in elsewhere, JSON.stringify(elsewhere));
});

Deno.test("slow heads and slow bodies are cut off", async () => {
  // Time enough for a good request on a busy machine.
  await using site = await openSite({ users: [], bounds: { headMs: 1500, requestMs: 2500 } });
  const heads = [
    "GET /healthz HT",
    "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
  ];
  for (const head of heads) {
    const connection = await Deno.connect({ port: site.port });
    await connection.write(new TextEncoder().encode(head));
    assert.match(await readAll(connection), /^$|^HTTP\/1.1 408/, head);
  }
  const alive = await fetch(`${site.base}/healthz`);
  assert.equal(alive.status, 200);
  await alive.body?.cancel();
});

async function readAll(connection: Deno.Conn): Promise<string> {
  try {
    return await new Response(connection.readable).text();
  } catch {
    return ""; // reset, which is as good
  }
}

Deno.test("who opens many connections keeps them, and gets no more", async () => {
  await using site = await openSite({ users: [], bounds: { connectionsByAddress: 8 } });
  const open = await Promise.all(Array.from({ length: 8 }, () => Deno.connect({ port: site.port })));
  await new Promise((done) => setTimeout(done, 50));
  const more = await Deno.connect({ port: site.port });
  assert.equal(await readAll(more), "");
  open.forEach((connection) => connection.close());
});
