/**
 * Which box should serve, as seen over all external switches.
 *
 * A switch moves the traffic by itself, and would move it back by itself the moment a port returns. So what a switch did is
 * made an order: the box that serves becomes the first, and the way back is a judgement, as it is for the plane
 * (../point.ts). A box that one switch has lost may not serve on the other either. Pure.
 */
import { type Damped, type DampingConfig, lookDamped, noteDeath, reuseAtMs, UNDAMPED } from "../damping.ts";
import { judgePoint, POINT_START, type PointConfig, pointOf, type PointState } from "../point.ts";
import type { Judgement } from "./plan.ts";

export interface BoxesState {
  readonly order: readonly number[];
  /** When each box came back; null: it never was away, Infinity: it is away. */
  readonly returnedMs: readonly (number | null)[];
  readonly point: PointState;
  /** Of each box: how often it died lately. */
  readonly damped: readonly Damped[];
  readonly moves: number;
  /** The primary's deaths, as a clock that only has to change. */
  readonly deaths: number;
  /** The last move was a person's. */
  readonly ordered: boolean;
}

export interface BoxesConfig extends PointConfig {
  readonly holdUpMs: number;
  readonly damping: DampingConfig;
}

/** Out of the section [failover]. */
export function boxesOf(
  failover: Parameters<typeof pointOf>[0] & Pick<BoxesConfig, "holdUpMs" | "damping">,
): BoxesConfig {
  return { ...pointOf(failover), holdUpMs: failover.holdUpMs, damping: failover.damping };
}

export interface BoxesVerdict {
  readonly state: BoxesState;
  readonly judgement: Judgement;
  /** What moved, if it did. */
  readonly moved:
    | { readonly from: number; readonly to: number; readonly cause: "link" | "left" | "return" }
    | null;
}

export interface BoxesSeen {
  /** By box: all its ports on all switches are live. */
  readonly alive: readonly boolean[];
  /** Boxes that have left, by a person's word. */
  readonly left: readonly number[];
}

export function boxesStart(order: readonly number[]): BoxesState {
  const returnedMs = order.map(() => null);
  const damped = order.map(() => UNDAMPED);
  return { order, returnedMs, point: POINT_START, damped, moves: 0, deaths: 0, ordered: false };
}

/** The boxes in their usual order, but `first` before all. */
export function orderFrom(first: number, boxes: number): number[] {
  return [first, ...Array.from({ length: boxes }, (_, box) => box).filter((box) => box !== first)];
}

/** A person moved the traffic; not for good: it may go back by itself. */
export function ordered(state: BoxesState, box: number, isForGood = true): BoxesState {
  const order = orderFrom(box, state.order.length);
  return { ...state, order, moves: state.moves + (order[0] === state.order[0] ? 0 : 1), ordered: isForGood };
}

/** One look. */
export function judgeBoxes(
  before: BoxesState,
  seen: BoxesSeen,
  config: BoxesConfig,
  nowMs: number,
): BoxesVerdict {
  // A box that joins again is warmed for the hold-up, like one that returns.
  const alive = before.order.map((_, box) => seen.alive[box] === true && !seen.left.includes(box));
  const returnedMs = before.returnedMs.map((was, box) => {
    if (alive[box] !== true) return Infinity;
    return was === Infinity ? nowMs : was;
  });
  const usable = returnedMs.map((at) => at === null || nowMs - at >= config.holdUpMs);
  const died = returnedMs.map((at, box) =>
    at === Infinity && before.returnedMs[box] !== Infinity && !seen.left.includes(box)
  );
  const damped = before.damped.map((was, box) =>
    (died[box] ? noteDeath : lookDamped)(was, config.damping, nowMs)
  );
  let state: BoxesState = { ...before, returnedMs, damped, deaths: before.deaths + (died[0] ? 1 : 0) };
  const from = state.order[0] ?? 0;
  let moved: BoxesVerdict["moved"] = null;
  // One that died too often lately serves only where there is no other.
  const steady = state.order.find((box) => usable[box] === true && !damped[box]!.suppressed);
  const next = steady ?? state.order.find((box) => usable[box] === true);
  if (usable[from] !== true && next !== undefined) {
    moved = { from, to: next, cause: seen.left.includes(from) ? "left" : "link" };
    state = { ...state, order: orderFrom(next, state.order.length), moves: state.moves + 1, ordered: false };
  }
  const verdict = judgePoint(
    state.point,
    pointInput(state, alive, reuseAtMs(damped[0]!, config.damping)),
    config,
    nowMs,
  );
  state = { ...state, point: verdict.state };
  if (verdict.order === "primary" && usable[0] === true) {
    moved = { from: state.order[0] ?? 0, to: 0, cause: "return" };
    state = { ...state, order: orderFrom(0, state.order.length), moves: state.moves + 1 };
  }
  const out = state.order.filter((box) => usable[box] !== true).toSorted((a, b) => a - b);
  return { state, judgement: { order: state.order, out, left: seen.left }, moved };
}

function pointInput(state: BoxesState, alive: readonly boolean[], suppressedUntilMs: number | null) {
  return {
    path: state.order[0] === 0 ? "primary" : "redundant",
    alive: { primary: alive[0] === true, redundant: alive.slice(1).some(Boolean) },
    primaryDownNs: state.deaths,
    suppressedUntilMs,
    ordered: state.ordered,
  } as const;
}
