/** Of a core, what each worker of the plane used of it since the last reading. Pure. */
import type { Board } from "../filter/board.ts";

/** More often is noise. */
const READ_NS_MIN = 500e6;

export class CpuShares {
  #before: { readonly ns: readonly number[]; readonly atNs: number } = { ns: [], atNs: 0 };
  #shares: readonly number[] = [];

  /** 0..1, of each worker. */
  get shares(): readonly number[] {
    return this.#shares;
  }

  look(board: Board, atNs: number): void {
    const before = this.#before;
    if (atNs - before.atNs < READ_NS_MIN) return;
    const workers = board.number("live.workers");
    const ns = Array.from({ length: workers }, (_, i) => board.number("worker.cpu_ns", i));
    const share = (now: number, then = now) => Math.min(1, Math.max(0, now - then) / (atNs - before.atNs));
    this.#before = { ns, atNs };
    this.#shares = ns.map((now, i) => share(now, before.ns[i]));
  }
}
