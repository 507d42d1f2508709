/**
 * Learning mode: everything is judged and nothing is moved. Pure.
 *
 * The plane says where its reflexes would have the traffic, the point of failover what it would order. While the node
 * learns, the one is told and the other is told and not carried out. Armed, both pass untouched.
 */
import type { EventView } from "../view_events.ts";
import type { Path } from "../view.ts";

export interface LearningView {
  readonly sinceMs: number;
  /** What the node would have done by now, were it armed; null: leave the traffic where it is. */
  readonly would:
    | { readonly path: Path; readonly cause: EventView["cause"]; readonly sinceMs: number }
    | null;
  /** How often it would have moved the traffic, since control started. */
  readonly times: number;
}

export interface LearningSeen {
  readonly learning: boolean;
  readonly path: Path;
  /** Where the reflexes would have the traffic, and why. */
  readonly reflex: { readonly path: Path; readonly cause: EventView["cause"] };
  /** What the point of failover orders at this look; null: nothing. */
  readonly order: Path | null;
}

export interface LearningState {
  readonly would: LearningView["would"];
  readonly times: number;
}

export const LEARNING_START: LearningState = { would: null, times: 0 };

export interface LearningVerdict {
  readonly state: LearningState;
  /** The order that is left to carry out. */
  readonly order: Path | null;
  /** What has begun or ended with this look; null: nothing. */
  readonly told: { readonly over: boolean; readonly path: Path; readonly cause: EventView["cause"] } | null;
}

/** One look. Call it again with the state it returns. */
export function judgeLearning(state: LearningState, seen: LearningSeen, nowMs: number): LearningVerdict {
  const { learning, path, order } = seen;
  if (!learning) return { state: { ...state, would: null }, order, told: null };
  const wanted = seen.reflex.path !== path
    ? seen.reflex
    : order !== null && order !== path
    ? { path: order, cause: "return" as const }
    : null;
  const { would, times } = state;
  if (wanted?.path === would?.path) return { state, order: null, told: null };
  if (wanted === null) {
    return { state: { would: null, times }, order: null, told: { over: true, path, cause: "over" } };
  }
  const next = { would: { ...wanted, sinceMs: nowMs }, times: times + 1 };
  return { state: next, order: null, told: { over: false, ...wanted } };
}

/** "the node learns: it moves nothing by itself" */
export function learningText({ would }: LearningView): string {
  const done = would === null ? "" : `; armed, it would move the traffic to ${would.path} (${would.cause})`;
  return `the node learns: it moves nothing by itself${done}`;
}
