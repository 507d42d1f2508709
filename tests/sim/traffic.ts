/**
 * Flows as the node sees them, all answered once: streams, connections that wait for an answer, and blocked ones.
 *
 * Rates jump between idle and dense, often all at once, because the edge of a burst is where a judgement of silence
 * errs. A blocked flow retransmits so thinly that no window of silence holds two of its frames.
 */
import type { Random } from "../../filter/random.ts";
import type { Side } from "./reflex.ts";
import { type Limits, MS } from "./settings.ts";

type Kind = "udp" | "tcp" | "blocked";

interface Flow {
  readonly kind: Kind;
  /** Frames per second by the side they enter. */
  rate: [number, number];
  owed: [number, number];
  /** Sent since anything of it came through. */
  unanswered: number;
  retryNs: number;
}

export interface Arrival {
  readonly side: Side;
  readonly flow: number;
  readonly frames: number;
}

const RATES = [0, 0, 20, 400, 3000, 10_000] as const;
/** A connection sends this much before it waits. */
const WINDOW = 30;
/** What a port keeps while nobody reads it. */
const RING = 256;

/** Longer than any window of evidence. */
export function retryNs(limits: Limits): number {
  return limits.windowNs + 10 * MS;
}

export class Traffic {
  readonly #flows: Flow[] = [];
  readonly #random: Random;
  readonly #retryNs: number;
  #quietUntilNs = 0;

  constructor(random: Random, limits: Limits, nowNs: number) {
    this.#random = random;
    this.#retryNs = retryNs(limits);
    // Each may send twice in a window that a stall of the node made long.
    const blocked = random.below(Math.floor(limits.silencePacketsMin / 4) + 1);
    const open = 2 + random.below(4);
    for (let i = 0; i < open + blocked; i++) {
      const kind: Kind = i >= open ? "blocked" : random.chance(0.5) ? "udp" : "tcp";
      this.#flows.push({
        kind,
        rate: [0, 0],
        owed: [0, 0],
        unanswered: 0,
        retryNs: nowNs + random.below(this.#retryNs),
      });
      this.#rerate(i);
    }
  }

  passes(flow: number): boolean {
    return this.#flows[flow]!.kind !== "blocked";
  }

  /** Something of the flow came through. */
  answered(flow: number): void {
    this.#flows[flow]!.unanswered = 0;
  }

  /** Frames that arrived since `sinceNs`. */
  arrive(sinceNs: number, nowNs: number): Arrival[] {
    this.#change(nowNs);
    const found: Arrival[] = [];
    this.#flows.forEach((flow, i) => {
      for (const side of [0, 1] as const) {
        const frames = this.#due(flow, side, { sinceNs, nowNs });
        if (frames > 0) found.push({ side, flow: i, frames });
      }
    });
    return found;
  }

  #due(flow: Flow, side: Side, { sinceNs, nowNs }: { sinceNs: number; nowNs: number }): number {
    const waits = flow.kind === "blocked" || (flow.kind === "tcp" && flow.unanswered >= WINDOW);
    if (waits) {
      if (nowNs < flow.retryNs || side === 1) return 0;
      flow.retryNs = nowNs + this.#retryNs;
      return 1;
    }
    if (nowNs < this.#quietUntilNs) return 0;
    const owed = flow.owed[side] + flow.rate[side] * (nowNs - sinceNs) / 1e9;
    const frames = Math.min(Math.floor(owed), RING);
    flow.owed[side] = owed - Math.floor(owed);
    flow.unanswered += frames;
    if (flow.unanswered >= WINDOW) flow.retryNs = nowNs + this.#retryNs;
    return frames;
  }

  #change(nowNs: number): void {
    if (this.#random.chance(0.03)) this.#rerate(this.#random.below(this.#flows.length));
    if (nowNs >= this.#quietUntilNs && this.#random.chance(0.01)) {
      this.#quietUntilNs = nowNs + this.#random.below(60 * MS);
    }
  }

  #rerate(i: number): void {
    const flow = this.#flows[i]!;
    const rate = this.#random.pick(RATES);
    const back = flow.kind === "tcp" ? rate / 2 : this.#random.chance(0.5) ? 0 : rate;
    flow.rate = this.#random.chance(0.5) ? [rate, back] : [back, rate];
  }
}
