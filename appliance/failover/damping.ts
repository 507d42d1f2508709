/**
 * Flap damping with decay: what becomes of a box that dies again and again (RFC 2439, for boxes in place of routes).
 *
 * Each death costs a fixed penalty, which halves in a fixed time. Above one bar the box is suppressed, and it stays so until
 * the rest is below another, lower one. A suppressed box still serves while no other is alive: damping is an opinion on
 * whom to prefer, never a reason to drop. Pure; the deaths of an earlier life of control come from its journal.
 */
import type { EventView } from "../view.ts";

/** Of one death, as the bars are told in. */
export const DEATH_POINTS = 1000;

export interface DampingConfig {
  readonly halfLifeS: number;
  /** 0: no box is ever suppressed. */
  readonly suppressAbove: number;
  readonly reuseBelow: number;
  readonly suppressSMax: number;
}

/** What is remembered of a box: points as they were at a moment. */
export interface Damped {
  readonly points: number;
  readonly atMs: number;
  readonly suppressed: boolean;
}

export const UNDAMPED: Damped = { points: 0, atMs: 0, suppressed: false };

/** Points beyond which more deaths add nothing, so that suppression ends in time (RFC 2439, 4.2). */
export function pointsMax({ halfLifeS, reuseBelow, suppressSMax }: DampingConfig): number {
  return reuseBelow * 2 ** (suppressSMax / halfLifeS);
}

/** The state now: points decay, and a box is reused. A clock that was set back makes no points. */
export function lookDamped(state: Damped, config: DampingConfig, nowMs: number): Damped {
  const elapsedMs = Math.max(0, nowMs - state.atMs);
  const points = state.points * 2 ** (-elapsedMs / (config.halfLifeS * 1000));
  const suppressed = state.suppressed && config.suppressAbove > 0 && points >= config.reuseBelow;
  return { points, atMs: nowMs, suppressed };
}

/** The box has died. */
export function noteDeath(state: Damped, config: DampingConfig, nowMs: number): Damped {
  const now = lookDamped(state, config, nowMs);
  const points = Math.min(now.points + DEATH_POINTS, pointsMax(config));
  const suppressed = now.suppressed || (config.suppressAbove > 0 && points > config.suppressAbove);
  return { points, atMs: nowMs, suppressed };
}

/** When a suppressed box will be reused if it dies no more; null: it is not suppressed. */
export function reuseAtMs({ points, atMs, suppressed }: Damped, config: DampingConfig): number | null {
  if (!suppressed) return null;
  return atMs + Math.max(0, Math.log2(points / config.reuseBelow)) * config.halfLifeS * 1000;
}

/** Is this event the death of a box, and not what a person did to it? */
export function isDeath({ kind, after, cause }: Pick<EventView, "kind" | "after" | "cause">): boolean {
  return kind === "box" && after === "dead" && cause !== "order";
}
