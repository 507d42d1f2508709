/**
 * Duty: why a node is not offered an update now, in words; or that it may be.
 *
 * `left` is for good unless a person does something; `wait` ends by itself. The order of the questions is that in which a
 * person would want to hear of them.
 */
import type { Bar, Bundle, FleetNode, Rollout } from "./contract.ts";
import type { SlotView } from "../../update/contract.ts";
import { opensAtMs, stageOf } from "./stages.ts";
import { compareVersions } from "./version.ts";

export type Standing =
  | { readonly is: "ready"; readonly force: boolean }
  | { readonly is: "has it" }
  | { readonly is: "left" | "wait"; readonly reason: string };

export interface Around {
  readonly nowMs: number;
  readonly partner: FleetNode | undefined;
  readonly bar: Bar | undefined;
  /** The node that is under way and holds this one back. */
  readonly heldBy: string | null;
}

const READY: Standing = { is: "ready", force: false };
const FORCED: Standing = { is: "ready", force: true };
const HAS_IT: Standing = { is: "has it" };

export function bootedSlot(node: FleetNode): SlotView | undefined {
  return node.update?.slots.find(({ booted }) => booted);
}

/** It started from the bundle and called it good itself. */
export function runsGood(node: FleetNode, digest: string): boolean {
  const slot = bootedSlot(node);
  return slot !== undefined && slot.digest === digest && slot.state === "good";
}

/** What of a node alone keeps it from being updated, whatever the roll-out. */
export function leftBecause(node: FleetNode, bundle: Bundle, bar: Bar | undefined): string | null {
  if (node.update === null) return "it has no updater";
  if (bar !== undefined && bar.pardonedBy === null) {
    return `${bundle.version} fell back here (${bar.reason}); a person must allow it again`;
  }
  if (bar === undefined && node.update.badVersions.includes(bundle.version)) {
    return `the node itself holds ${bundle.version} for bad; a person must allow it again`;
  }
  const version = bootedSlot(node)?.version ?? null;
  if (version !== null && compareVersions(version, bundle.version) > 0) {
    return `it runs ${version}, which is later`;
  }
  return null;
}

/** Why a node must not be taken out of service or relied on now; null: nothing is against it. */
export function unfit(node: FleetNode): string | null {
  if (!node.connected) return "is not connected";
  if (node.health !== "green") return `is ${node.health}`;
  if (node.onRedundant) return "serves on a redundant box";
  const slot = bootedSlot(node);
  if (node.update !== null && slot?.state !== "good") return "runs from a slot that has not proved itself";
  return null;
}

/** Why the node may not restart now: it, or who would have to carry on. */
export function notNow(node: FleetNode, { partner, heldBy }: Around): string | null {
  const own = unfit(node);
  if (own !== null) return `it ${own}`;
  if (heldBy !== null) return `${heldBy}, which shares its traffic, is being updated`;
  if (node.partner === null) return null;
  if (partner === undefined) return `its partner ${node.partner} is not known`;
  const other = unfit(partner);
  if (other !== null) return `its partner ${partner.id} ${other}`;
  return partner.update?.installing ? `its partner ${partner.id} is being updated` : null;
}

/** Null: the node is not of this roll-out. */
export function standingOf(rollout: Rollout, node: FleetNode, around: Around): Standing | null {
  const { order } = rollout, stage = stageOf(order, node);
  if (stage === null) return null;
  if (runsGood(node, order.bundle.digest)) return HAS_IT;
  const left = leftBecause(node, order.bundle, around.bar);
  if (left !== null) return { is: "left", reason: left };
  const wait = (reason: string): Standing => ({ is: "wait", reason });
  if (rollout.phase !== "running") return wait(`the roll-out is ${rollout.phase}`);
  if (stage > rollout.stage) {
    return wait(`stage "${order.stages[stage]!.name}" has not begun`);
  }
  const against = notNow(node, around);
  if (against !== null) return wait(against);
  if (node.update?.installing) return wait("it installs something else");
  const opensMs = opensAtMs(order.windows, around.nowMs);
  if (opensMs > around.nowMs) {
    return wait(`the window opens at ${new Date(opensMs).toISOString().slice(11, 16)} UTC`);
  }
  return around.bar === undefined ? READY : FORCED;
}
