/**
 * The point of failover's judgement: when to go back to the primary without a person.
 *
 * The plane switches by reflex and never returns by itself. This decides the slow half: with automatic failback
 * the primary must have been alive without a break for the configured time, and each switch within the last quarter of
 * an hour doubles that time, so that a box that keeps dying is left alone (flap damping, RFC 2439 in spirit). What a
 * person moved stays where it was put.
 */
import type { Box, Path } from "../view.ts";

export interface PointConfig {
  readonly failback: "manual" | "automatic";
  readonly failbackAfterMs: number;
}

export interface PointInput {
  readonly path: Path;
  readonly alive: Readonly<Partial<Record<Box, boolean>>>;
  /** When the primary was last judged dead, on any clock: only a change of it counts. */
  readonly primaryDownNs: number;
  /** Switches of the plane since it started. */
  readonly switches: number;
  /** The traffic is where it is by an order, not by reflex. */
  readonly ordered: boolean;
}

/** What has to be remembered from one look to the next. */
export interface PointState {
  /** When the primary was first seen alive in its present run; null while it is dead. */
  readonly aliveSinceMs: number | null;
  readonly primaryDownNs: number;
  readonly switches: number;
  /** Times of the latest switches, oldest first. */
  readonly switchedMs: readonly number[];
}

export interface PointVerdict {
  readonly state: PointState;
  /** A path to order now; null: leave things as they are. */
  readonly order: Path | null;
  /** When the primary will have earned its way back; null: not by itself. */
  readonly failbackAtMs: number | null;
}

const FLAP_WINDOW_MS = 15 * 60_000;
/** 2^6: a minute grows to about an hour. */
const DOUBLINGS_MAX = 6;
const REMEMBERED_MAX = 32;

export const POINT_START: PointState = { aliveSinceMs: null, primaryDownNs: 0, switches: 0, switchedMs: [] };

/** The state of a control that takes over a plane: switches it finds are history with times of their own. */
export function pointAfter(switches: number, switchedMs: readonly number[]): PointState {
  return { ...POINT_START, switches, switchedMs: switchedMs.slice(-REMEMBERED_MAX) };
}

function remember(state: PointState, input: PointInput, nowMs: number): readonly number[] {
  // A plane that was started anew counts from zero again.
  const fresh = Math.max(0, input.switches - (input.switches < state.switches ? 0 : state.switches));
  const times = [...state.switchedMs, ...Array<number>(Math.min(fresh, REMEMBERED_MAX)).fill(nowMs)];
  return times.filter((at) => nowMs - at < FLAP_WINDOW_MS).slice(-REMEMBERED_MAX);
}

function isSpare(path: Path): boolean {
  return path !== "primary" && path !== "wire" && path !== "block";
}

/** One look. Pure: call it again with the state it returns. */
export function judgePoint(
  state: PointState,
  input: PointInput,
  config: PointConfig,
  nowMs: number,
): PointVerdict {
  const switchedMs = remember(state, input, nowMs);
  // A death between two looks is a break, though neither look saw it.
  const known = input.primaryDownNs === state.primaryDownNs ? state.aliveSinceMs : null;
  const aliveSinceMs = input.alive.primary ? known ?? nowMs : null;
  const { primaryDownNs, switches } = input;
  const next: PointState = { aliveSinceMs, primaryDownNs, switches, switchedMs };
  const mayReturn = config.failback === "automatic" && isSpare(input.path) && !input.ordered;
  if (!mayReturn || aliveSinceMs === null) {
    return { state: next, order: null, failbackAtMs: null };
  }
  // The switch that made the way back necessary is not held against the box.
  const doublings = Math.min(Math.max(0, switchedMs.length - 1), DOUBLINGS_MAX);
  const failbackAtMs = aliveSinceMs + config.failbackAfterMs * 2 ** doublings;
  return { state: next, order: nowMs >= failbackAtMs ? "primary" : null, failbackAtMs };
}
