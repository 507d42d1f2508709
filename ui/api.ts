/**
 * The local API: what a running node answers over HTTP.
 *
 * Pure: the node behind it is a `NodeControl`, and nothing listens here (server.ts does). Every error is a
 * problem detail (RFC 9457). Everything that comes in is judged before the node hears of it: an unknown
 * parameter is refused, because a misspelt one would otherwise be obeyed as if it were not there.
 */
import { type Context, Hono } from "hono";
import { BOX } from "../filter/names.ts";
import {
  ALL_ROLES,
  type CaptureAnswer,
  type NodeControl,
  type NodeStatus,
  type OrderResult,
  type Role,
} from "../appliance/view.ts";
import { addState, STATE_ROUTES } from "./api_state.ts";

export const LIMIT_MAX = 10000;
/** A status older than this is history: control has lost sight of the plane. */
export const FRESH_MS_MAX = 1000;
/** Of captures: a year. */
const SECONDS_MAX = 366 * 86_400;
const BODY_BYTES_MAX = 4096;

/** A refusal on its way to the client. */
class Refused extends Error {
  constructor(readonly status: number, readonly title: string, detail: string, readonly more: object = {}) {
    super(detail);
  }
}

const ROUTES: Readonly<Record<string, "GET" | "POST" | "GET, POST">> = {
  "/healthz": "GET",
  "/readyz": "GET",
  "/api/v1/status": "GET",
  "/api/v1/flows": "GET",
  "/api/v1/events": "GET",
  "/api/v1/match": "GET",
  "/api/v1/probes": "GET",
  "/api/v1/capture": "GET",
  "/api/v1/capture/kept": "GET",
  "/api/v1/capture/files": "GET",
  "/api/v1/recorder": "GET, POST",
  "/api/v1/recorder/saved": "GET",
  "/api/v1/boxes": "GET",
  "/api/v1/boxes/join": "POST",
  "/api/v1/boxes/leave": "POST",
  "/api/v1/boxes/maintain": "POST",
  "/api/v1/boxes/resync": "POST",
  "/api/v1/switchover": "POST",
  "/api/v1/failback": "POST",
  "/api/v1/reload": "POST",
  "/api/v1/drill": "POST",
  "/api/v1/drills": "GET",
  ...STATE_ROUTES,
};

export function makeApi(control: NodeControl): Hono {
  const app = new Hono();
  app.get("/healthz", (c) => health(c, healthFault(control.status())));
  app.get("/readyz", (c) => health(c, readyFault(control.status())));
  app.get("/api/v1/status", (c) => {
    query(c, []);
    return c.json(control.status());
  });
  app.get("/api/v1/flows", (c) => {
    const given = query(c, ["limit", "side", "search", "unlike"]);
    const side = sideOf(given.get("side"));
    const text = given.get("search");
    const limit = integer(given, "limit", { min: 1, max: LIMIT_MAX, or: 100 });
    const unlike = flagOf(given, "unlike");
    return c.json({
      flows: control.flows({
        limit,
        ...(unlike && { unlike }),
        ...(side && { side }),
        ...(text && { text }),
      }),
    });
  });
  app.get("/api/v1/events", (c) => {
    const given = query(c, ["after", "limit"]);
    const after = integer(given, "after", { min: 0, max: Number.MAX_SAFE_INTEGER, or: 0 });
    const limit = integer(given, "limit", { min: 1, max: LIMIT_MAX, or: 100 });
    return c.json({ events: control.events({ after, limit }) });
  });
  app.get("/api/v1/match", (c) => {
    return c.json(control.match({ history: flagOf(query(c, ["history"]), "history") }));
  });
  app.get("/api/v1/probes", (c) => {
    query(c, []);
    return c.json(control.probes());
  });
  addCaptures(app, control);
  addRecorder(app, control);
  addDrills(app, control);
  addOrders(app, control);
  addResync(app, control);
  const refused = (title: string, detail: string) => new Refused(409, title, detail);
  addState(app, control.state, { query, bodyOf, textOf: limitedText, bad, refused });
  app.post("/api/v1/reload", async (c) => {
    await bodyOf(c, []);
    const result = await control.reload();
    if (!result.ok) throw new Refused(422, "The configuration was not taken over", result.text);
    return c.json(result);
  });
  app.notFound(noRoute);
  app.onError(failed);
  return app;
}

function carriedOut(c: Context, result: OrderResult): Response {
  if (!result.ok) throw new Refused(409, "The order was not carried out", result.text, { result });
  return c.json(result);
}

function addOrders(app: Hono, control: NodeControl): void {
  app.get("/api/v1/boxes", (c) => {
    query(c, []);
    return c.json({ boxes: control.status().boxes });
  });
  app.post("/api/v1/switchover", async (c) => {
    const body = await bodyOf(c, ["force", "box"]);
    const box = "box" in body ? { box: boxOf(body) } : {};
    return carriedOut(c, await control.switchover({ ...forceOf(body), ...box }));
  });
  app.post("/api/v1/failback", async (c) => {
    return carriedOut(c, await control.failback(forceOf(await bodyOf(c, ["force"]))));
  });
  for (const change of ["join", "leave"] as const) {
    app.post(`/api/v1/boxes/${change}`, async (c) => {
      return carriedOut(c, await control[change]({ box: boxOf(await bodyOf(c, ["box"])) }));
    });
  }
  app.post("/api/v1/boxes/maintain", async (c) => {
    const body = await bodyOf(c, ["box", "on"]);
    if (typeof body.on !== "boolean") throw bad(`"on" is ${JSON.stringify(body.on)}, not true or false`);
    return carriedOut(c, await control.maintain({ box: boxOf(body), on: body.on }));
  });
}

function addResync(app: Hono, control: NodeControl): void {
  app.post("/api/v1/boxes/resync", async (c) => {
    const body = await bodyOf(c, ["box", "stop"]), { stop = false } = body;
    if (typeof stop !== "boolean") throw bad(`"stop" is ${JSON.stringify(stop)}; accepted: true or false`);
    return carriedOut(c, await control.resync({ box: "box" in body ? boxOf(body) : null, stop }));
  });
}

function addCaptures(app: Hono, { captures }: NodeControl): void {
  app.get("/api/v1/capture", (c) => {
    const given = query(c, ["filter", "ports", "seconds", "packets"]);
    const most = (name: string, max: number) =>
      given.has(name) ? integer(given, name, { min: 1, max, or: 0 }) : null;
    return file(captures.live({
      filter: given.get("filter") ?? "",
      ports: portsOf(given.get("ports")),
      seconds: most("seconds", SECONDS_MAX),
      packets: most("packets", Number.MAX_SAFE_INTEGER),
    }));
  });
  app.get("/api/v1/capture/kept", (c) => {
    const given = query(c, ["filter", "last_s", "around_s"]);
    return file(captures.kept({ filter: given.get("filter") ?? "", ...spanOf(given) }));
  });
  app.get("/api/v1/capture/files", (c) => {
    query(c, []);
    return c.json(captures.list());
  });
}

/** Seconds until now, or around the last switch. */
function spanOf(given: ReadonlyMap<string, string>): { lastS: number | null; aroundS: number } {
  if (given.has("last_s") && given.has("around_s")) throw bad('There is "last_s" or "around_s", not both');
  const bounds = { min: 1, max: SECONDS_MAX };
  const lastS = given.has("last_s") ? integer(given, "last_s", { ...bounds, or: 0 }) : null;
  return { lastS, aroundS: integer(given, "around_s", { ...bounds, or: 60 }) };
}

function addRecorder(app: Hono, { recorder }: NodeControl): void {
  app.get("/api/v1/recorder", (c) => {
    query(c, []);
    return c.json(recorder.status());
  });
  app.post("/api/v1/recorder", async (c) => {
    const { on } = await bodyOf(c, ["on"]);
    if (typeof on !== "boolean") throw bad(`"on" is ${JSON.stringify(on)}, not true or false`);
    const result = recorder.set({ on });
    if (!result.ok) throw new Refused(409, "The recorder was not turned on", result.text);
    return c.json(result);
  });
  app.get("/api/v1/recorder/saved", (c) => file(recorder.save(spanOf(query(c, ["last_s", "around_s"])))));
}

function addDrills(app: Hono, { drills }: NodeControl): void {
  app.post("/api/v1/drill", async (c) => {
    const { box } = await bodyOf(c, ["box"]);
    const known = BOX.find((name) => name === box);
    if (box !== undefined && known === undefined) {
      throw bad(`"box" is ${JSON.stringify(box)}, not one of ${BOX.join(", ")}`);
    }
    const answer = await drills.run(known ?? null);
    if (!answer.ok) throw new Refused(409, "There was no drill", answer.text);
    return c.json(answer.signed);
  });
  app.get("/api/v1/drills", (c) => {
    query(c, []);
    return c.json({ drills: drills.list() });
  });
}

/** A capture on its way, or why there is none. */
function file(answer: CaptureAnswer): Response {
  if (answer.ok) return new Response(answer.stream, { headers: { "content-type": "application/x-pcapng" } });
  if (answer.fault === "request") throw bad(answer.text);
  throw new Refused(409, "There is no capture", answer.text);
}

function portsOf(text: string | undefined): Role[] {
  return (text ?? "").split(",").filter((name) => name !== "").map((name) => {
    const role = ALL_ROLES.find((known) => known === name);
    if (role !== undefined) return role;
    throw bad(`The parameter "ports" has "${name}"; accepted: of ${ALL_ROLES.join(", ")}`);
  });
}

/** Why the node does not do its work; null: it does. */
export function healthFault(status: NodeStatus): string | null {
  if (status.plane.state !== "running") return `the plane is ${status.plane.state}`;
  if (status.freshMs > FRESH_MS_MAX) return `control has not seen the plane for ${status.freshMs} ms`;
  return status.path === "block" ? "traffic is blocked, no box is alive" : null;
}

/** Why it is not safe to fail over now; null: it is. */
export function readyFault(status: NodeStatus): string | null {
  const ill = healthFault(status);
  if (ill !== null) return ill;
  if (status.path === "wire") return "traffic passes by both boxes";
  const unfit = status.external.find(({ light }) => light !== "green");
  if (unfit) return `switch ${unfit.name}: ${unfit.reason}`;
  const serving = status.boxes.find((box) => box.serving),
    spares = status.boxes.filter((box) => !box.serving);
  const dead = [serving, ...spares].find((box) => box?.light === "red");
  const ready = serving?.light !== "red" &&
    spares.some((box) => box.light !== "red" && box.member && !box.match?.alarm);
  if (ready) return null;
  const unlike = spares.find((box) => box.match?.alarm);
  if (unlike && serving?.light !== "red") return `${unlike.box}: ${unlike.reason}`;
  return dead ? `the ${dead.box} is not alive: ${dead.reason}` : "there is no second box";
}

function health(c: Context, fault: string | null): Response {
  query(c, []);
  if (fault !== null) throw new Refused(503, "Not now", fault);
  return c.json({ ok: true });
}

function noRoute(c: Context): Response {
  const method = ROUTES[c.req.path];
  if (method === undefined) {
    const known = Object.keys(ROUTES).join(", ");
    return problem(c, new Refused(404, "Not found", `There is no ${c.req.path}; there are ${known}`));
  }
  const refused = new Refused(
    405,
    "Method not allowed",
    `${c.req.path} takes ${method}, not ${c.req.method}`,
  );
  const response = problem(c, refused);
  response.headers.set("allow", method.replace("GET", "GET, HEAD"));
  return response;
}

function failed(error: Error, c: Context): Response {
  if (error instanceof Refused) return problem(c, error);
  return problem(c, new Refused(500, "The node failed to answer", error.message));
}

function problem(c: Context, refused: Refused): Response {
  const { status, title, message, more } = refused;
  const body = { type: "about:blank", title, status, detail: message, instance: c.req.path, ...more };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json" },
  });
}

function bad(detail: string): Refused {
  return new Refused(400, "Bad request", detail);
}

/** The query, with each parameter known and given once. */
function query(c: Context, known: readonly string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (!known.includes(name)) {
      const accepted = known.length === 0 ? "there are none" : `there are ${known.join(", ")}`;
      throw bad(`There is no parameter "${name}"; ${accepted}`);
    }
    if (given.has(name)) throw bad(`The parameter "${name}" is given twice`);
    given.set(name, value);
  }
  return given;
}

function integer(
  given: ReadonlyMap<string, string>,
  name: string,
  bounds: { min: number; max: number; or: number },
): number {
  const text = given.get(name);
  if (text === undefined) return bounds.or;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (value >= bounds.min && value <= bounds.max) return value;
  throw bad(`The parameter "${name}" is "${text}"; accepted: an integer from ${bounds.min} to ${bounds.max}`);
}

function sideOf(text: string | undefined): "upstream" | "downstream" | undefined {
  if (text === undefined || text === "upstream" || text === "downstream") return text;
  throw bad(`The parameter "side" is "${text}"; accepted: "upstream" or "downstream"`);
}

function flagOf(given: ReadonlyMap<string, string>, name: string): boolean {
  const text = given.get(name) ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw bad(`The parameter "${name}" is "${text}"; accepted: "true" or "false"`);
}

function boxOf({ box }: Readonly<Record<string, unknown>>): string {
  if (typeof box !== "string" || box === "") {
    throw bad(`"box" is ${JSON.stringify(box)}; accepted: the name of a box`);
  }
  return box;
}

function forceOf({ force = false }: Readonly<Record<string, unknown>>): { force: boolean } {
  if (typeof force !== "boolean") throw bad(`"force" is ${JSON.stringify(force)}; accepted: true or false`);
  return { force };
}

/** The members of a JSON body; none if it is empty. */
async function bodyOf(c: Context, known: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  query(c, []);
  const text = await limitedText(c.req.raw);
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw bad(`The body is not JSON: ${(error as Error).message}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw bad("The body is no JSON object");
  }
  for (const name of Object.keys(body)) {
    const accepted = known.length === 0 ? "there are none" : `there is ${known.join(", ")}`;
    if (!known.includes(name)) throw bad(`There is no member "${name}" in this body; ${accepted}`);
  }
  return body as Record<string, unknown>;
}

/** The body as text; reading stops at the bound whatever its declared length. */
async function limitedText(request: Request, bytesMax = BODY_BYTES_MAX): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new Refused(413, "Too large", `The body is larger than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks as BlobPart[]).text();
}
