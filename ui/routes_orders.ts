/** Routes that move traffic and boxes. A part of the table in routes.ts. */
import { type OrderResult, PATHS } from "../appliance/view.ts";
import { Refused } from "./refused.ts";
import { type Asked, gives, type Route, TEXT, YES_NO } from "./route.ts";
import { members, nullable, type Schema } from "../appliance/schema.ts";

const BOX = { type: "string", pattern: "^[A-Za-z0-9._-]{1,64}$", description: "the name of a box" } as const;
const FORCE = { type: "boolean", default: false } as const;
const ON = { type: "boolean" } as const;

const CARRIED_OUT = gives("It is done. A refusal is a 409 with the same result as its member `result`.", {
  ok: YES_NO,
  path: { type: "string", enum: PATHS },
  text: TEXT,
  tookUs: nullable({ type: "number" }),
});

function done(result: OrderResult): OrderResult {
  if (result.ok) return result;
  throw new Refused(409, "The order was not carried out", result.text, { result });
}

interface Order {
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly work: Route["work"];
}

function order({ properties, required = [], ...rest }: Order): Route {
  return {
    ...rest,
    method: "POST",
    role: "operator",
    idempotent: true,
    body: members(properties, required),
    answers: CARRIED_OUT,
  };
}

const boxOf = ({ body }: Asked) => String(body.box);

export const ORDER_ROUTES: readonly Route[] = [
  order({
    path: "/api/v1/switchover",
    name: "switchover",
    summary: "Move the traffic to a box; without `box` to the first spare alive",
    properties: { force: FORCE, box: BOX },
    work: async (asked, { control }) => {
      const box = "box" in asked.body ? { box: boxOf(asked) } : {};
      return done(await control.switchover({ force: asked.body.force === true, ...box }));
    },
  }),
  order({
    path: "/api/v1/failback",
    name: "failback",
    summary: "Move the traffic back to the primary",
    properties: { force: FORCE },
    work: async ({ body }, { control }) => done(await control.failback({ force: body.force === true })),
  }),
  order({
    path: "/api/v1/arm",
    name: "arm",
    summary: "Let the node move traffic by itself; refused where it would at once, unless forced",
    properties: { force: FORCE },
    work: async ({ body }, { control }) => done(await control.arm({ force: body.force === true })),
  }),
  order({
    path: "/api/v1/disarm",
    name: "disarm",
    summary: "Have the node learn: it judges, and moves nothing by itself",
    properties: {},
    work: async (_, { control }) => done(await control.disarm({})),
  }),
  order({
    path: "/api/v1/boxes/join",
    name: "join",
    summary: "Let a box join",
    properties: { box: BOX },
    required: ["box"],
    work: async (asked, { control }) => done(await control.join({ box: boxOf(asked) })),
  }),
  order({
    path: "/api/v1/boxes/leave",
    name: "leave",
    summary: "Let a box leave",
    properties: { box: BOX },
    required: ["box"],
    work: async (asked, { control }) => done(await control.leave({ box: boxOf(asked) })),
  }),
  order({
    path: "/api/v1/boxes/maintain",
    name: "maintain",
    summary: "Relieve a box that is to be worked on, or have it back",
    properties: { box: BOX, on: ON },
    required: ["box", "on"],
    work: async (asked, { control }) =>
      done(await control.maintain({ box: boxOf(asked), on: asked.body.on === true })),
  }),
  order({
    path: "/api/v1/boxes/resync",
    name: "resync",
    summary: "Seed all live flows into a box, or stop that",
    properties: { box: BOX, stop: FORCE },
    work: async (asked, { control }) => {
      const box = "box" in asked.body ? boxOf(asked) : null;
      return done(await control.resync({ box, stop: asked.body.stop === true }));
    },
  }),
];
