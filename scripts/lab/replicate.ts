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

export interface Replicated {
  taken: number;
  known: number;
  refused: number;
  failed: number;
  gaps: number;
  /** The first few, for people. */
  readonly reasons: string[];
  /** From the change until the target has it, the last ones. */
  delaysMs: number[];
}

interface Waiting {
  readonly record: StateRecord;
  readonly fromMs: number;
}

/** Until the signal. Starts with all that there is. */
export function replicate(source: StateDriver, target: StateDriver, signal: AbortSignal): Replicated {
  const found: Replicated = { taken: 0, known: 0, refused: 0, failed: 0, gaps: 0, reasons: [], delaysMs: [] };
  let waiting: Waiting[] = [];
  let wake = () => {};
  let anew = true;
  const add = (record: StateRecord, fromMs: number) => {
    if (waiting.length >= WAITING_MAX) {
      [waiting, anew] = [[], true];
      found.gaps++;
    } else waiting.push({ record, fromMs });
    wake();
  };
  const read = async () => {
    for await (const event of source.watch(signal)) {
      if (event.kind === "record") add(event.record, performance.now());
      else if (event.kind === "gap") {
        found.gaps++;
        anew = true;
        wake();
      }
    }
  };
  const put = async (batch: readonly Waiting[]) => {
    const result = await target.put(batch.map(({ record }) => record));
    const nowMs = performance.now();
    found.taken += result.taken;
    found.known += result.known;
    found.refused += result.refused.length;
    found.reasons.push(...result.refused.slice(0, 10 - found.reasons.length).map(({ key, reason }) => `${key}: ${reason}`));
    found.delaysMs.push(...batch.map(({ fromMs }) => nowMs - fromMs));
    if (found.delaysMs.length > DELAYS_MAX) found.delaysMs = found.delaysMs.slice(-DELAYS_MAX / 2);
  };
  const write = async () => {
    while (!signal.aborted) {
      try {
        if (anew) {
          anew = false;
          const all: StateRecord[] = [];
          for await (const record of source.get("supporting", ALL, signal)) all.push(record);
          const result = await target.put(all);
          found.taken += result.taken;
          found.known += result.known;
        }
        const batch = waiting.slice(0, BATCH_MAX);
        if (batch.length > 0) {
          await put(batch);
          waiting = waiting.slice(batch.length);
          continue;
        }
      } catch (error) {
        found.failed++;
        found.reasons.push(...(found.reasons.length < 10 ? [String(error)] : []));
        anew = true;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || anew || signal.aborted) resolve();
      });
    }
  };
  signal.addEventListener("abort", () => wake());
  void read();
  void write();
  return found;
}
