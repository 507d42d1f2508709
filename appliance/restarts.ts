/**
 * Duty: when something that failed is tried again: later each time, never at the same moment as others, and at once again
 * after it has been well for long enough.
 *
 * Pure: takes `now` and a source of chance.
 */
import type { Random } from "../filter/random.ts";

export interface RestartLimits {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Well for so long: the next failure is a first one. */
  readonly steadyMs: number;
}

export const RESTART_LIMITS: RestartLimits = { firstMs: 200, maxMs: 30_000, steadyMs: 60_000 };

export class Restarts {
  readonly #random: Random;
  readonly #limits: RestartLimits;
  #inARow = 0;
  #startedMs: number | null = null;

  constructor(random: Random, limits: RestartLimits = RESTART_LIMITS) {
    this.#random = random;
    this.#limits = limits;
  }

  get inARow(): number {
    return this.#inARow;
  }

  started(nowMs: number): void {
    this.#startedMs = nowMs;
  }

  /** Returns after how many milliseconds to try again: half of the step for certain, the other half by chance. */
  failed(nowMs: number): number {
    const { firstMs, maxMs, steadyMs } = this.#limits;
    if (this.#startedMs !== null && nowMs - this.#startedMs >= steadyMs) this.#inARow = 0;
    this.#startedMs = null;
    const step = Math.min(maxMs, firstMs * 2 ** Math.min(this.#inARow++, 30));
    return Math.round(step / 2 + this.#random.below(1_000) / 1_000 * step / 2);
  }
}
