/**
 * The API: what a running node answers over HTTP.
 *
 * Pure: the node behind it is a `NodeControl`, and nothing listens here. The table of routes (routes.ts) says what there
 * is; each request passes the same gates in the same order: who asks, may they, is it meant, is it well formed, was it
 * asked before. Every error is a problem detail (RFC 9457).
 */
import { type Context, Hono } from "hono";
import type { NodeControl } from "../appliance/view.ts";
import { Idempotency, type Kept, keyFault } from "./idempotency.ts";
import { bodyOf, limitedText, queryOf } from "./incoming.ts";
import { bad, problem, Refused } from "./refused.ts";
import { type ApiMeans, type Asked, json, type Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { allows, LOCAL, type Visitor } from "./session.ts";

export { healthFault, readyFault } from "./health.ts";
export { LIMIT_MAX } from "./route.ts";

/** What a listener tells of a request. */
export interface Came {
  /** "": by the unix socket. */
  readonly address?: string;
}

type App = Hono<{ Bindings: Came }>;

/** Who serves the unix socket says nothing of who may come: whoever can open it is trusted. */
export function makeApi(
  control: NodeControl,
  more: Partial<Omit<ApiMeans, "control">> = {},
  routes: readonly Route[] = ROUTES,
): App {
  const means: ApiMeans = {
    control,
    config: null,
    access: null,
    streams: null,
    support: null,
    reset: null,
    fleet: null,
    who: () => LOCAL,
    audit: () => {},
    nowMs: () => 0,
    ...more,
  };
  const app: App = new Hono();
  const kept = new Idempotency();
  for (const route of routes) {
    app.on(route.method, route.path.replace(/\{(\w+)\}/g, ":$1"), (c) => answer(c, route, { means, kept }));
  }
  app.notFound((c) => problem(c.req.path, noRoute(c, routes)));
  app.onError((error, c) => problem(c.req.path, asRefused(error)));
  return app;
}

interface Around {
  readonly means: ApiMeans;
  readonly kept: Idempotency;
}

async function answer(
  c: Context<{ Bindings: Came }>,
  route: Route,
  { means, kept }: Around,
): Promise<Response> {
  const request = c.req.raw, address = c.env?.address ?? "";
  const visitor = means.who(request, address);
  const told = { visitor, address, route, path: c.req.path };
  try {
    admit(route, visitor, request.headers);
    const query = queryOf(c.req.url, route);
    const isPlain = route.method !== "GET" && route.stream === undefined;
    const text = isPlain ? await limitedText(request, route.bytesMax) : "";
    const body = isPlain && route.text === undefined ? bodyOf(text, route.body) : {};
    const asked: Asked = {
      visitor,
      path: c.req.param() as Readonly<Record<string, string>>,
      query,
      body,
      text,
      stream: route.stream === undefined ? null : request.body,
      headers: request.headers,
      address,
    };
    const work = async () => {
      const result = await route.work(asked, means);
      return result instanceof Response ? result : json(result, 200);
    };
    const key = route.idempotent ? request.headers.get("idempotency-key") : null;
    const response = key === null ? await work() : await once(kept, {
      ...{ key, text, nowMs: means.nowMs(), scope: `${visitor?.name ?? ""} ${c.req.path}` },
      work: () => work().catch((error) => problem(c.req.path, asRefused(error))),
    });
    note(means, { ...told, status: response.status, text });
    // Nobody would read it, and so nobody would ever let go of it.
    if (c.req.method === "HEAD") await response.body?.cancel();
    return response;
  } catch (error) {
    const refused = asRefused(error);
    note(means, { ...told, status: refused.status, text: "" });
    return problem(c.req.path, refused);
  }
}

/** @throws Refused unless `visitor` may ask this, and means it */
function admit(route: Route, visitor: Visitor | null, headers: Headers): void {
  if (route.role === null && visitor === null) return;
  if (visitor === null) {
    throw new Refused(401, "Not logged in", "Log in, or send a token").with({ "www-authenticate": "Bearer" });
  }
  if (route.role !== null && !allows(visitor.role, route.role)) {
    throw new Refused(403, "Not allowed", `${visitor.name} is ${visitor.role}; this needs ${route.role}`);
  }
  if (route.method === "GET" || visitor.csrf === null) return;
  if (headers.get("x-csrf-token") !== visitor.csrf) {
    throw new Refused(403, "Not meant", 'The header "x-csrf-token" is not that of the session');
  }
}

interface Repeatable {
  readonly key: string;
  readonly text: string;
  readonly scope: string;
  readonly nowMs: number;
  readonly work: () => Promise<Response>;
}

async function once(store: Idempotency, { key, text, scope, nowMs, work }: Repeatable): Promise<Response> {
  const fault = keyFault(key);
  if (fault !== null) throw bad(fault);
  const { kept, again } = await store.answer({ key: `${scope} ${key}`, body: text, nowMs }, async () => {
    const response = await work();
    return { status: response.status, headers: [...response.headers], text: await response.text() };
  });
  return asResponse(kept, again);
}

function asResponse({ status, headers, text }: Kept, again: boolean): Response {
  const response = new Response(text, { status, headers: headers.map(([name, value]) => [name, value]) });
  if (again) response.headers.set("idempotency-replayed", "true");
  return response;
}

interface Noted {
  readonly visitor: Visitor | null;
  readonly address: string;
  readonly route: Route;
  readonly path: string;
  readonly status: number;
  readonly text: string;
}

/** Changes, done or refused, are noted. Strangers' attempts are the login's to note, which bounds them. */
function note(means: ApiMeans, { visitor, address, route, path, status, text }: Noted): void {
  if (route.method === "GET" || visitor === null) return;
  const detail = route.secret || route.text !== undefined || text.trim() === ""
    ? {}
    : { detail: text.slice(0, 256) };
  const what = `${route.method} ${path.slice(0, 200)}`;
  means.audit({ who: visitor.name, from: address, what, result: status, ...detail });
}

function asRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  return new Refused(
    500,
    "The node failed to answer",
    error instanceof Error ? error.message : String(error),
  );
}

/** A path that is a route's by another method, or none at all. */
function noRoute(c: Context, routes: readonly Route[]): Refused {
  const here = routes.filter(({ path }) => fitsPath(path, c.req.path));
  if (here.length === 0) {
    const known = [...new Set(routes.map(({ path }) => path))].join(", ");
    return new Refused(404, "Not found", `There is no ${c.req.path}; there are ${known}`);
  }
  const methods = here.map(({ method }) => method);
  return new Refused(
    405,
    "Method not allowed",
    `${c.req.path} takes ${methods.join(", ")}, not ${c.req.method}`,
  ).with({ allow: methods.join(", ").replace("GET", "GET, HEAD") });
}

function fitsPath(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  return wanted.length === given.length &&
    wanted.every((part, index) => part.startsWith("{") ? given[index] !== "" : part === given[index]);
}
