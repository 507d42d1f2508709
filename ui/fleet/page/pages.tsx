/**
 * Duty: the pages of a controller as one handler: nodes, pairs, roll-outs, events.
 *
 * Drawn on the server like those of a node, with the same login, headers, frame and parts, and usable without script. A
 * question is a page of its own; only the answer to it does anything.
 */
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import type { Child } from "hono/jsx";
import type { FleetControl } from "../../../appliance/fleet/contract.ts";
import { VERSION } from "../../../appliance/version.ts";
import type { AccessControl } from "../../access/view.ts";
import { FormError } from "../../page/form.ts";
import { type Link, Page } from "../../page/layout.tsx";
import { addAssets, type Env, HEADERS, told, visitorOf } from "../../page/pages.tsx";
import { addLogin } from "../../page/routes_login.tsx";
import { Refused } from "../../refused.ts";
import type { AuditEntry } from "../../route.ts";
import type { PageServer, Visitor } from "../../session.ts";
import type { RolloutDesk } from "../routes_rollout.ts";
import { addNodes } from "./routes_nodes.tsx";
import { addRollouts } from "./routes_rollouts.tsx";

export interface FleetPageMeans {
  readonly control: FleetControl;
  readonly desk: RolloutDesk;
  readonly access?: AccessControl;
  readonly audit: (entry: AuditEntry) => void;
  readonly address: (request: Request) => string;
  /** Since the epoch. */
  readonly now: () => number;
}

const LINKS: readonly Link[] = [
  { href: "/nodes", title: "Nodes", role: "viewer" },
  { href: "/pairs", title: "Pairs", role: "viewer" },
  { href: "/rollouts", title: "Roll-outs", role: "viewer" },
  { href: "/events", title: "Events", role: "viewer" },
];

export function fleetPages(means: FleetPageMeans): PageServer {
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
    }
  });
  addAudit(app, means);
  addAssets(app);
  const { access, address, control } = means;
  addLogin(app, {
    control: { status: () => ({ name: control.name }) },
    means: { address, ...(access && { access }) },
  });
  app.use(async (c, next) => {
    if (c.env.visitor !== null) return await next();
    return access === undefined ? told(c, 401, "You are not logged in.") : c.redirect("/login", 303);
  });
  app.get("/", (c) => c.redirect("/nodes", 303));
  app.get("/live.json", (c) => c.json({ ...lives(means), atMs: means.now(), nowMs: means.now() }));
  addNodes(app, means);
  addRollouts(app, means);
  app.notFound((c) => told(c, 404, `There is no page ${c.req.path}.`));
  app.onError((error, c) => {
    if (error instanceof FormError) return told(c, error.status, `${error.message}.`);
    if (error instanceof Refused) return told(c, error.status === 404 ? 404 : 400, `${error.message}.`);
    return told(c, 500, error.message);
  });
  return { close: () => {}, handle: (request, visitor) => app.fetch(request, { visitor }) };
}

function addAudit(app: Hono<Env>, { audit, address }: FleetPageMeans): void {
  app.use(async (c, next) => {
    await next();
    const { visitor } = c.env, { method, path } = c.req;
    if (method !== "POST" || visitor === null || /^\/log(in|out)$/.test(path)) return;
    const detail = c.get("detail");
    audit({
      who: visitor.name,
      from: address(c.req.raw),
      what: `POST ${path.slice(0, 200)}`,
      result: c.get("refused") ? 409 : c.res.status,
      ...(detail !== undefined && { detail: detail.slice(0, 256) }),
    });
  });
}

/** What the head of each page says: red where a roll-out has halted or a node is red. */
function lives({ desk: { keeper } }: FleetPageMeans) {
  let nodes = 0, connected = 0, red = 0;
  for (const node of keeper.fleet.nodes()) {
    nodes++;
    if (node.connected) connected++;
    if (node.connected && node.health === "red") red++;
  }
  const halted = keeper.list().filter(({ phase }) => phase === "halted").length;
  // As of a node: its mark has these shapes.
  const state = red > 0 ? "unprotected" : halted > 0 || connected < nodes ? "degraded" : "protected";
  const word = `${connected} of ${nodes} connected${halted > 0 ? `, ${halted} halted` : ""}`;
  return { values: { state, "state.word": word }, shape: `${keeper.list().length}` };
}

interface View {
  readonly at: string;
  readonly title: string;
  readonly lead?: string;
  readonly body: (visitor: Visitor) => Child;
}

/** A whole page. */
export function show(c: Context<Env>, means: FleetPageMeans, view: View): Response | Promise<Response> {
  const visitor = visitorOf(c), { at, title, lead, body } = view;
  const frame = {
    ...{ visitor, node: means.control.name, version: VERSION, links: LINKS, pendingMs: null },
    ...lives(means),
    ...{ tells: false, nowMs: means.now(), logout: means.access !== undefined },
  };
  const page = <Page frame={frame} at={at} title={title} lead={lead}>{body(visitor)}</Page>;
  return c.html(html`<!doctype html>${page}`);
}
