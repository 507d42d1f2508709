/**
 * Duty: in which stage a node is, and when a window is open. Pure.
 *
 * A share of the fleet is drawn by a hash of roll-out and node, so that it is the same whenever it is asked for, in every
 * controller, and another one with the next roll-out: not always the same customers come first.
 */
import type { Choice, FleetNode, HourWindow, RolloutOrder } from "./contract.ts";

const DAY_MIN = 24 * 60;

/** 0 to 100, without 100: where the node stands in this roll-out. FNV-1a with a final mix. */
export function place(rollout: string, node: string): number {
  let hash = 0x811c9dc5;
  const text = `${rollout}/${node}`;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash ^= hash >>> 13;
  return ((hash >>> 0) / 0x100000000) * 100;
}

export function hasLabels(node: FleetNode, labels: Readonly<Record<string, string>>): boolean {
  for (const name in labels) if (node.labels[name] !== labels[name]) return false;
  return true;
}

function isChosen(choice: Choice, node: FleetNode, at: number): boolean {
  if ("nodes" in choice) return choice.nodes.includes(node.id) || choice.nodes.includes(node.name);
  if ("percent" in choice) return at < choice.percent;
  return hasLabels(node, choice.labels);
}

/** What a node said does not change; what it says next is another object. */
const known = new WeakMap<RolloutOrder, WeakMap<FleetNode, number | null>>();

/** The first stage that has the node; null: the roll-out does not. */
export function stageOf(order: RolloutOrder, node: FleetNode): number | null {
  let stages = known.get(order);
  if (stages === undefined) known.set(order, stages = new WeakMap());
  let stage = stages.get(node);
  if (stage === undefined) stages.set(node, stage = findStage(order, node));
  return stage;
}

function findStage(order: RolloutOrder, node: FleetNode): number | null {
  if (!hasLabels(node, order.scope)) return null;
  const at = place(order.id, node.id);
  const found = order.stages.findIndex(({ choice }) => isChosen(choice, node, at));
  return found < 0 ? null : found;
}

/** When one of the windows is open, at the earliest: `nowMs` itself, or the next beginning. Milliseconds since 1970. */
export function opensAtMs(windows: readonly HourWindow[], nowMs: number): number {
  if (windows.length === 0) return nowMs;
  const minute = Math.floor(nowMs / 60_000) % DAY_MIN, midnightMs = nowMs - nowMs % (DAY_MIN * 60_000);
  let first = Infinity;
  for (const { fromMin, toMin } of windows) {
    const isOpen = fromMin < toMin
      ? minute >= fromMin && minute < toMin
      : minute >= fromMin || minute < toMin;
    if (isOpen) return nowMs;
    const beginMs = midnightMs + fromMin * 60_000;
    first = Math.min(first, beginMs > nowMs ? beginMs : beginMs + DAY_MIN * 60_000);
  }
  return first;
}
