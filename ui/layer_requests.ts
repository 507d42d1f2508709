/**
 * Duty: what the API takes of orders to the layer, and what it makes of them. Pure.
 *
 * One table: path, members of the body, and the order. A body that is wrong is a SyntaxError with one sentence.
 */
import { ALL, type HeaderFields, parseFields } from "../drivers/fields.ts";
import type { LayerAnswer, LayerControl, MoveRequest } from "../appliance/layer/contract.ts";
import { type Guarantee, GUARANTEES } from "../appliance/layer/steering.ts";

type Body = Readonly<Record<string, unknown>>;

export interface LayerOrder {
  readonly members: readonly string[];
  /** @throws SyntaxError with one sentence */
  readonly work: (layer: LayerControl, body: Body) => Promise<LayerAnswer<object>>;
}

export const DEFAULT_GUARANTEE: Guarantee = "loss-free";

function nameOf(body: Body, member: "source" | "destination"): string {
  const name = body[member];
  if (typeof name === "string" && name !== "") return name;
  throw new SyntaxError(`"${member}" is ${JSON.stringify(name)}; accepted: the name of a driver`);
}

function guaranteeOf({ guarantee = DEFAULT_GUARANTEE }: Body): Guarantee {
  const known = GUARANTEES.find((one) => one === guarantee);
  if (known !== undefined) return known;
  throw new SyntaxError(
    `"guarantee" is ${JSON.stringify(guarantee)}; accepted: one of ${GUARANTEES.join(", ")}`,
  );
}

function fieldsOf({ fields }: Body, absent: HeaderFields | null): HeaderFields {
  if (fields === undefined && absent !== null) return absent;
  if (typeof fields !== "string") {
    throw new SyntaxError(`"fields" is ${JSON.stringify(fields)}; accepted: a header field list as text`);
  }
  return parseFields(fields);
}

function requestOf(body: Body, absent: HeaderFields | null): MoveRequest {
  return {
    source: nameOf(body, "source"),
    destination: nameOf(body, "destination"),
    fields: fieldsOf(body, absent),
    guarantee: guaranteeOf(body),
  };
}

const PAIR = ["source", "destination"] as const;
const MOVE = [...PAIR, "fields", "guarantee"] as const;

export const LAYER_ORDERS: Readonly<Record<string, LayerOrder>> = {
  "/api/v1/state/move": {
    members: MOVE,
    work: (layer, body) => layer.move(requestOf(body, null)),
  },
  "/api/v1/state/clone": {
    members: PAIR,
    work: (layer, body) => layer.clone(nameOf(body, "source"), nameOf(body, "destination")),
  },
  "/api/v1/state/merge": {
    members: PAIR,
    work: (layer, body) => layer.merge(nameOf(body, "source"), nameOf(body, "destination")),
  },
  "/api/v1/scale-out": {
    members: MOVE,
    work: (layer, body) => layer.apply("scale-out", requestOf(body, null)),
  },
  "/api/v1/scale-in": {
    members: MOVE,
    work: (layer, body) => layer.apply("scale-in", requestOf(body, ALL)),
  },
  "/api/v1/migrate": {
    members: [...PAIR, "guarantee"],
    work: (layer, body) => layer.apply("migrate", requestOf(body, ALL)),
  },
};
