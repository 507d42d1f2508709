/**
 * Duty: hand changes to whoever watches, never more than a bound of them waiting. Pure: promises, no clock.
 *
 * Who is too slow loses everything that waits and is told so once, as a gap: then reading anew is cheaper than catching
 * up, and a source of changes is never held up by a reader.
 */
import type { DriverEvent } from "../driver.ts";

export class Watchers {
  readonly #all = new Set<Queue>();
  #dropped = 0;

  constructor(readonly waitingMax: number) {}

  /** Changes that a watcher was too slow for. */
  get dropped(): number {
    return this.#dropped;
  }

  tell(event: DriverEvent): void {
    for (const queue of this.#all) this.#dropped += queue.put(event, this.waitingMax);
  }

  /** From now on, also before the first is asked for; ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<DriverEvent> {
    const queue = new Queue();
    if (!signal.aborted) this.#all.add(queue);
    else queue.end();
    const end = () => {
      this.#all.delete(queue);
      queue.end();
    };
    signal.addEventListener("abort", end, { once: true });
    return queue.events(() => {
      signal.removeEventListener("abort", end);
      end();
    });
  }

  close(): void {
    for (const queue of this.#all) queue.end();
    this.#all.clear();
  }
}

class Queue {
  #waiting: DriverEvent[] = [];
  #taken = 0;
  #ended = false;
  #wake = Promise.withResolvers<void>();

  /** How many were dropped for it. */
  put(event: DriverEvent, waitingMax: number): number {
    const waiting = this.#waiting.length - this.#taken;
    let dropped = 0;
    if (waiting >= waitingMax) {
      dropped = waiting;
      this.#waiting = [{ kind: "gap", reason: `${waiting} changes waited, and nobody took them` }];
      this.#taken = 0;
    }
    this.#waiting.push(event);
    this.#wake.resolve();
    return dropped;
  }

  end(): void {
    this.#ended = true;
    this.#wake.resolve();
  }

  async *events(close: () => void): AsyncGenerator<DriverEvent> {
    try {
      for (;;) {
        while (this.#taken < this.#waiting.length) {
          yield this.#waiting[this.#taken++]!;
        }
        this.#waiting = [];
        this.#taken = 0;
        if (this.#ended) return;
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
      }
    } finally {
      close();
    }
  }
}
