/**
 * Duty: the pages of a node as one handler: who asks goes in, a page comes out.
 *
 * Everything is drawn here, on the server, and can be read and used without script; script keeps numbers up to date and
 * asks in a dialog. It listens nowhere and knows no sessions: whoever serves it says who asks. The node behind it is a
 * `NodeControl`, as for the API.
 */
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import type { Child } from "hono/jsx";
import { parseConfig } from "../../appliance/config.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { addActions } from "./routes_actions.tsx";
import { addConfig, addFilterChanges } from "./routes_config.tsx";
import { addPeople } from "./routes_people.tsx";
import { addLogin } from "./routes_login.tsx";
import { addUpdate } from "./routes_update.tsx";
import { ASSETS, tagOf } from "./assets.ts";
import { Boxes } from "./boxes.tsx";
import { Doctor } from "./doctor.tsx";
import { Events } from "./events.tsx";
import { Filter } from "./filter.tsx";
import { addFleet } from "./fleet.tsx";
import { flowQuery, Flows } from "./flows.tsx";
import { FormError } from "./form.ts";
import { LiveHub, type Reading } from "./hub.ts";
import { Bare, type Frame, type Link, Page } from "./layout.tsx";
import { Logs } from "./logs.tsx";
import type { ConfigView } from "../../appliance/view_config.ts";
import type { PageMeans } from "./means.ts";
import { Overview } from "./overview.tsx";
import { Setup } from "./setup.tsx";
import { may, type PageServer, type Visitor } from "../session.ts";

const EVENTS_MAX = 500;

/** Nothing from elsewhere, nothing inline, and in no frame of another page. */
export const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
} as const;

export interface Env {
  Bindings: { visitor: Visitor | null };
  /** What the audit is told besides: the node has refused it; with which fields. */
  Variables: { refused?: boolean; detail?: string };
}

/** What the routes share. */
export interface Pages {
  readonly control: NodeControl;
  readonly means: PageMeans;
  readonly hub: LiveHub;
}

export interface NodePages extends PageServer {
  readonly hub: LiveHub;
  /** Every method and path that is answered, for who holds them against roles. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
}

export function makePages(control: NodeControl, means: PageMeans): NodePages {
  const hub = new LiveHub(control, { now: means.now, intervalMs: means.intervalMs ?? 200 });
  const pages: Pages = { control, means, hub };
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
    }
  });
  addAudit(app, means);
  addAssets(app);
  addLogin(app, pages);
  app.use(async (c, next) => {
    if (c.env.visitor !== null) return await next();
    return means.access === undefined ? told(c, 401, "You are not logged in.") : c.redirect("/login", 303);
  });
  addViews(app, pages);
  addLive(app, pages);
  addActions(app, pages);
  addFilterChanges(app, pages);
  addConfig(app, pages);
  addPeople(app, pages);
  addFleet(app, pages);
  addUpdate(app, pages);
  app.notFound((c) => told(c, 404, `There is no page ${c.req.path}.`));
  app.onError((error, c) => {
    if (error instanceof FormError) return told(c, error.status, `${error.message}.`);
    return told(c, 500, error.message);
  });
  return {
    hub,
    routes: app.routes.filter(({ method }) => method !== "ALL"),
    close: () => hub.close(),
    handle: (request, visitor) => app.fetch(request, { visitor }),
  };
}

/** Orders and changes of the configuration; looking and judging change nothing. */
const CHANGES = /^\/(act\/|(users|tokens|update)\/|config\/(apply|confirm|rollback)$)/;
const REFUSED = 409;
const WORDS_MAX = 256;

function addAudit(app: Hono<Env>, { audit, address }: PageMeans): void {
  if (audit === undefined) return;
  app.use(async (c, next) => {
    await next();
    const { visitor } = c.env, { method, path } = c.req;
    if (method !== "POST" || visitor === null || !CHANGES.test(path)) return;
    const detail = c.get("detail");
    audit({
      who: visitor.name,
      from: address?.(c.req.raw) ?? "",
      what: `${method} ${path.slice(0, WORDS_MAX)}`,
      result: c.get("refused") ? REFUSED : c.res.status,
      ...(detail !== undefined && { detail: detail.slice(0, WORDS_MAX) }),
    });
  });
}

/** A page with one sentence on it. */
export function told(
  c: Context,
  status: 400 | 401 | 403 | 404 | 413 | 500 | 503,
  text: string,
): Response | Promise<Response> {
  const title = {
    400: "Not understood",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    413: "Too large",
  };
  const page = (
    <Bare title={title[status as keyof typeof title] ?? "That did not work"}>
      <p>{text}</p>
      <p>
        <a href="/">To the overview</a>
      </p>
    </Bare>
  );
  return c.html(html`<!doctype html>${page}`, status);
}

export function visitorOf(c: Context<Env>): Visitor {
  const { visitor } = c.env;
  if (visitor === null) throw new FormError(403, "You are not logged in");
  return visitor;
}

interface View {
  readonly at: string;
  readonly title: string;
  readonly lead?: string;
  readonly plots?: boolean;
  readonly reading?: Reading;
  readonly body: (visitor: Visitor, reading: Reading) => Child;
}

/** A whole page. */
export function show(c: Context<Env>, pages: Pages, view: View): Response | Promise<Response> {
  const visitor = visitorOf(c), reading = view.reading ?? pages.hub.read();
  const { at, title, lead, plots = false } = view;
  const page = (
    <Page frame={frameOf(pages, visitor, reading)} at={at} title={title} lead={lead} plots={plots}>
      {view.body(visitor, reading)}
    </Page>
  );
  return c.html(html`<!doctype html>${page}`);
}

function frameOf({ means }: Pages, visitor: Visitor, { status, values, shape }: Reading): Frame {
  const pending = may(visitor, "admin") ? configNow(means)?.pending ?? null : null;
  return {
    visitor,
    node: status.name,
    version: status.version,
    values,
    shape,
    nowMs: means.now(),
    links: linksOf(means),
    logout: means.access !== undefined,
    pendingMs: pending?.untilMs ?? null,
  };
}

function linksOf(means: PageMeans): Link[] {
  return [
    { href: "/", title: "Overview", role: "viewer" },
    { href: "/boxes", title: "Boxes", role: "viewer" },
    { href: "/flows", title: "Flows", role: "viewer" },
    { href: "/events", title: "Events", role: "viewer" },
    { href: "/filter", title: "Filter", role: "viewer" },
    ...(means.config === undefined ? [] : [{ href: "/config", title: "Config", role: "admin" } as const]),
    ...(means.people === undefined ? [] : [{ href: "/users", title: "Users", role: "admin" } as const]),
    { href: "/logs", title: "Captures", role: "viewer" },
    ...(means.doctor === undefined ? [] : [{ href: "/doctor", title: "Doctor", role: "operator" } as const]),
    ...(means.fleet === undefined ? [] : [{ href: "/fleet", title: "Fleet", role: "viewer" } as const]),
    ...(means.update === undefined ? [] : [{ href: "/update", title: "Update", role: "viewer" } as const]),
    { href: "/setup", title: "Set-up", role: "operator" },
  ];
}

/** Null: there is none, or it cannot be read just now. */
export function configNow({ config }: PageMeans): ConfigView | null {
  try {
    return config?.current() ?? null;
  } catch {
    return null; // the page of the configuration says why
  }
}

function configOf(means: PageMeans) {
  const now = configNow(means);
  return now === null ? null : parseConfig(now.text, now.file).config ?? null;
}

function filterOf(means: PageMeans) {
  return configOf(means)?.filter ?? null;
}

export function addAssets(app: Hono<Env>): void {
  app.get("/assets/:name", (c) => {
    const asset = Object.hasOwn(ASSETS, c.req.param("name")) ? ASSETS[c.req.param("name")] : undefined;
    if (asset === undefined) return c.notFound();
    const etag = tagOf(asset.text);
    const headers = { "content-type": asset.type, etag, "cache-control": "no-cache" };
    if (c.req.header("if-none-match") === etag) return c.body(null, 304, { etag });
    return packed(asset.text, headers, c.req.header("accept-encoding") ?? "");
  });
}

function packed(text: string, headers: Record<string, string>, accepted: string): Response {
  if (!/\bgzip\b/.test(accepted)) return new Response(text, { headers });
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream, {
    headers: { ...headers, "content-encoding": "gzip", vary: "accept-encoding" },
  });
}

function addLive(app: Hono<Env>, { hub, means }: Pages): void {
  app.get("/live", () => {
    const stream = hub.stream();
    if (stream === null) {
      return new Response("too many viewers", { status: 503, headers: { "retry-after": "5" } });
    }
    return new Response(stream, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  });
  app.get("/live.json", (c) => {
    const { values, shape, atMs } = hub.read();
    return c.json({ values, shape, atMs, nowMs: means.now() });
  });
}

function addViews(app: Hono<Env>, pages: Pages): void {
  const { control, means, hub } = pages;
  app.get("/", (c) =>
    show(c, pages, {
      ...{ at: "/", title: "Overview", plots: true },
      body: (visitor, { status, values }) => (
        <Overview
          {...{ status, values, visitor, samples: hub.samples, nowMs: means.now() }}
          match={control.match({ history: true })}
        />
      ),
    }));
  app.get("/boxes", (c) =>
    show(c, pages, {
      ...{ at: "/boxes", title: "Boxes", lead: "What each detector says of each box, and what can be done." },
      body: (visitor, { status, values }) => (
        <Boxes
          {...{ status, values, visitor }}
          match={control.match({ history: false })}
          probes={control.probes()}
        />
      ),
    }));
  app.get("/flows", (c) => {
    const { query, faults } = flowQuery(new URL(c.req.url).searchParams);
    const { side, search, unlike, limit } = query;
    const flows = control.flows({
      limit,
      ...(unlike && { unlike }),
      ...(side && { side }),
      ...(search && { text: search }),
    });
    return show(c, pages, {
      ...{
        at: "/flows",
        title: "Flows",
        lead: "A flow stands twice where a box rewrites it: as seen from each side.",
      },
      body: () => <Flows {...{ flows, query, faults }} rules={filterOf(means)?.rules ?? []} />,
    });
  });
  app.get("/events", (c) =>
    show(c, pages, {
      ...{ at: "/events", title: "Events" },
      body: (visitor) => (
        <Events
          events={newest(control)}
          proof={control.match({ history: false }).failover}
          weights={configOf(means)?.failover.votes ?? null}
          captures={may(visitor, "operator")}
        />
      ),
    }));
  addMoreViews(app, pages);
}

/** The last ones, oldest first. */
function newest(control: NodeControl) {
  return control.events({ after: 0, limit: Number.MAX_SAFE_INTEGER }).slice(-EVENTS_MAX);
}

function addMoreViews(app: Hono<Env>, pages: Pages): void {
  const { control, means } = pages;
  app.get("/filter", (c) =>
    show(c, pages, {
      ...{ at: "/filter", title: "Filter", lead: "Which packets are copied to the standbys." },
      body: (visitor, { status, values }) => (
        <Filter
          {...{ status, values, visitor }}
          filter={filterOf(means)}
          explains={means.explain !== undefined}
          tunes={means.tune !== undefined}
          edits={means.config !== undefined}
        />
      ),
    }));
  app.get("/logs", async (c) => {
    const logs = may(visitorOf(c), "operator") ? await means.logs?.() ?? [] : [];
    return show(c, pages, {
      ...{
        at: "/logs",
        title: "Captures and logs",
        lead: "What was copied, what was decided, and what the node has said.",
      },
      body: (visitor) => (
        <Logs
          captures={control.captures.list()}
          recorder={control.recorder.status()}
          {...{ logs, visitor, nowMs: means.now() }}
        />
      ),
    });
  });
  const { doctor } = means;
  if (doctor !== undefined) {
    app.get("/doctor", async (c) => {
      if (!may(visitorOf(c), "operator")) return told(c, 403, "This is for operators.");
      const findings = await doctor();
      return show(c, pages, { at: "/doctor", title: "Doctor", body: () => <Doctor findings={findings} /> });
    });
  }
  app.get("/setup", (c) => {
    if (!may(visitorOf(c), "operator")) return told(c, 403, "This is for operators.");
    return show(c, pages, {
      ...{
        at: "/setup",
        title: "Set-up",
        lead: "From cables to a node that protects. The steps tick themselves.",
      },
      body: (visitor, { status }) => {
        const preset = filterOf(means)?.preset ?? null;
        const given = { status, probes: control.probes(), match: control.match({ history: false }), preset };
        return <Setup given={given} visitor={visitor} doctor={doctor !== undefined} />;
      },
    });
  });
}
