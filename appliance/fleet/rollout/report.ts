/** Duty: roll-outs as people and programs see them: how far, what is waited for, and why each node is where it is. Pure. */
import type { Census, Choice, Course, Fleet, FleetNode, Rollout } from "./contract.ts";
import type { Rollouts } from "./engine.ts";
import { stageWait } from "./judge.ts";
import { stageOf } from "./stages.ts";

export interface StageView extends Census {
  readonly name: string;
  readonly who: string;
}

export interface RolloutView extends Rollout {
  readonly stages: readonly StageView[];
  /** What the current stage waits for; "" where nothing goes on. */
  readonly waits: string;
}

/** Where a node is: a step of its way, or that it has the version, waits, or is left as it is. */
export interface NodeStanding {
  readonly node: string;
  readonly name: string;
  readonly stage: string;
  readonly state: string;
  readonly reason: string;
}

export function choiceText(choice: Choice): string {
  if ("nodes" in choice) {
    const { nodes } = choice;
    return nodes.length > 3
      ? `${nodes.slice(0, 3).join(", ")} and ${nodes.length - 3} more`
      : nodes.join(", ");
  }
  if ("percent" in choice) return `${choice.percent} %`;
  return Object.entries(choice.labels).map(([name, value]) => `${name}=${value}`).join(", ");
}

export function rolloutView(rollouts: Rollouts, fleet: Fleet, rollout: Rollout, nowMs: number): RolloutView {
  const { order, phase } = rollout, censuses = rollouts.census(order.id, fleet);
  return {
    ...rollout,
    stages: order.stages.map(({ name, choice }, i) => ({ name, who: choiceText(choice), ...censuses[i]! })),
    waits: phase === "running" ? stageWait(rollout, censuses, nowMs) : "",
  };
}

function standing(state: ReturnType<Rollouts["why"]>): { state: string; reason: string } | null {
  if (state === null) return null;
  if ("step" in state) return { state: (state as Course).step, reason: state.reason };
  if (state.is === "ready") return { state: "waiting", reason: "is next when there is room" };
  if (state.is === "has it") return { state: "good", reason: "has it already" };
  return { state: state.is === "left" ? "left" : "waiting", reason: state.reason };
}

export function nodeStanding(
  rollouts: Rollouts,
  fleet: Fleet,
  { rollout, node, nowMs }: { rollout: Rollout; node: FleetNode; nowMs: number },
): NodeStanding | null {
  const stage = stageOf(rollout.order, node),
    found = standing(rollouts.why(rollout.order.id, fleet, node, nowMs));
  if (stage === null || found === null) return null;
  return { node: node.id, name: node.name, stage: rollout.order.stages[stage]!.name, ...found };
}

/** Who asks for many wants those first that something is the matter with. */
const ORDER = ["failed", "restarting", "installing", "installed", "observing", "waiting", "left", "good"];

export function nodeStandings(
  rollouts: Rollouts,
  fleet: Fleet,
  { rollout, nowMs, limit, state }: { rollout: Rollout; nowMs: number; limit: number; state?: string },
): readonly NodeStanding[] {
  const found: NodeStanding[] = [];
  for (const node of fleet.nodes()) {
    const one = nodeStanding(rollouts, fleet, { rollout, node, nowMs });
    if (one !== null && (state === undefined || one.state === state)) found.push(one);
  }
  return found.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.name < b.name ? -1 : 1))
    .slice(0, limit);
}
