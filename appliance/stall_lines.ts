/**
 * Which of the plane's own stalls become lines of the log: the first at once, then one line a minute with their number.
 *
 * On a machine that is too slow there is one every second, and a console full of them hides what matters. The journal and
 * the counters have them all. Takes the time as a value.
 */
import type { EventView } from "./view.ts";

const QUIET_US = 60e6;

export class StallLines {
  #toldUs = -Infinity;
  #number = 0;
  #longestUs = 0;

  /** Is this event a line of its own now? A stall within a minute of the last line is kept for the next one. */
  tells({ kind, monoUs, silentUs }: EventView): boolean {
    if (kind !== "stall") return true;
    if (this.#number === 0 && monoUs - this.#toldUs >= QUIET_US) {
      this.#toldUs = monoUs;
      return true;
    }
    this.#number++;
    this.#longestUs = Math.max(this.#longestUs, silentUs ?? 0);
    return false;
  }

  /** Let time pass. @returns the line for what was kept, a minute after the last one; null: nothing to say */
  look(nowUs: number): string | null {
    if (this.#number === 0 || nowUs - this.#toldUs < QUIET_US) return null;
    const ms = (this.#longestUs / 1000).toFixed(1);
    const seconds = Math.round((nowUs - this.#toldUs) / 1e6);
    const times = this.#number === 1 ? "once" : `${this.#number} times`;
    const line =
      `the node's own loop stood still ${times} more in the last ${seconds} s, for ${ms} ms at most`;
    this.#toldUs = nowUs;
    this.#number = this.#longestUs = 0;
    return line;
  }
}
