/**
 * Duty: hands what a driver notices to those who watch it, with a bound on what may wait.
 *
 * Who reads too slowly loses what waits for him and is told of a gap in its place: he has to `get` anew, which is less work
 * than all that was missed.
 */
import type { DriverEvent } from "./driver.ts";

export const WAITING_MAX = 4_096;

interface Watcher {
  waiting: DriverEvent[];
  wake: () => void;
}

export class Changes {
  readonly #watchers = new Set<Watcher>();
  readonly #max: number;
  #gaps = 0;

  constructor(waitingMax: number = WAITING_MAX) {
    this.#max = waitingMax;
  }

  /** How often somebody lost what waited. */
  get gaps(): number {
    return this.#gaps;
  }

  tell(event: DriverEvent): void {
    for (const watcher of this.#watchers) {
      if (watcher.waiting.length >= this.#max) {
        this.#gaps++;
        watcher.waiting = [{ kind: "gap", reason: `more than ${this.#max} changes waited` }];
      }
      watcher.waiting.push(event);
      watcher.wake();
    }
  }

  /** From the moment of the call, not of the first reading. */
  watch(signal: AbortSignal): AsyncIterable<DriverEvent> {
    const watcher: Watcher = { waiting: [], wake: () => {} };
    this.#watchers.add(watcher);
    return this.#read(watcher, signal);
  }

  async *#read(watcher: Watcher, signal: AbortSignal): AsyncGenerator<DriverEvent> {
    const onAbort = () => watcher.wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        const events = watcher.waiting;
        watcher.waiting = [];
        yield* events;
        if (watcher.waiting.length > 0 || signal.aborted) continue;
        await new Promise<void>((resolve) => watcher.wake = resolve);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#watchers.delete(watcher);
    }
  }
}
