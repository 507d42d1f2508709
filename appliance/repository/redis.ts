/**
 * Duty: the repository in Redis or Valkey, for boxes around more than one node.
 *
 * The log of a source is a stream whose ids are its sequences, so the server itself refuses what is out of order. A snapshot
 * is read while others append: what is newer than the sequence read before it is left to the log.
 */
import {
  type Acknowledgement,
  type Appended,
  type Batch,
  BATCH_MAX,
  type Bounds,
  type Entry,
  type ReplicaMark,
  type Repository,
  type RepositoryHealth,
  type Snapshot,
} from "./contract.ts";
import type { RedisClient } from "./redis_client.ts";
import { KEYS } from "./redis_scripts.ts";

/** How long a reader waits in the server before it looks whether the source began anew. */
const BLOCK_MS = 500;
const SCAN_COUNT = 500;

export interface RedisRepositoryOptions extends Bounds {
  readonly client: RedisClient;
  /** In front of every key. */
  readonly prefix: string;
  readonly nowMs: () => number;
}

const utf8 = new TextDecoder();
const text = (bytes: unknown) => utf8.decode(bytes as Uint8Array);

export class RedisRepository implements Repository {
  readonly kind = "redis";
  readonly #options: RedisRepositoryOptions;
  readonly #readers = new Set<RedisClient>();
  readonly #counts = { appended: 0, known: 0, trimmed: 0, log_dropped: 0, evicted: 0, expired: 0, gaps: 0 };

  constructor(options: RedisRepositoryOptions) {
    this.#options = options;
  }

  /** The braces keep a source's keys together in a cluster. */
  #keys(source: string): string[] {
    return KEYS.map((name) => `${this.#options.prefix}:{${source}}:${name}`);
  }

  #key(source: string, name: (typeof KEYS)[number]): string {
    return this.#keys(source)[KEYS.indexOf(name)]!;
  }

  async last(source: string): Promise<number> {
    const value = await this.#options.client.call("HGET", this.#key(source, "head"), "last");
    return value === null ? 0 : Number(text(value));
  }

  async append(source: string, entries: readonly Entry[]): Promise<Appended> {
    const [first] = entries;
    if (first === undefined) return { ok: true, last: await this.last(source) };
    const { client, recordsMax, logMax } = this.#options;
    const words = entries.flatMap(({ slot, expiresMs, chunk }) => [slot, expiresMs ?? "", chunk]);
    const answer = await client.script("append", this.#keys(source), [
      recordsMax,
      logMax,
      first.sequence,
      ...words,
    ]);
    const [how, last, added, evicted, dropped] = answer as [string, string, number, number, number];
    if (how === "gap") return { ok: false, fault: "gap", last: Number(last) };
    this.#counts.appended += added;
    this.#counts.known += entries.length - added;
    this.#counts.evicted += evicted;
    this.#counts.log_dropped += dropped;
    return { ok: true, last: Number(last) };
  }

  async begin(source: string, sequence: number): Promise<void> {
    await this.#options.client.script("begin", this.#keys(source), [sequence]);
  }

  async snapshot(source: string): Promise<Snapshot> {
    const last = await this.last(source), now = this.#options.nowMs();
    const found = new Map<string, Entry>();
    let cursor = "0";
    do {
      const [next, pairs] = await this.#options.client.call(
        "HSCAN",
        this.#key(source, "snapshot"),
        cursor,
        "COUNT",
        SCAN_COUNT,
      ) as [Uint8Array, Uint8Array[]];
      for (let at = 0; at + 1 < pairs.length; at += 2) {
        const entry = snapshotEntry(text(pairs[at]), pairs[at + 1]!);
        const over = entry.expiresMs !== null && entry.expiresMs <= now;
        if (entry.sequence <= last && !over) found.set(entry.slot, entry);
      }
      cursor = text(next);
    } while (cursor !== "0");
    return { last, entries: [...found.values()].sort((a, b) => a.sequence - b.sequence) };
  }

  async *subscribe(source: string, after: number, signal: AbortSignal): AsyncGenerator<Batch> {
    const reader = this.#options.client.duplicate();
    this.#readers.add(reader);
    const stop = () => void reader.close();
    signal.addEventListener("abort", stop);
    try {
      for (let cursor = after; !signal.aborted;) {
        const entries = await this.#readOn(reader, source, cursor);
        const last = entries.length > 0 ? null : await this.last(source);
        if (
          (last !== null && last !== cursor) || (entries.length > 0 && entries[0]!.sequence !== cursor + 1)
        ) {
          // What was appended between the two questions is no gap.
          if (last !== null && last > cursor && await this.#has(source, cursor + 1)) continue;
          this.#counts.gaps++;
          yield { kind: "gap", reason: `entry ${cursor + 1} is gone` };
          return;
        }
        if (entries.length === 0) continue;
        cursor = entries.at(-1)!.sequence;
        yield { kind: "entries", entries };
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#readers.delete(reader);
      await reader.close();
    }
  }

  async #readOn(reader: RedisClient, source: string, after: number): Promise<Entry[]> {
    const answer = await reader.call(
      "XREAD",
      "COUNT",
      BATCH_MAX,
      "BLOCK",
      BLOCK_MS,
      "STREAMS",
      this.#key(source, "log"),
      `${after}-0`,
    ) as [Uint8Array, [Uint8Array, Uint8Array[]][]][] | null;
    return (answer?.[0]?.[1] ?? []).map(logEntry);
  }

  async #has(source: string, sequence: number): Promise<boolean> {
    const id = `${sequence}-0`;
    const found = await this.#options.client.call("XRANGE", this.#key(source, "log"), id, id) as unknown[];
    return found.length > 0;
  }

  async acknowledge(source: string, { replica, sequence }: Acknowledgement): Promise<void> {
    const mark = `${sequence} ${this.#options.nowMs()}`;
    await this.#options.client.call("HSET", this.#key(source, "marks"), replica, mark);
  }

  async replicas(source: string): Promise<readonly ReplicaMark[]> {
    const flat = await this.#options.client.call("HGETALL", this.#key(source, "marks")) as Uint8Array[];
    const marks: ReplicaMark[] = [];
    for (let at = 0; at + 1 < flat.length; at += 2) {
      const [sequence, heardMs] = text(flat[at + 1]).split(" ").map(Number);
      marks.push({ replica: text(flat[at]), sequence: sequence!, heardMs: heardMs! });
    }
    return marks;
  }

  async trim(source: string): Promise<number> {
    const { client, nowMs, replicaSilenceMs } = this.#options;
    const answer = await client.script("trim", this.#keys(source), [nowMs(), replicaSilenceMs]);
    const [gone, expired] = answer as [number, number];
    this.#counts.trimmed += gone;
    this.#counts.expired += expired;
    return gone;
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, readers: this.#readers.size };
  }

  health(): RepositoryHealth {
    const ok = this.#options.client.ready;
    return {
      ok,
      reason: ok ? "it answers" : "there is no connection",
      spooled: 0,
      spoolLastsMs: null,
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers, this.#options.client].map((client) => client.close()));
  }
}

const endOf = (over: string) => over === "" ? null : Number(over);

/** "SEQUENCE END CHUNK", of which only the last is bytes. */
function snapshotEntry(slot: string, value: Uint8Array): Entry {
  const first = value.indexOf(0x20), second = value.indexOf(0x20, first + 1);
  return {
    sequence: Number(text(value.subarray(0, first))),
    slot,
    expiresMs: endOf(text(value.subarray(first + 1, second))),
    chunk: value.subarray(second + 1),
  };
}

function logEntry([id, fields]: [Uint8Array, Uint8Array[]]): Entry {
  const [, slot, , over, , chunk] = fields;
  return {
    sequence: Number(text(id).split("-")[0]),
    slot: text(slot),
    expiresMs: endOf(text(over)),
    chunk: chunk!,
  };
}
