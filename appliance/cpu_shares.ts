/** How much of its processor each worker of the plane takes, by what it says of its time twice. Pure. */
import type { Board } from "../filter/board.ts";

const EVERY_NS = 500e6;

export class CpuShares {
  #ns: readonly number[] = [];
  #atNs = 0;
  shares: readonly number[] = [];

  look(board: Board | undefined, nowNs: number): void {
    const passedNs = nowNs - this.#atNs;
    if (board === undefined || passedNs < EVERY_NS) return;
    const ns = Array.from(
      { length: board.number("live.workers") },
      (_, i) => board.number("worker.cpu_ns", i),
    );
    this.shares = ns.map((now, i) => Math.min(1, Math.max(0, now - (this.#ns[i] ?? now)) / passedNs));
    this.#ns = ns;
    this.#atNs = nowNs;
  }
}
