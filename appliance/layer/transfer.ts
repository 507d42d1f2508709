/**
 * Duty: cloneSupport and mergeInternal: one box's state into another, a batch at a time.
 *
 * A clone is versions alone: run again after a crash it brings what is missing. A merge writes what it is about to add
 * into the ledger first; run again it adds nothing twice. What is put at a time is bounded, whatever there is to put;
 * what is remembered of the destination is a number and a digest for each key.
 */
import type { StateDriver } from "../../drivers/driver.ts";
import { ALL } from "../../drivers/fields.ts";
import type { StateRecord, StateRole } from "../../drivers/record.ts";
import type { Counts, Courier, TransferView } from "./contract.ts";
import {
  itemKey,
  type Ledger,
  type LedgerEntry,
  type LedgerStore,
  type Merged,
  noted,
  pairKey,
} from "./ledger.ts";
import { judgeMerge, type There, valueDigest } from "./merge.ts";
import { NOTHING } from "./move.ts";
import { BATCH } from "./mover.ts";

/** Of a transfer: named; those beyond are counted. */
export const CONFLICTS_MAX = 100;
/** Keys of a destination that a merge looks at. */
export const KEYS_MAX = 1 << 20;

export interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly from: StateDriver;
  readonly to: StateDriver;
  readonly courier: Courier;
  readonly signal: AbortSignal;
}

class Tally {
  counts: Counts = NOTHING;
  readonly conflicts: { key: string; reason: string }[] = [];
  more = 0;

  add(more: Partial<Counts>): void {
    const entries = Object.entries(this.counts);
    this.counts = Object.fromEntries(
      entries.map(([name, n]) => [name, n + (more[name as keyof Counts] ?? 0)]),
    ) as unknown as Counts;
  }

  conflict(key: string, reason: string): void {
    if (this.conflicts.length < CONFLICTS_MAX) this.conflicts.push({ key, reason });
    else this.more++;
  }

  view({ source, destination }: Ends): TransferView {
    return {
      source,
      destination,
      counts: this.counts,
      conflicts: this.conflicts,
      conflictsMore: this.more,
    };
  }
}

async function* batches(
  records: AsyncIterable<StateRecord>,
): AsyncGenerator<readonly StateRecord[]> {
  let batch: StateRecord[] = [];
  for await (const record of records) {
    batch.push(record);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Returns whether all is there now. */
async function putAll(ends: Ends, records: readonly StateRecord[], tally: Tally): Promise<boolean> {
  if (records.length === 0) return true;
  const sent = await ends.courier.send(`${ends.source} > ${ends.destination}`, records);
  const { taken, known, refused } = await ends.to.put(sent);
  tally.add({ taken, known, refused: refused.length });
  for (const { key, reason } of refused) tally.conflict(key, `${ends.destination} refused it: ${reason}`);
  return refused.length === 0;
}

const bytesOf = (records: readonly StateRecord[]) =>
  records.reduce((bytes, { value }) => bytes + value.length, 0);

/** Supporting state of all flows and of none: afterwards both have it, and only one serves a flow. */
export async function cloneSupport(ends: Ends): Promise<TransferView> {
  const tally = new Tally();
  for await (const batch of batches(ends.from.get("supporting", ALL, ends.signal))) {
    tally.add({ records: batch.length, bytes: bytesOf(batch) });
    await putAll(ends, batch, tally);
  }
  return tally.view(ends);
}

/** What is merged: as far as both drivers can. */
export function mergedRoles({ from, to }: Pick<Ends, "from" | "to">): StateRole[] {
  return (["supporting", "reporting"] as const).filter((role) =>
    from.abilities.get.includes(role) && to.abilities.get.includes(role) && to.abilities.put.includes(role)
  );
}

async function keysOf(
  driver: StateDriver,
  role: StateRole,
  signal: AbortSignal,
): Promise<Map<string, There>> {
  const there = new Map<string, There>();
  for await (const record of driver.get(role, ALL, signal)) {
    there.set(record.key, { version: record.version, digest: valueDigest(record) });
    if (there.size > KEYS_MAX) throw new Error(`the destination has more than ${KEYS_MAX} keys`);
  }
  return there;
}

export class Merger {
  readonly #store: LedgerStore;
  #ledger: Ledger;

  constructor(store: LedgerStore) {
    this.#store = store;
    this.#ledger = store.load();
  }

  async #note(entry: LedgerEntry): Promise<void> {
    await this.#store.append(entry);
    this.#ledger = noted(this.#ledger, entry);
  }

  #before({ source, destination }: Ends): ReadonlyMap<string, Merged> {
    return this.#ledger.pairs.get(pairKey(source, destination))?.items ?? new Map();
  }

  /**
   * Everything of the source into the destination; then the source's reporting state is deleted, where nothing is in
   * doubt and its driver can. The source must not serve. Run again after any crash.
   */
  async merge(ends: Ends): Promise<TransferView> {
    const tally = new Tally();
    if (this.#ledger.pairs.get(pairKey(ends.source, ends.destination))?.emptying) {
      await this.#empty(ends, tally);
    }
    for (const role of mergedRoles(ends)) await this.#role(ends, role, tally);
    if (tally.conflicts.length === 0 && await this.#rests(ends, tally)) await this.#empty(ends, tally);
    return tally.view(ends);
  }

  async #role(ends: Ends, role: StateRole, tally: Tally): Promise<void> {
    const there = await keysOf(ends.to, role, ends.signal);
    for await (const batch of batches(ends.from.get(role, ALL, ends.signal))) {
      tally.add({ records: batch.length, bytes: bytesOf(batch) });
      const puts: StateRecord[] = [], items: Merged[] = [], before = this.#before(ends);
      for (const record of batch) {
        const verdict = judgeMerge(
          record,
          there.get(record.key) ?? null,
          before.get(itemKey(record)) ?? null,
        );
        if (verdict.kind === "conflict") tally.conflict(record.key, verdict.reason);
        if (verdict.kind === "known") tally.add({ known: 1 });
        if (verdict.kind !== "put") continue;
        puts.push(verdict.record);
        if (verdict.merged !== null) items.push(verdict.merged);
      }
      const { source, destination } = ends;
      if (items.length > 0) await this.#note({ mark: "merged", source, destination, items });
      const all = await putAll(ends, puts, tally);
      const done = items.map((item) => ({ ...item, done: true }));
      if (all && done.length > 0) await this.#note({ mark: "merged", source, destination, items: done });
    }
  }

  /** Whether the source's sums are still what was added of them. */
  async #rests(ends: Ends, tally: Tally): Promise<boolean> {
    if (!mergedRoles(ends).includes("reporting")) return false;
    const before = this.#before(ends);
    for await (const record of ends.from.get("reporting", ALL, ends.signal)) {
      if (record.merge === null || before.get(itemKey(record))?.version === record.version) continue;
      tally.conflict(record.key, "it went on while it was merged");
    }
    return tally.conflicts.length === 0;
  }

  async #empty(ends: Ends, tally: Tally): Promise<void> {
    const { source, destination, from } = ends;
    if (!from.abilities.del.includes("reporting")) return;
    await this.#note({ mark: "emptying", source, destination, items: [] });
    tally.add({ deleted: await from.del("reporting", ALL) });
    await this.#note({ mark: "emptied", source, destination, items: [] });
  }
}
