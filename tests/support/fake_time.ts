/** Timers of the platform that run when a test says so. `restore()` puts the real ones back. */
interface Timer {
  readonly run: () => void;
  readonly everyMs: number;
  atMs: number;
}

export class FakeTime {
  nowMs: number;
  readonly #timers = new Map<number, Timer>();
  readonly #real = { set: globalThis.setInterval, clear: globalThis.clearInterval };
  #last = 0;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
    globalThis.setInterval = ((run: () => void, everyMs: number) => {
      this.#timers.set(++this.#last, { run, everyMs, atMs: this.nowMs + everyMs });
      return this.#last;
    }) as unknown as typeof setInterval;
    globalThis.clearInterval = ((id: number) => this.#timers.delete(id)) as unknown as typeof clearInterval;
  }

  /** How many run. */
  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.#timers.values()].filter(({ atMs }) =>
        atMs <= endMs
      ).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.nowMs = due.atMs;
      due.atMs += due.everyMs;
      due.run();
    }
    this.nowMs = endMs;
  }

  restore(): void {
    globalThis.setInterval = this.#real.set;
    globalThis.clearInterval = this.#real.clear;
  }
}
