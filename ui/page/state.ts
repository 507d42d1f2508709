/**
 * Duty: the one big word: would this node survive the death of a box now?
 *
 * Pure. Protected: traffic passes, and a standby would carry it on. Degraded: a standby is alive, but something speaks
 * against a good failover. Unprotected: the next death is an outage, or nobody can tell. What nobody has looked at for
 * a second is never called protected. Learning: traffic passes, and the node moves nothing by itself.
 */
import { learningText } from "../../appliance/failover/learning.ts";
import type { BoxView, NodeStatus } from "../../appliance/view.ts";

export type StateKey = "protected" | "degraded" | "unprotected" | "learning";

export interface Protection {
  readonly key: StateKey;
  readonly word: string;
  readonly reason: string;
}

/** Older than this is history. */
export const STALE_MS = 1000;
const WORD = {
  protected: "Protected",
  degraded: "Degraded",
  unprotected: "Unprotected",
  learning: "Learning",
} as const;

export function protection(status: NodeStatus): Protection {
  const bad = unprotectedBy(status);
  if (bad !== null) return said("unprotected", bad);
  if (status.learning !== undefined) return said("learning", learningText(status.learning));
  const weak = degradedBy(status);
  return weak === null ? said("protected", status.reason) : said("degraded", weak);
}

/** The boxes that would take over, best first as the node has them. */
export function sparesOf(status: NodeStatus): readonly BoxView[] {
  return status.boxes.filter(({ serving, member, light }) => !serving && member && light !== "red");
}

function said(key: StateKey, reason: string): Protection {
  return { key, word: WORD[key], reason };
}

function unprotectedBy(status: NodeStatus): string | null {
  if (status.plane.state !== "running") return status.reason;
  if (status.freshMs > STALE_MS) return "control has lost sight of the plane: what stands here is history";
  if (status.path === "block") return "traffic is blocked: no box is alive";
  if (status.path === "wire") return "traffic passes around the boxes";
  const serving = status.boxes.find((box) => box.serving);
  if (serving?.light === "red" && status.learning === undefined) {
    return `${serving.name} serves and is not alive: ${serving.reason}`;
  }
  const spares = sparesOf(status);
  if (spares.length > 0 || status.learning !== undefined) return null;
  const dead = status.boxes.find((box) => !box.serving && box.light === "red");
  if (dead !== undefined) return `no box would take over: ${dead.name} is not alive: ${dead.reason}`;
  const away = status.boxes.find((box) => !box.serving && !box.member);
  return away === undefined ? "there is no second box" : `no box would take over: ${away.name} is away`;
}

function degradedBy(status: NodeStatus): string | null {
  const spares = sparesOf(status);
  const alarmed = spares.find(({ match }) => match?.alarm);
  if (alarmed && spares.every(({ match }) => match?.alarm)) return `${alarmed.name}: ${alarmed.reason}`;
  const unfit = status.external.find(({ light }) => light !== "green");
  if (unfit) return `switch ${unfit.name}: ${unfit.reason}`;
  return status.light === "green" ? null : status.reason;
}
