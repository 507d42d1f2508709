/** Duty: why something is not moved, cloned or merged, as one sentence that names what is missing. Pure. */
import type { Abilities, StateDriver } from "../../drivers/driver.ts";
import { ALL, fieldsText, type HeaderFields } from "../../drivers/fields.ts";
import type { StateRole } from "../../drivers/record.ts";
import type { DriverSet } from "./contract.ts";
import { boxesOf, meet, type SteeringRule } from "./steering.ts";
import type { MoveState } from "./move.ts";

export const OPEN_MAX = 16;

export interface Pairing {
  readonly from: StateDriver;
  readonly to: StateDriver;
}

/** Two drivers of two boxes that understand each other; or why not. */
export function pairing(drivers: DriverSet, source: string, destination: string): Pairing | string {
  if (drivers.names.length === 0) return "there is no driver: none is configured";
  for (const name of [source, destination]) {
    if (!drivers.names.includes(name)) {
      return `there is no driver "${name}"; there are ${drivers.names.join(", ")}`;
    }
  }
  if (source === destination) return `${source} is both source and destination`;
  const box = drivers.boxOf(source);
  if (box !== null && box === drivers.boxOf(destination)) {
    return `${source} and ${destination} are of one box, ${box}`;
  }
  const [from, to] = [drivers.get(source), drivers.get(destination)];
  if (from === null || to === null) {
    return `the driver ${from === null ? source : destination} is not running now`;
  }
  return unableFault({ from, to }, source, destination) ?? { from, to };
}

function unableFault({ from, to }: Pairing, source: string, destination: string): string | null {
  const can = (abilities: Abilities, verb: "get" | "put") => abilities[verb].includes("supporting");
  if (!can(from.abilities, "get")) return `${source} (${from.kind}) cannot get supporting state`;
  if (!can(to.abilities, "put")) return `${destination} (${to.kind}) cannot put supporting state`;
  const codecs = from.abilities.codecs.filter((codec) => to.abilities.codecs.includes(codec));
  if (codecs.length > 0) return null;
  const list = (names: readonly string[]) => names.join(", ") || "nothing";
  return `${destination} takes ${list(to.abilities.codecs)}, and ${source} has ${
    list(from.abilities.codecs)
  }`;
}

/** The state that moves: supporting, and reporting where both can; where the source can also part with it. */
export function movedRoles({ from, to }: Pairing): StateRole[] {
  const reporting = from.abilities.get.includes("reporting") && to.abilities.put.includes("reporting");
  return reporting ? ["supporting", "reporting"] : ["supporting"];
}

/** What a move leaves behind although it ends well; empty: nothing. */
export function leftBehind({ from, to }: Pairing, source: string): string {
  const left = movedRoles({ from, to }).filter((role) => !from.abilities.del.includes(role));
  return left.length === 0
    ? ""
    : `${source} cannot delete ${left.join(" and ")} state: it stays there as well`;
}

export interface Scene {
  readonly rules: readonly SteeringRule[];
  /** The box that serves what no rule holds; null: none. */
  readonly serving: string | null;
  readonly open: readonly MoveState[];
}

/** Why these flows cannot be moved away from `box` now; null: they can. */
export function sceneFault(
  fields: HeaderFields,
  box: string,
  { rules, serving, open }: Scene,
): string | null {
  if (open.length >= OPEN_MAX) return `${open.length} moves are under way already`;
  const other = open.find(({ order }) => meet(order.fields, fields));
  if (other !== undefined) return `move ${other.order.id} of ${fieldsText(other.order.fields)} is under way`;
  const boxes = new Set([...boxesOf(rules, fields)].map((name) => name || serving || "no box"));
  boxes.delete(box);
  if (boxes.size === 0) return null;
  return `flows of ${fieldsText(fields)} are served by ${[...boxes].join(" and ")}, not by ${box} alone`;
}

/** Why a box is not to be merged away yet; null: it is. */
export function servesFault(box: string, { rules, serving, open }: Scene): string | null {
  const serves = boxesOf(rules, ALL).has("") && serving === box;
  if (serves) return `${box} serves all flows that no rule leads elsewhere: move them first`;
  const rule = rules.find((one) => one.box === box);
  if (rule !== undefined) return `${box} serves ${fieldsText(rule.fields)}: move it first`;
  const busy = open.find(({ order }) => order.source === box || order.destination === box);
  return busy === undefined ? null : `move ${busy.order.id} is under way there`;
}
