/**
 * Duty: from a source's driver to the repository: what changes is sealed and appended, in order.
 *
 * Changes that came while others were written go with the next batch. A gap, of the driver or of the repository, is made
 * good by reading all there is. Nothing is thrown away here: when the repository takes nothing, reading stops, and the
 * driver's own bound tells a gap.
 */
import type { DriverEvent, StateDriver } from "../drivers/driver.ts";
import { ALL } from "../drivers/fields.ts";
import { recordFault, type StateRecord } from "../drivers/record.ts";
import { Opener, type Sealer } from "../drivers/seal.ts";
import type { Entry, Repository } from "./repository/contract.ts";
import { slotName, SourceLedger } from "./source_ledger.ts";

const BATCH_MAX = 128;
const PENDING_MAX = 1_024;
const RETRY_MS = [50, 200, 1_000, 2_000] as const;

export type Hint = Extract<DriverEvent, { kind: "reprocess" | "redirect" }>;

export interface ExtractionOptions {
  /** As the repository knows it: "NODE/DRIVER". */
  readonly source: string;
  readonly repository: Repository;
  readonly secret: CryptoKey;
  /** A new one for each start of this process. */
  readonly sealer: Sealer;
  /** How long the word that something ended is kept. */
  readonly tombstoneMs: number;
  /** How often a driver that does not watch is read. */
  readonly pollMs: number;
  readonly nowMs: () => number;
  /** Ends early with the signal, without an error. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly hint: (hint: Hint) => void;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

export class Extraction {
  readonly #options: ExtractionOptions;
  readonly #ledger = new SourceLedger();
  readonly #counts = { sent: 0, ended: 0, refused: 0, gaps: 0, wholes: 0, lost: 0, waits: 0, hints: 0 };
  #sequence: number | null = null;
  #pending: DriverEvent[] = [];
  #wake = () => {};
  #whole: "no" | "yes" | "again" = "yes";

  constructor(options: ExtractionOptions) {
    this.#options = options;
  }

  get sequence(): number {
    return this.#sequence ?? 0;
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, ...this.#ledger.counters(), pending: this.#pending.length };
  }

  /** All there is has to be sent once more: the repository has lost it. */
  resend(): void {
    this.#counts.lost++;
    this.#whole = "again";
    this.#wake();
  }

  /** Until the signal. Throws what the driver throws; the same object goes on with the next driver. */
  async run(driver: StateDriver, signal: AbortSignal): Promise<void> {
    const stop = new AbortController(), either = AbortSignal.any([signal, stop.signal]);
    this.#pending = [];
    this.#ledger.opened();
    if (!this.#readsWhole()) this.#whole = "yes";
    const onAbort = () => this.#wake();
    signal.addEventListener("abort", onAbort);
    // Watching begins before reading, so that nothing falls between the two.
    const pump = driver.abilities.watch ? this.#pump(driver, either) : null;
    let failed: { error: unknown } | null = null;
    pump?.catch((error) => {
      failed = { error };
      this.#wake();
    });
    try {
      await this.#begin(either);
      while (!signal.aborted) {
        if (failed !== null) throw (failed as { error: unknown }).error;
        if (this.#readsWhole()) await this.#readWhole(driver, either);
        else if (this.#pending.length > 0) await this.#take(either);
        else if (pump === null) await this.#poll(either);
        else await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      stop.abort();
      await pump?.catch(() => {}); // Told above, or too late to matter.
    }
  }

  #readsWhole(): boolean {
    return this.#whole !== "no";
  }

  async #poll(signal: AbortSignal): Promise<void> {
    await this.#options.sleep(this.#options.pollMs, signal);
    if (!this.#readsWhole()) this.#whole = "yes";
  }

  async #pump(driver: StateDriver, signal: AbortSignal): Promise<void> {
    for await (const event of driver.watch(signal)) {
      this.#pending.push(event);
      this.#wake();
      while (this.#pending.length >= PENDING_MAX && !signal.aborted) await this.#options.sleep(5, signal);
    }
    if (!signal.aborted) throw new Error("it has ended to watch its box");
  }

  /** Where the source stands, once for this process, and what it told of before. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { repository, source, secret } = this.#options;
    while (this.#sequence === null && !signal.aborted) {
      await this.#again(async () => {
        const last = await repository.last(source);
        const opener = new Opener(secret);
        for (const { sequence, chunk } of (await repository.snapshot(source)).entries) {
          const opened = await opener.open(chunk, { source, sequence, again: true });
          if (opened.ok) this.#ledger.learn(opened.record);
        }
        this.#ledger.opened();
        this.#sequence = last;
      }, signal);
    }
  }

  /** Tries until it works or the signal comes, and says once why it does not. */
  async #again(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { sleep, say, source } = this.#options;
    for (let turn = 0; !signal.aborted; turn++) {
      try {
        return await work();
      } catch (error) {
        if (turn === 0) say("warn", `${source} waits for the repository: ${(error as Error).message}`);
        this.#counts.waits++;
        await sleep(RETRY_MS[Math.min(turn, RETRY_MS.length - 1)]!, signal);
      }
    }
  }

  async #readWhole(driver: StateDriver, signal: AbortSignal): Promise<void> {
    const how = this.#whole;
    this.#whole = "no";
    this.#counts.wholes++;
    try {
      await this.#readAll(driver, how === "again", signal);
    } catch (error) {
      if (how === "again") this.#whole = how;
      throw error;
    }
  }

  async #readAll(driver: StateDriver, again: boolean, signal: AbortSignal): Promise<void> {
    const { get } = driver.abilities;
    const reading = this.#ledger.whole(get, again);
    for (const role of get) {
      let batch: StateRecord[] = [];
      for await (const record of driver.get(role, ALL, signal)) {
        const changed = this.#good(record) ? reading.see(record) : null;
        if (changed !== null) batch.push(changed);
        if (batch.length < BATCH_MAX) continue;
        await this.#send(batch, signal);
        batch = [];
      }
      await this.#send(batch, signal);
    }
    if (signal.aborted) return;
    const ended = reading.ended();
    for (let at = 0; at < ended.length; at += BATCH_MAX) {
      await this.#send(ended.slice(at, at + BATCH_MAX), signal);
    }
  }

  #good(record: StateRecord): boolean {
    const fault = recordFault(record);
    if (fault === null) return true;
    const { say, source } = this.#options;
    if (this.#counts.refused++ === 0) {
      say("warn", `${source}: ${record.key.slice(0, 80)} is not sent: ${fault}`);
    }
    return false;
  }

  /** What waits, up to a batch, or up to a gap. */
  async #take(signal: AbortSignal): Promise<void> {
    const events = this.#pending.splice(0, BATCH_MAX);
    const records: StateRecord[] = [];
    for (const event of events) {
      if (event.kind === "record") {
        const changed = this.#good(event.record) ? this.#ledger.change(event.record) : null;
        if (changed !== null) records.push(changed);
      } else if (event.kind === "gap") {
        this.#counts.gaps++;
        this.#whole = "yes";
      } else {
        this.#counts.hints++;
        this.#options.hint(event);
      }
    }
    await this.#send(records, signal);
  }

  async #send(records: readonly StateRecord[], signal: AbortSignal): Promise<void> {
    if (records.length === 0 || this.#sequence === null) return;
    const entries: Entry[] = [];
    for (const record of records) entries.push(await this.#entry(record, ++this.#sequence));
    await this.#again(() => this.#append(entries), signal);
    if (signal.aborted) return;
    this.#counts.sent += records.length;
    this.#counts.ended += records.filter(({ ended }) => ended).length;
  }

  async #append(entries: readonly Entry[]): Promise<void> {
    const { repository, source } = this.#options;
    const appended = await repository.append(source, entries);
    if (appended.ok) return;
    if (appended.fault === "full") throw new Error("it has no room");
    await repository.begin(source, entries[0]!.sequence);
    const began = await repository.append(source, entries);
    this.resend();
    if (!began.ok) throw new Error("it does not go on where it began anew");
  }

  async #entry(record: StateRecord, sequence: number): Promise<Entry> {
    const { sealer, nowMs, tombstoneMs } = this.#options;
    const chunk = await sealer.seal(record, sequence);
    const lives = record.ended ? tombstoneMs : record.ttlMs;
    const expiresMs = lives === null ? null : Math.ceil(nowMs() + lives);
    return { sequence, slot: await slotOf(record), expiresMs, chunk };
  }
}

/** A digest: whoever keeps the records need not be told of keys twice. */
async function slotOf(record: StateRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(slotName(record)));
  return new Uint8Array(digest, 0, 16).toBase64();
}
