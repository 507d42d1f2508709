/**
 * The point of failover's judgement: when to go back to the primary without a person.
 *
 * The plane switches by reflex and never returns by itself. This decides the slow half: with automatic failback
 * the primary must have been alive without a break for the configured time, the hour must be allowed, and a box that keeps dying is left alone for
 * as long as it is suppressed (damping.ts). What a person moved stays where it was put.
 */
import type { Box, Path } from "../view.ts";
import { type DayWindow, opensAtMs, parseWindow } from "./window.ts";

export interface PointConfig {
  readonly failback: "manual" | "automatic";
  readonly failbackAfterMs: number;
  /** The hours in which it may be; null: any. */
  readonly window?: DayWindow | null;
}

export interface PointInput {
  readonly path: Path;
  readonly alive: Readonly<Partial<Record<Box, boolean>>>;
  /** When the primary was last judged dead, on any clock: only a change of it counts. */
  readonly primaryDownNs: number;
  /** Until when the primary is suppressed for having died too often; null: it is not. */
  readonly suppressedUntilMs: number | null;
  /** The traffic is where it is by an order, not by reflex. */
  readonly ordered: boolean;
}

/** Out of the section [failover]. */
export function pointOf(
  { failback, failbackAfterS, failbackWindow }: {
    readonly failback: "manual" | "automatic";
    readonly failbackAfterS: number;
    readonly failbackWindow: string | null;
  },
): PointConfig {
  const window = failbackWindow === null ? null : parseWindow(failbackWindow);
  return { failback, failbackAfterMs: failbackAfterS * 1000, window };
}

/** What has to be remembered from one look to the next. */
export interface PointState {
  /** When the primary was first seen alive in its present run; null while it is dead. */
  readonly aliveSinceMs: number | null;
  readonly primaryDownNs: number;
}

export interface PointVerdict {
  readonly state: PointState;
  /** A path to order now; null: leave things as they are. */
  readonly order: Path | null;
  /** When the primary will have earned its way back; null: not by itself. */
  readonly failbackAtMs: number | null;
}

export const POINT_START: PointState = { aliveSinceMs: null, primaryDownNs: 0 };

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
  // A death between two looks is a break, though neither look saw it.
  const known = input.primaryDownNs === state.primaryDownNs ? state.aliveSinceMs : null;
  const aliveSinceMs = input.alive.primary ? known ?? nowMs : null;
  const next: PointState = { aliveSinceMs, primaryDownNs: input.primaryDownNs };
  const mayReturn = config.failback === "automatic" && isSpare(input.path) && !input.ordered;
  if (!mayReturn || aliveSinceMs === null) {
    return { state: next, order: null, failbackAtMs: null };
  }
  const { suppressedUntilMs } = input;
  const earnedMs = Math.max(aliveSinceMs + config.failbackAfterMs, suppressedUntilMs ?? 0);
  const failbackAtMs = config.window ? opensAtMs(config.window, Math.max(earnedMs, nowMs)) : earnedMs;
  const due = nowMs >= failbackAtMs && suppressedUntilMs === null;
  return { state: next, order: due ? "primary" : null, failbackAtMs };
}
