/**
 * A box as it really is: links, which ways it passes, and the frames it holds.
 *
 * The truth that verdicts are held against. A well box loses one frame in a long while and nothing else; frames leave
 * it after a fixed delay, in order.
 */
import type { Side } from "./reflex.ts";

/** Frames of one flow that entered together. */
interface Held {
  readonly dueNs: number;
  /** Where they come out. */
  readonly side: Side;
  readonly flow: number;
  readonly frames: number;
}

export interface Emerged {
  readonly side: Side;
  readonly flow: number;
  readonly frames: number;
}

export class SimBox {
  readonly link: [boolean, boolean] = [true, true];
  /** By the side where frames enter. */
  readonly passes: [boolean, boolean] = [true, true];
  /** For itself, when it is asked; it may pass frames and not answer, and the other way round. */
  answers = true;
  /** A grey box loses one frame in so many; 0: none. */
  losesOneIn = 0;
  #passed = 0;
  /** The last moment it was not well, in time the node was awake; -1: always was. */
  faultyNs = -1;
  /** When to lose the next single frame, and how long not to lose another. */
  #dropNs: number;
  #held: Held[] = [];

  constructor(readonly delayNs: number, firstDropNs: number, readonly dropEveryNs: number) {
    this.#dropNs = firstDropNs;
  }

  get well(): boolean {
    return this.link[0] && this.link[1] && this.passes[0] && this.passes[1];
  }

  /** Call at every moment something may have changed. */
  look(awakeNs: number): void {
    if (!this.well || this.losesOneIn > 0) this.faultyNs = awakeNs;
  }

  accept(nowNs: number, { side, flow, frames }: Emerged): void {
    if (!this.link[side] || !this.passes[side]) return;
    let rest = frames;
    if (nowNs >= this.#dropNs) {
      this.#dropNs = nowNs + this.dropEveryNs;
      rest--;
    }
    if (this.losesOneIn > 0) {
      const before = Math.floor(this.#passed / this.losesOneIn);
      this.#passed += rest;
      rest -= Math.floor(this.#passed / this.losesOneIn) - before;
    }
    if (rest <= 0) return;
    this.#held.push({ dueNs: nowNs + this.delayNs, side: side === 0 ? 1 : 0, flow, frames: rest });
  }

  /** What has come out until now. */
  emerge(nowNs: number): readonly Emerged[] {
    let n = 0;
    while (n < this.#held.length && this.#held[n]!.dueNs <= nowNs) n++;
    if (n === 0) return NOTHING;
    return this.#held.splice(0, n).filter((held) => this.link[held.side]);
  }

  /** Everything inside is lost. */
  clear(): void {
    this.#held = [];
  }
}

const NOTHING: readonly Emerged[] = [];
