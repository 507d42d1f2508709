/** Duty: routes of the layer and of VNFs, a part of api.ts. Pure. */
import type { Context, Hono } from "hono";
import type { NodeControl } from "../appliance/view.ts";
import { LAYER_ORDERS } from "./layer_requests.ts";

/** What api.ts judges requests and words refusals with. */
export interface Judges {
  readonly query: (c: Context, known: readonly string[]) => unknown;
  readonly bodyOf: (c: Context, known: readonly string[]) => Promise<Readonly<Record<string, unknown>>>;
  readonly bad: (detail: string) => Error;
  readonly refused: (title: string, detail: string) => Error;
}

export const LAYER_ROUTES: Readonly<Record<string, "GET" | "POST">> = {
  "/api/v1/state/moves": "GET",
  ...Object.fromEntries(Object.keys(LAYER_ORDERS).map((path) => [path, "POST" as const])),
  "/api/v1/vnfs": "GET",
  "/api/v1/vnfs/start": "POST",
  "/api/v1/vnfs/stop": "POST",
};

const TITLE = "The order was not carried out";

export function addLayer(app: Hono, { layer, vnfs }: NodeControl, judges: Judges): void {
  const { query, bodyOf, bad, refused } = judges;
  app.get("/api/v1/state/moves", (c) => {
    query(c, []);
    return c.json({ moves: layer.moves() });
  });
  for (const [path, { members, work }] of Object.entries(LAYER_ORDERS)) {
    app.post(path, async (c) => {
      const body = await bodyOf(c, members);
      const answer = await Promise.resolve().then(() => work(layer, body)).catch((error) => {
        throw error instanceof SyntaxError ? bad(error.message) : error;
      });
      if (!answer.ok) throw refused(TITLE, answer.text);
      return c.json(answer.view);
    });
  }
  app.get("/api/v1/vnfs", (c) => {
    query(c, []);
    return c.json({ vnfs: vnfs.list() });
  });
  for (const verb of ["start", "stop"] as const) {
    app.post(`/api/v1/vnfs/${verb}`, async (c) => {
      const { name } = await bodyOf(c, ["name"]);
      if (typeof name !== "string") {
        throw bad(`"name" is ${JSON.stringify(name)}; accepted: the name of a VNF`);
      }
      const answer = await vnfs[verb](name);
      if (!answer.ok) throw refused(TITLE, answer.text);
      return c.json(answer.view);
    });
  }
}
