/**
 * Answers kept under the `Idempotency-Key` of the request: who asks again gets the same answer, and the action happens
 * once.
 *
 * Pure: the clock comes in as a value. A key belongs to a visitor and a path. The store is bounded: the oldest answers
 * go first, those under way never.
 */
import { Refused } from "./refused.ts";

const KEEP_MAX = 256;
/** Of answers in all: a configuration's is as long as the configuration. */
const KEEP_BYTES_MAX = 4 * 1024 * 1024;
const KEEP_MS = 24 * 3600_000;

export interface Kept {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
}

interface Entry {
  readonly body: string;
  readonly sinceMs: number;
  readonly answer: Promise<Kept>;
  done: boolean;
  bytes: number;
}

export class Idempotency {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** The answer of `work`, or that of the same request before. @throws Refused for another body, or no room */
  async answer(
    { key, body, nowMs }: { key: string; body: string; nowMs: number },
    work: () => Promise<Kept>,
  ): Promise<{ readonly kept: Kept; readonly again: boolean }> {
    for (const [old, { sinceMs, done }] of this.#entries) {
      if (done && nowMs - sinceMs > KEEP_MS) this.#entries.delete(old);
    }
    const before = this.#entries.get(key);
    if (before !== undefined) {
      if (before.body === body) return { kept: await before.answer, again: true };
      throw new Refused(422, "Another request", "This Idempotency-Key was used with another body");
    }
    this.#makeRoom(KEEP_MAX - 1);
    const entry: Entry = { body, sinceMs: nowMs, answer: work(), done: false, bytes: 0 };
    this.#entries.set(key, entry);
    try {
      const kept = await entry.answer;
      entry.done = true;
      entry.bytes = kept.text.length;
      // What failed by no fault of the request may be tried again.
      if (kept.status >= 500) this.#entries.delete(key);
      this.#makeRoom(KEEP_MAX);
      return { kept, again: false };
    } catch (error) {
      this.#entries.delete(key); // nothing was answered, so nothing can be answered again
      throw error;
    }
  }

  /** The oldest go until there are `most` at most, of few enough bytes. @throws Refused: all are under way */
  #makeRoom(most: number): void {
    let bytes = [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [key, { done, bytes: own }] of this.#entries) {
      if (this.#entries.size <= most && bytes <= KEEP_BYTES_MAX) return;
      if (!done) continue;
      this.#entries.delete(key);
      bytes -= own;
    }
    if (this.#entries.size > most) throw new Refused(503, "Not now", "Too many requests are under way");
  }
}

/** Why a text is no key, as a sentence; null: it is one. */
export function keyFault(key: string): string | null {
  return /^[\x21-\x7e]{1,128}$/.test(key)
    ? null
    : `The header "Idempotency-Key" is ${
      JSON.stringify(key.slice(0, 40))
    }; accepted: 1 to 128 printable characters without spaces`;
}
