/**
 * Duty: carry the changes of one state driver into another, and say how long each took. For labs and benches: no repository between.
 */
import type { StateDriver } from "../../drivers/driver.ts";
import { ALL } from "../../drivers/fields.ts";
import type { StateRecord } from "../../drivers/record.ts";

const WAITING_MAX = 100_000;
const BATCH_MAX = 256;
const DELAYS_MAX = 50_000;
const RETRY_MS = 100;
const REASONS_MAX = 10;

export interface Replicated {
  taken: number;
  known: number;
  refused: number;
  failed: number;
  gaps: number;
  /** Why something was not taken: the first few. */
  readonly reasons: string[];
  /** From the change until the target has it, the last ones. */
  delaysMs: number[];
}

interface Waiting {
  readonly record: StateRecord;
  readonly fromMs: number;
}

class Replication {
  readonly found: Replicated = {
    ...{ taken: 0, known: 0, refused: 0, failed: 0, gaps: 0, reasons: [], delaysMs: [] },
  };
  #waiting: Waiting[] = [];
  #wake = () => {};
  /** What was missed is asked for. */
  #anew = true;

  constructor(readonly source: StateDriver, readonly target: StateDriver, readonly signal: AbortSignal) {
    signal.addEventListener("abort", () => this.#wake());
  }

  async read(): Promise<void> {
    for await (const event of this.source.watch(this.signal)) {
      if (event.kind === "gap" || this.#waiting.length >= WAITING_MAX) {
        this.found.gaps++;
        this.#anew = true;
      } else if (event.kind === "record") {
        this.#waiting.push({ record: event.record, fromMs: performance.now() });
      }
      this.#wake();
    }
  }

  async write(): Promise<void> {
    while (!this.signal.aborted) {
      try {
        if (this.#anew) await this.#all();
        else if (this.#waiting.length > 0) await this.#some();
        else await this.#more();
      } catch (error) {
        this.found.failed++;
        this.#reason(String(error));
        this.#anew = true;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #reason(text: string): void {
    if (this.found.reasons.length < REASONS_MAX) this.found.reasons.push(text);
  }

  async #put(records: readonly StateRecord[]): Promise<void> {
    const { taken, known, refused } = await this.target.put(records);
    this.found.taken += taken;
    this.found.known += known;
    this.found.refused += refused.length;
    for (const { key, reason } of refused) this.#reason(`${key}: ${reason}`);
  }

  async #all(): Promise<void> {
    this.#anew = false;
    const all: StateRecord[] = [];
    for await (const record of this.source.get("supporting", ALL, this.signal)) all.push(record);
    await this.#put(all);
  }

  async #some(): Promise<void> {
    const batch = this.#waiting.slice(0, BATCH_MAX);
    await this.#put(batch.map(({ record }) => record));
    this.#waiting = this.#waiting.slice(batch.length);
    const nowMs = performance.now();
    const { delaysMs } = this.found;
    delaysMs.push(...batch.map(({ fromMs }) => nowMs - fromMs));
    if (delaysMs.length > DELAYS_MAX) this.found.delaysMs = delaysMs.slice(-DELAYS_MAX / 2);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#waiting.length > 0 || this.#anew || this.signal.aborted) resolve();
    });
  }
}

/** Until the signal. Starts with all that there is. */
export function replicate(source: StateDriver, target: StateDriver, signal: AbortSignal): Replicated {
  const replication = new Replication(source, target, signal);
  void replication.read();
  void replication.write();
  return replication.found;
}
