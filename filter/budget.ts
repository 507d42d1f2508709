/**
 * The mirror's budget, the twin of native/budget.c: two token buckets, and a share of each kept back for what is worth
 * more. Written from the comment of struct rm_budget in native/filter.h.
 */
import { WHY, type Why } from "./names.ts";

export interface BudgetLimits {
  /** 0: no bound, likewise below. */
  readonly bytesPerSecond: number;
  readonly packetsPerSecond: number;
}

const UNIT = 1_000_000_000n;
const DEPTH_NS = 50_000_000n;
const BYTES_MIN = 262_144n;
const PACKETS_MIN = 64n;
const HANDSHAKE = WHY.indexOf("handshake");
const CLASSES = BigInt(WHY.indexOf("all") - HANDSHAKE);

class Bucket {
  readonly #rate: bigint;
  readonly #depth: bigint;
  #level: bigint;
  constructor(rate: number, least: bigint) {
    this.#rate = BigInt(rate);
    const depth = this.#rate * DEPTH_NS;
    this.#depth = depth > least * UNIT ? depth : least * UNIT;
    this.#level = this.#depth;
  }
  fill(passedNs: bigint): void {
    const level = this.#level + this.#rate * passedNs;
    this.#level = level > this.#depth ? this.#depth : level;
  }
  has(why: Why, cost: bigint): boolean {
    const place = WHY.indexOf(why);
    if (this.#rate === 0n || place < HANDSHAKE) return true;
    const kept = this.#depth / 8n * 7n / CLASSES * BigInt(place - HANDSHAKE);
    return this.#level >= kept + cost;
  }
  take(cost: bigint): void {
    this.#level = this.#level < cost ? 0n : this.#level - cost;
  }
}

export class Budget {
  readonly #limits: BudgetLimits;
  readonly #bytes: Bucket;
  readonly #packets: Bucket;
  #filledNs: bigint;
  /** Packets and bytes that were refused, by reason. */
  readonly shed = new Map<Why, { packets: number; bytes: number }>();

  constructor(limits: BudgetLimits, nowNs: bigint) {
    this.#limits = limits;
    this.#bytes = new Bucket(limits.bytesPerSecond, BYTES_MIN);
    this.#packets = new Bucket(limits.packetsPerSecond, PACKETS_MIN);
    this.#filledNs = nowNs;
  }

  /** Whether a copy may be made; then it is taken, else counted. */
  take(why: Why, bytes: number, nowNs: bigint): boolean {
    if (this.#limits.bytesPerSecond === 0 && this.#limits.packetsPerSecond === 0) return true;
    if (nowNs > this.#filledNs) {
      this.#bytes.fill(nowNs - this.#filledNs);
      this.#packets.fill(nowNs - this.#filledNs);
      this.#filledNs = nowNs;
    }
    const cost = BigInt(bytes) * UNIT;
    if (!this.#bytes.has(why, cost) || !this.#packets.has(why, UNIT)) {
      const before = this.shed.get(why) ?? { packets: 0, bytes: 0 };
      this.shed.set(why, { packets: before.packets + 1, bytes: before.bytes + bytes });
      return false;
    }
    this.#bytes.take(cost);
    this.#packets.take(UNIT);
    return true;
  }
}
