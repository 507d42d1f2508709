/**
 * One piece of what a switch holds: a flow entry, a group or a meter, as the message that would make it. Pure.
 *
 * Two pieces with the same key cannot be in a switch together (1.3.5, 6.4: table, match and priority are what tells
 * flow entries apart).
 */
import type { Action, Instruction } from "./actions.ts";
import { type Field, fieldBits, matchKey } from "./match.ts";
import type { FlowMod, GroupMod } from "./messages.ts";
import type { MeterDescription, MeterMod } from "./meters.ts";
import type { FlowDescription } from "./multipart.ts";
import {
  FLOW_COMMAND,
  FLOW_FLAG,
  GROUP_ANY,
  GROUP_COMMAND,
  METER_COMMAND,
  METER_MAX,
  NO_BUFFER,
  PORT,
} from "./names.ts";
import type { GroupDescription } from "./structures.ts";

export type PieceBody = FlowMod | GroupMod | MeterMod;

type FlowIdentity = Pick<FlowMod, "table" | "priority" | "match">;

export function flowKey({ table, priority, match }: FlowIdentity): string {
  return `flow ${table} ${priority} ${matchKey(match)}`;
}

export const groupKey = (group: number) => `group ${group}`;
export const meterKey = (meter: number) => `meter ${meter}`;

export function pieceKey(body: PieceBody): string {
  if (body.kind === "flow-mod") return flowKey(body);
  return body.kind === "group-mod" ? groupKey(body.group) : meterKey(body.meter);
}

/** An entry that is there anew must not be refused because it overlaps itself. */
const LASTING_FLAGS = ~FLOW_FLAG.checkOverlap;

/** The message that adds an entry, whatever message told of it. */
export function asAdd(flow: Omit<FlowMod, "kind" | "command" | "buffer">): FlowMod {
  return {
    ...{
      kind: "flow-mod",
      command: FLOW_COMMAND.add,
      cookie: flow.cookie,
      cookieMask: 0n,
      table: flow.table,
    },
    ...{ priority: flow.priority, idleS: flow.idleS, hardS: flow.hardS, buffer: NO_BUFFER },
    ...{ outPort: PORT.any, outGroup: GROUP_ANY, flags: flow.flags & LASTING_FLAGS },
    ...{ match: flow.match, instructions: flow.instructions },
  };
}

export function flowPiece(flow: FlowDescription): FlowMod {
  return asAdd({ ...flow, cookieMask: 0n, outPort: PORT.any, outGroup: GROUP_ANY });
}

export function groupPiece({ group, type, buckets }: GroupDescription): GroupMod {
  return { kind: "group-mod", command: GROUP_COMMAND.add, group, type, buckets };
}

export function meterPiece({ meter, flags, bands }: MeterDescription): MeterMod {
  return { kind: "meter-mod", command: METER_COMMAND.add, meter, flags, bands };
}

/** Meters above are the switch's own: of its slow path and its controllers. */
export const isOwnMeter = (meter: number) => meter > METER_MAX;

/** Whether everything that `inner` matches is matched by `outer`. */
export function matchHolds(outer: readonly Field[], inner: readonly Field[]): boolean {
  return outer.every((wide) => {
    const narrow = inner.find(({ name }) => name === wide.name);
    if (narrow === undefined) return false;
    const ones = fieldBits(wide.name);
    const [mask, fixed] = [wide.mask ?? ones, narrow.mask ?? ones];
    return (fixed & mask) === mask && (narrow.value & mask) === (wide.value & mask);
  });
}

export function actionsOf(instructions: readonly Instruction[]): readonly Action[] {
  return instructions.flatMap((one) => one.kind === "apply" || one.kind === "write" ? one.actions : []);
}

export function usesPort(instructions: readonly Instruction[], port: number): boolean {
  return actionsOf(instructions).some((one) => one.kind === "output" && one.port === port);
}

export function usesGroup(instructions: readonly Instruction[], group: number): boolean {
  return actionsOf(instructions).some((one) => one.kind === "group" && one.group === group);
}

export function usesMeter(instructions: readonly Instruction[], meter: number): boolean {
  return instructions.some((one) => one.kind === "meter" && one.meter === meter);
}

/** Groups that a group's buckets hand packets to: they have to be there first. */
export function groupsOf({ buckets }: GroupMod): number[] {
  return buckets.flatMap(({ actions }) => actions.flatMap((one) => one.kind === "group" ? [one.group] : []));
}

/** One text for the same piece, whatever message told of it; bytes as hexadecimal. */
export function bodyText(body: PieceBody): string {
  const plain = body.kind === "flow-mod" ? { ...body, match: matchKey(body.match) } : body;
  const members = Object.entries(plain).toSorted(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify(members, (name, value) => {
    if (typeof value === "bigint") return `0x${value.toString(16)}`;
    return value instanceof Uint8Array ? value.toHex() : name === "" ? value : comparable(value);
  });
}

/** How much of a packet is sent along matters only on the way to the controller. */
function comparable(value: unknown): unknown {
  const action = value as Action | null;
  const sent = typeof action === "object" && action?.kind === "output" && action.port !== PORT.controller;
  return sent ? { ...action, lengthMax: 0 } : value;
}
