/**
 * The point of failover's judgement: when to go back to the primary without a person.
 *
 * The plane switches by reflex and never returns by itself. This decides the slow half: with automatic failback
 * the primary must have been alive without a break for the configured time, the hour must be allowed, and it must know the
 * flows that live (gate.ts). A box that keeps dying is left alone for as long as it is suppressed (damping.ts). What a
 * person moved stays where it was put.
 */
import type { Box, Path } from "../view.ts";
import type { FailbackView } from "../view_match.ts";
import { type GateRules, type GateSeen, judgeGate } from "./gate.ts";
import { type DayWindow, opensAtMs, parseWindow } from "./window.ts";

export interface PointConfig {
  readonly failback: "manual" | "automatic";
  readonly failbackAfterMs: number;
  /** The hours in which it may be; null: any. */
  readonly window?: DayWindow | null;
  /** Absent: the match of the primary is not asked. */
  readonly gate?: GateRules;
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
  /** What is known of the primary's match. @default nothing */
  readonly match?: GateSeen | null;
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
  /** Since when nothing but the gate has kept traffic from going back, hours aside; null: something else did. */
  readonly gateSinceMs: number | null;
}

export interface PointVerdict {
  readonly state: PointState;
  /** A path to order now; null: leave things as they are. */
  readonly order: Path | null;
  /** When the primary will have earned its way back, and what else is waited for; null: not by itself. */
  readonly failback: FailbackView | null;
  /** The gate has kept traffic for longer than it may. */
  readonly overdue: boolean;
}

export const POINT_START: PointState = { aliveSinceMs: null, primaryDownNs: 0, gateSinceMs: null };

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
  const { primaryDownNs, suppressedUntilMs } = input;
  const mayReturn = config.failback === "automatic" && isSpare(input.path) && !input.ordered;
  if (!mayReturn || aliveSinceMs === null) {
    const next = { aliveSinceMs, primaryDownNs, gateSinceMs: null };
    return { state: next, order: null, failback: null, overdue: false };
  }
  const earnedMs = Math.max(aliveSinceMs + config.failbackAfterMs, suppressedUntilMs ?? 0);
  const atMs = config.window ? opensAtMs(config.window, Math.max(earnedMs, nowMs)) : earnedMs;
  const due = nowMs >= atMs && suppressedUntilMs === null;
  // A window that closes does not end the wait: in the next one it may be over at once.
  const sinceMs = (known === null ? null : state.gateSinceMs) ?? (due ? nowMs : null);
  const next: PointState = { aliveSinceMs, primaryDownNs, gateSinceMs: sinceMs };
  if (!due || sinceMs === null) {
    return { state: next, order: null, failback: { atMs, wait: null }, overdue: false };
  }
  const { wait, overdue } = config.gate
    ? judgeGate(input.match ?? null, config.gate, { sinceMs, nowMs })
    : { wait: null, overdue: false };
  return { state: next, order: wait === null ? "primary" : null, failback: { atMs, wait }, overdue };
}
