/**
 * Which boxes flap: the damping of every box, fed with events, asked at each look.
 *
 * Holds the state that damping.ts computes with; takes events and the time as values. A control that starts feeds it the
 * journal, so a box does not become trustworthy by a restart of control.
 */
import type { Box, DampingView, EventView } from "../view.ts";
import {
  type Damped,
  type DampingConfig,
  isDeath,
  lookDamped,
  noteDeath,
  reuseAtMs,
  UNDAMPED,
} from "./damping.ts";

/** Fewer points than this are told as none. */
const POINTS_TOLD = 1;

export class Flaps {
  readonly #boxes = new Map<string, Damped>();

  /** Deaths among what happened, oldest first. */
  note(events: readonly EventView[], config: DampingConfig): void {
    for (const event of events) {
      if (!isDeath(event)) continue;
      const state = this.#boxes.get(event.subject) ?? UNDAMPED;
      this.#boxes.set(event.subject, noteDeath(state, config, event.wallMs));
    }
  }

  /** Let time pass. @returns the boxes that are reused from now on */
  look(config: DampingConfig, nowMs: number): string[] {
    const reused: string[] = [];
    for (const [box, before] of this.#boxes) {
      const state = lookDamped(before, config, nowMs);
      if (before.suppressed && !state.suppressed) reused.push(box);
      if (state.points < POINTS_TOLD) this.#boxes.delete(box);
      else this.#boxes.set(box, state);
    }
    return reused;
  }

  suppressed(box: Box): boolean {
    return this.#boxes.get(box)?.suppressed ?? false;
  }

  reuseAtMs(box: Box, config: DampingConfig): number | null {
    return reuseAtMs(this.#boxes.get(box) ?? UNDAMPED, config);
  }

  /** Null: the box has not died for so long that nothing is held against it. */
  view(box: Box, config: DampingConfig): DampingView | null {
    const state = this.#boxes.get(box);
    if (state === undefined) return null;
    const untilMs = reuseAtMs(state, config);
    return {
      points: Math.round(state.points),
      suppressed: state.suppressed,
      untilMs: untilMs === null ? null : Math.round(untilMs),
    };
  }
}
