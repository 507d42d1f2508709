/**
 * Duty: changes on their way to whoever watches a driver, in order and bounded.
 *
 * Who does not keep up is told that he missed something instead of being given all of it. Pure.
 */
import type { DriverEvent } from "../driver.ts";

/** A burst of a controller that reinstalls everything, at a few hundred bytes each. */
const WAITING_MAX = 65_536;

interface Watcher {
  waiting: DriverEvent[];
  wake: () => void;
}

export class Watchers {
  readonly #watchers = new Set<Watcher>();
  /** Times that somebody did not keep up. */
  overrun = 0;

  constructor(readonly waitingMax = WAITING_MAX) {}

  tell(events: readonly DriverEvent[]): void {
    for (const watcher of this.#watchers) {
      if (watcher.waiting.length + events.length > this.waitingMax) {
        this.overrun++;
        watcher.waiting = [{ kind: "gap", reason: `more than ${this.waitingMax} changes waited` }];
      } else watcher.waiting.push(...events);
      if (events.length > 0) watcher.wake();
    }
  }

  /** What is told from now on, until the signal. */
  watch(signal: AbortSignal): AsyncIterable<DriverEvent> {
    const watcher: Watcher = { waiting: [], wake: () => {} };
    // From this moment, not from the first time that somebody asks for an event.
    this.#watchers.add(watcher);
    return this.#events(watcher, signal);
  }

  async *#events(watcher: Watcher, signal: AbortSignal): AsyncGenerator<DriverEvent> {
    const woken = () => watcher.wake();
    signal.addEventListener("abort", woken);
    try {
      while (!signal.aborted) {
        const batch = watcher.waiting;
        watcher.waiting = [];
        for (const event of batch) yield event;
        if (batch.length === 0) {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
            if (watcher.waiting.length > 0 || signal.aborted) resolve();
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", woken);
      this.#watchers.delete(watcher);
    }
  }
}
