/** Duty: routes of the layer and of VNFs. A part of the table in routes.ts. */
import { LAYER_ORDERS } from "./layer_requests.ts";
import { bad, Refused } from "./refused.ts";
import { gives, LIST, OBJECT, type Route } from "./route.ts";
import { members, type Schema } from "../appliance/schema.ts";

const TITLE = "The order was not carried out";
const NAME: Schema = {
  type: "string",
  pattern: "^[A-Za-z0-9._-]{1,64}$",
  description: "the name of a driver",
};
const VNF: Schema = { type: "string", pattern: "^[A-Za-z0-9._-]{1,64}$", description: "the name of a VNF" };
const TEXT_MEMBER: Schema = {
  type: "string",
  maxLength: 1024,
  description: "a text of at most 1024 characters",
};
const KINDS: Readonly<Record<string, Schema>> = {
  source: NAME,
  destination: NAME,
  fields: TEXT_MEMBER,
  guarantee: TEXT_MEMBER,
};
const DONE: Route["answers"] = { 200: { description: "What came of it.", schema: OBJECT } };

/** "/api/v1/state/move" -> "stateMove" */
function nameOf(path: string): string {
  return path.replace("/api/v1/", "").replace(/[-/](\w)/g, (_, letter: string) => letter.toUpperCase());
}

const ORDERS = Object.entries(LAYER_ORDERS).map(([path, order]): Route => ({
  method: "POST",
  path,
  name: nameOf(path),
  summary: `Order to the layer: ${path.split("/").at(-1)}`,
  role: "operator",
  body: members(
    Object.fromEntries(order.members.map((member) => [member, KINDS[member] ?? TEXT_MEMBER])),
    order.members.filter((member) => member === "source" || member === "destination"),
  ),
  idempotent: true,
  answers: DONE,
  work: async ({ body }, { control }) => {
    const answer = await Promise.resolve().then(() => order.work(control.layer, body)).catch((error) => {
      throw error instanceof SyntaxError ? bad(error.message) : error;
    });
    if (!answer.ok) throw new Refused(409, TITLE, answer.text);
    return answer.view;
  },
}));

const VNFS = (["start", "stop"] as const).map((verb): Route => ({
  method: "POST",
  path: `/api/v1/vnfs/${verb}`,
  name: `vnf${verb === "start" ? "Start" : "Stop"}`,
  summary: verb === "start" ? "Start a VNF" : "Stop a VNF",
  role: "operator",
  body: members({ name: VNF }, ["name"]),
  idempotent: true,
  answers: DONE,
  work: async ({ body }, { control }) => {
    const answer = await control.vnfs[verb](String(body.name));
    if (!answer.ok) throw new Refused(409, TITLE, answer.text);
    return answer.view;
  },
}));

export const LAYER_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/state/moves",
    name: "stateMoves",
    summary: "Moves of state",
    role: "viewer",
    answers: gives("All that are kept.", { moves: LIST }),
    work: (_, { control }) => ({ moves: control.layer.moves() }),
  },
  ...ORDERS,
  {
    method: "GET",
    path: "/api/v1/vnfs",
    name: "vnfs",
    summary: "The VNFs",
    role: "viewer",
    answers: gives("All of them.", { vnfs: LIST }),
    work: (_, { control }) => ({ vnfs: control.vnfs.list() }),
  },
  ...VNFS,
];
