/**
 * Keeps a ring of captured frames on disk, as long as it is not ended.
 *
 * A loop of its own: a slow disk delays nothing but itself, and what the plane's ring could not hold meanwhile is
 * counted. An edge: it waits and writes.
 */
import { setTimeout as delay } from "node:timers/promises";
import { joinBytes } from "../filter/pcapng.ts";
import { encodeCounts } from "./capture_encode.ts";
import { BEHIND_NS, type CaptureFeed } from "./capture_feed.ts";
import type { CaptureRing } from "./capture_files.ts";

/** The plane's ring holds many times what comes in this time. */
const LOOK_MS = 50;
/** A disk that is full is asked again, not hammered. */
const RETRY_MS = 1000;

export interface KeepingHow {
  readonly monoNs: () => bigint;
  /** What is kept, as in "Cannot write ...". @default the ring of captured frames */
  readonly what?: string;
  /** Called with one sentence when the disk does not take it, once per run of failures. */
  readonly complain: (text: string) => void;
}

export class Keeping {
  /** Packets in files, and packets that are in none: overwritten in the plane's ring, or not taken by the disk. */
  packets = 0;
  failing: string | null = null;
  #unwritten = 0;
  #told = 0;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(readonly feed: CaptureFeed, readonly ring: CaptureRing, readonly how: KeepingHow) {
    this.#running = this.#run();
  }

  get missed(): number {
    return this.feed.missed + this.#unwritten;
  }

  /** Writes what there is, and closes. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const dry = await this.#look(this.how.monoNs() - BEHIND_NS);
      const ms = this.failing !== null ? RETRY_MS : dry ? LOOK_MS : 0;
      await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => {}); // the end is what was waited for
    }
    await this.#look(this.how.monoNs());
    this.ring.close();
    this.feed.detach();
  }

  /** One look at the plane's ring. @returns whether there was nothing in it */
  async #look(untilNs: bigint): Promise<boolean> {
    const { parts, packets, startNs, dry } = this.feed.take(untilNs);
    const nowMs = Date.now();
    const startMs = startNs === null ? nowMs : Number(startNs / 1_000_000n);
    const { missed } = this;
    const counts = { kept: this.packets + packets, lost: missed };
    const told = missed > this.#told ? [encodeCounts(BigInt(nowMs) * 1_000_000n, counts)] : [];
    if (parts.length === 0 && told.length === 0) return dry;
    try {
      await this.ring.write(joinBytes([...parts, ...told]), startMs);
      this.#told = missed;
      this.packets += packets;
      this.failing = null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const { what = "the ring of captured frames", complain } = this.how;
      if (this.failing === null) complain(`Cannot write ${what}: ${reason}`);
      this.failing = reason;
      this.#unwritten += packets;
    }
    return dry;
  }
}
