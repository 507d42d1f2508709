/**
 * Duty: from the repository to a replica's driver: entries of one source are opened and put, in order.
 *
 * It begins with the snapshot and goes on with the log behind it; a gap begins it again. What cannot be opened or is refused
 * is counted by its reason and left out: one bad record never stops those behind it. Only a driver that throws again and
 * again ends it, for whoever opened the driver.
 */
import type { StateDriver } from "../drivers/driver.ts";
import type { StateRecord } from "../drivers/record.ts";
import { takes } from "../drivers/registry.ts";
import { Opener } from "../drivers/seal.ts";
import { BATCH_MAX, type Entry, type Repository } from "./repository/contract.ts";

const PUT_RETRY_MS = [100, 400] as const;
const RETRY_MS = [50, 200, 1_000, 2_000] as const;
/** Different reasons of refusals that are told. */
const REASONS_MAX = 20;

export interface InsertionOptions {
  readonly source: string;
  /** "NODE/DRIVER", by which the repository knows who has put what. */
  readonly replica: string;
  readonly repository: Repository;
  readonly secret: CryptoKey;
  /**
   * Whether the traffic goes by the replica's box now: then it knows its connections best, and one that a dying source
   * tells to have ended, as a NAT does that loses a link, lives here.
   */
  readonly serves: () => boolean;
  readonly nowMs: () => number;
  /** Ends early with the signal, without an error. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

/** The driver's own failure, as opposed to the repository's. */
class PutError extends Error {}

export class Insertion {
  readonly #options: InsertionOptions;
  readonly #opener: Opener;
  readonly #counts = {
    taken: 0,
    known: 0,
    refused: 0,
    foreign: 0,
    expired: 0,
    ends_left_out: 0,
    gaps: 0,
    snapshots: 0,
    retries: 0,
    waits: 0,
  };
  readonly #reasons = new Set<string>();
  /** All up to this one was put; null: the snapshot has to be read. */
  #cursor: number | null = null;
  /** The start of the source that was read last, and whether another one has begun since. */
  #epoch = 0;
  #isAnew = false;
  #lag = 0;

  constructor(options: InsertionOptions) {
    this.#options = options;
    this.#opener = new Opener(options.secret);
  }

  get source(): string {
    return this.#options.source;
  }

  /** What is put already, and how many entries are not. */
  get place(): { readonly sequence: number; readonly lagRecords: number } {
    return { sequence: this.#cursor ?? 0, lagRecords: this.#lag };
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, ...this.#opener.counters() };
  }

  /** Until the signal. A new driver knows nothing, so it is given all there is. Throws what the driver throws. */
  async run(driver: StateDriver, signal: AbortSignal): Promise<void> {
    this.#cursor = null;
    const { say, source, replica, sleep } = this.#options;
    for (let turn = 0; !signal.aborted;) {
      try {
        const before: number | null = this.#cursor;
        await this.#follow(driver, signal);
        if (this.#cursor !== before) turn = 0;
      } catch (error) {
        if (error instanceof PutError) throw error.cause;
        if (signal.aborted) return;
        if (turn === 0) say("warn", `${replica} waits for ${source}: ${(error as Error).message}`);
        this.#counts.waits++;
        await sleep(RETRY_MS[Math.min(turn++, RETRY_MS.length - 1)]!, signal);
      }
    }
  }

  async #follow(driver: StateDriver, signal: AbortSignal): Promise<void> {
    const { repository, source, say, replica } = this.#options;
    if (this.#cursor === null) {
      const { entries, last } = await repository.snapshot(source);
      this.#counts.snapshots++;
      for (let at = 0; at < entries.length && !signal.aborted; at += BATCH_MAX) {
        await this.#put(driver, entries.slice(at, at + BATCH_MAX), { again: true, signal });
      }
      if (signal.aborted) return;
      this.#cursor = last;
      await this.beat();
    }
    for await (const batch of repository.subscribe(source, this.#cursor, signal)) {
      if (batch.kind === "gap") {
        this.#counts.gaps++;
        this.#cursor = null;
        return say("warn", `${replica} reads all of ${source} anew: ${batch.reason}`);
      }
      await this.#put(driver, batch.entries, { again: false, signal });
      if (signal.aborted) return;
      this.#cursor = batch.entries.at(-1)!.sequence;
      // A source that began anew may have written other entries under numbers that were read already.
      if (this.#isAnew) {
        this.#isAnew = false;
        this.#cursor = null;
        return say("info", `${replica} reads all of ${source} anew: it was started`);
      }
    }
  }

  /** Tells the repository that this replica lives and what it has put. */
  async beat(): Promise<void> {
    const { repository, source, replica } = this.#options;
    if (this.#cursor === null) return;
    await repository.acknowledge(source, { replica, sequence: this.#cursor });
    this.#lag = Math.max(0, await repository.last(source) - (this.#cursor ?? 0));
  }

  async #put(
    driver: StateDriver,
    entries: readonly Entry[],
    { again, signal }: { again: boolean; signal: AbortSignal },
  ): Promise<void> {
    const records: StateRecord[] = [];
    for (const entry of entries) {
      const record = await this.#open(entry, again, driver);
      if (record !== null) records.push(record);
    }
    const wanted = this.#wanted(records);
    if (wanted.length === 0 || signal.aborted) return;
    const { taken, known, refused } = await this.#putAgain(driver, wanted, signal);
    this.#counts.taken += taken;
    this.#counts.known += known;
    this.#counts.refused += refused.length;
    for (const { key, reason } of refused) this.#tell(reason, `${key.slice(0, 80)} is refused: ${reason}`);
  }

  #wanted(records: readonly StateRecord[]): readonly StateRecord[] {
    if (!records.some(({ ended }) => ended) || !this.#options.serves()) return records;
    const wanted = records.filter(({ ended }) => !ended);
    this.#counts.ends_left_out += records.length - wanted.length;
    return wanted;
  }

  async #open(entry: Entry, again: boolean, driver: StateDriver): Promise<StateRecord | null> {
    const { source, nowMs } = this.#options, { sequence, chunk, expiresMs } = entry;
    const opened = await this.#opener.open(chunk, { source, sequence, again });
    if (!opened.ok) {
      this.#tell(opened.fault, `entry ${sequence} is refused (${opened.fault}): ${opened.reason}`);
      return null;
    }
    const { record, place } = opened;
    if (!again && this.#epoch > 0 && place.epoch !== this.#epoch) this.#isAnew = true;
    this.#epoch = Math.max(this.#epoch, place.epoch);
    if (!takes(driver.abilities, record.codec) || !driver.abilities.put.includes(record.role)) {
      this.#counts.foreign++;
      return null;
    }
    if (record.ttlMs === null || expiresMs === null) return record;
    // What has waited has less time left. Who keeps the entry can shorten it, never lengthen it.
    const leftMs = Math.min(record.ttlMs, expiresMs - nowMs());
    if (leftMs <= 0) this.#counts.expired++;
    return leftMs <= 0 ? null : { ...record, ttlMs: leftMs };
  }

  #tell(reason: string, text: string): void {
    if (this.#reasons.has(reason) || this.#reasons.size >= REASONS_MAX) return;
    this.#reasons.add(reason);
    const { say, source, replica } = this.#options;
    say("warn", `${replica}: of ${source}, ${text} (told once, counted always)`);
  }

  async #putAgain(driver: StateDriver, records: readonly StateRecord[], signal: AbortSignal) {
    for (let turn = 0;; turn++) {
      try {
        return await driver.put(records);
      } catch (cause) {
        const waitMs = PUT_RETRY_MS[turn];
        if (waitMs === undefined || signal.aborted) throw new PutError("the driver fails", { cause });
        this.#counts.retries++;
        await this.#options.sleep(waitMs, signal);
      }
    }
  }
}
