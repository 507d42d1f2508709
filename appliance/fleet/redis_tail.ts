/**
 * Duty: what is added to a stream of Redis from now on, one entry after the other; or that some were missed. An edge.
 *
 * Streams are bounded: a reader that was away for longer than they reach back is told so.
 */
import type { RedisClient } from "../repository/redis_client.ts";
import { readable, type RedisStore } from "./redis_store.ts";

const WAIT_MS = 1000;
const PAGE = 500;

/** Names and values in turn. */
export type Entry = readonly string[];

export class RedisTail {
  readonly #hearers = new Set<(entry: Entry | null) => void>();
  readonly #reader: RedisClient;
  #loop: Promise<void> = Promise.resolve();
  #last = "0-0";
  #closed = false;

  private constructor(readonly store: RedisStore, readonly stream: string) {
    this.#reader = store.client.duplicate();
  }

  /** All that is added after this is heard. @throws Error: Redis does not answer */
  static async open(store: RedisStore, stream: string): Promise<RedisTail> {
    const tail = new RedisTail(store, stream);
    try {
      tail.#last = await tail.#edge("XREVRANGE", "+", "-") ?? "0-0";
    } catch (error) {
      await tail.#reader.close();
      throw error;
    }
    tail.#loop = tail.#run();
    return tail;
  }

  /** Null: entries were missed. */
  add(hear: (entry: Entry | null) => void): () => void {
    this.#hearers.add(hear);
    return () => void this.#hearers.delete(hear);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reader.close();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let isUnsure = false;
    while (!this.#closed) {
      try {
        const words = ["BLOCK", WAIT_MS, "COUNT", PAGE, "STREAMS", this.store.key(this.stream), this.#last];
        const answer = readable(await this.#reader.call("XREAD", ...words)) as
          | [[string, [string, Entry][]]]
          | null;
        const entries = answer?.[0][1] ?? [], before = this.#last;
        for (const [id, entry] of entries) {
          this.#last = id;
          this.#tell(entry);
        }
        const isLate = entries.length >= PAGE;
        // What was cut off until now is what could have been missed until now.
        if ((isLate || isUnsure) && await this.#isCut(before)) this.#tell(null);
        isUnsure = isLate;
      } catch {
        isUnsure = true;
        if (!this.#closed) await new Promise((done) => setTimeout(done, WAIT_MS));
      }
    }
  }

  #tell(entry: Entry | null): void {
    for (const hear of [...this.#hearers]) hear(entry);
  }

  async #isCut(after: string): Promise<boolean> {
    const first = await this.#edge("XRANGE", "-", "+");
    return first !== null && compareIds(first, after) > 0;
  }

  async #edge(command: "XRANGE" | "XREVRANGE", from: string, to: string): Promise<string | null> {
    const words = [this.store.key(this.stream), from, to, "COUNT", 1];
    const [entry] = await this.store.call(command, ...words) as readonly [string][];
    return entry?.[0] ?? null;
  }
}

function compareIds(a: string, b: string): number {
  const [one, other] = [a, b].map((id) => id.split("-").map(Number)) as [number[], number[]];
  return one[0]! - other[0]! || one[1]! - other[1]!;
}
