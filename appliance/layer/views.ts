/** Duty: moves and copies as people see them. Pure. */
import { fieldsText } from "../../drivers/fields.ts";
import type { MoveView, TransferView } from "./contract.ts";
import type { Ended } from "./intents.ts";
import { type MoveState, NOTHING, stepOf } from "./move.ts";

export function moveView(state: MoveState, nowMs: number): MoveView {
  const { order, course, end, reason, startedMs, endedMs, counts } = state;
  return {
    id: order.id,
    source: order.source,
    destination: order.destination,
    fields: fieldsText(order.fields),
    guarantee: order.guarantee,
    step: stepOf(state),
    course,
    end,
    reason,
    startedMs,
    ageMs: (endedMs ?? nowMs) - startedMs,
    counts,
  };
}

/** One that ended in a life of control before this one: what it counted is not kept. */
export function endedView({ order, end, startedMs, endedMs, reason }: Ended): MoveView {
  return {
    id: order.id,
    source: order.source,
    destination: order.destination,
    fields: fieldsText(order.fields),
    guarantee: order.guarantee,
    step: end === "moved" ? "delete" : "op",
    course: end === "moved" ? "on" : "back",
    end,
    reason,
    startedMs,
    ageMs: endedMs - startedMs,
    counts: NOTHING,
  };
}

/** One sentence of a step, for the journal of the node. */
export function stepText(state: MoveState): string {
  const { order, counts, end, course, reason } = state;
  const what = `${fieldsText(order.fields)} from ${order.source} to ${order.destination}`;
  const why = reason === "" ? "" : `: ${reason}`;
  if (end === "moved") return `move ${order.id} of ${what} done, ${counts.records} records${why}`;
  if (end === "back") return `move ${order.id} of ${what} went back${why}`;
  return `move ${order.id} of ${what}: ${stepOf(state)}${course === "back" ? ", going back" : ""}${why}`;
}

export function transferText({ counts, conflicts, conflictsMore }: TransferView): string {
  const unlike = conflicts.length + conflictsMore;
  const rest = unlike === 0 ? "" : `, ${unlike} conflict${unlike === 1 ? "" : "s"}`;
  return `${counts.records} records, ${counts.taken} taken, ${counts.known} known${rest}`;
}
