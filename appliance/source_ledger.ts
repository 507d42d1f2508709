/**
 * Duty: what a source has told last of each key, so that only changes are sent, endings are noticed and versions only grow.
 *
 * Pure. A driver counts versions from 1 again when it is opened anew, and when a key comes to life again; whoever reads would
 * then take the new for old. So versions are moved up by an offset that is found the first time a key is seen again.
 */
import type { StateRecord, StateRole } from "../drivers/record.ts";

export const LEDGER_KEYS_MAX = 200_000;

type Naming = Pick<StateRecord, "role" | "partition" | "key" | "fields" | "codec" | "merge">;

interface Known {
  readonly naming: Naming;
  /** As it was sent. */
  readonly version: number;
  /** From the driver's version to that. */
  readonly offset: number;
  /** Which opening of the driver it was last seen in. */
  readonly era: number;
  readonly mark: number;
  readonly ended: boolean;
}

/** What replaces what: keys are unlike each other within role and codec. */
export function slotName({ role, codec, key }: Pick<StateRecord, "role" | "codec" | "key">): string {
  return `${role} ${codec} ${key}`;
}

export class SourceLedger {
  readonly #known = new Map<string, Known>();
  readonly #max: number;
  readonly #counts = { known: 0, stale: 0, forgotten: 0 };
  #era = 0;

  constructor(keysMax: number = LEDGER_KEYS_MAX) {
    this.#max = keysMax;
  }

  /** The driver was opened anew. */
  opened(): void {
    this.#era++;
  }

  /** Of what was sent before this process began. */
  learn(record: StateRecord): void {
    this.#keep(record, record.version, 0);
  }

  /** What is to be sent of a change; null: nothing. */
  change(record: StateRecord): StateRecord | null {
    const known = this.#known.get(slotName(record));
    if (known === undefined) return this.#keep(record, record.version, 0);
    const sameLife = known.era === this.#era && !(known.ended && !record.ended);
    if (sameLife) return this.#next(record, known);
    const same = known.mark === markOf(record.value) && known.ended === record.ended;
    const version = Math.max(record.version, same ? known.version : known.version + 1);
    const kept = this.#keep(record, version, version - record.version);
    if (same && version === known.version) this.#counts.known++;
    return same && version === known.version ? null : kept;
  }

  #next(record: StateRecord, { version: last, offset, mark }: Known): StateRecord | null {
    const version = record.version + offset;
    if (version > last) return this.#keep(record, version, offset);
    this.#counts[version === last && mark === markOf(record.value) ? "known" : "stale"]++;
    return null;
  }

  #keep(record: StateRecord, version: number, offset: number): StateRecord {
    const slot = slotName(record), { role, partition, key, fields, codec, merge, ended } = record;
    const naming = { role, partition, key, fields, codec, merge };
    this.#known.delete(slot);
    this.#known.set(slot, { naming, version, offset, era: this.#era, mark: markOf(record.value), ended });
    if (this.#known.size > this.#max) this.#forget();
    return version === record.version ? record : { ...record, version };
  }

  /** What ended goes first, then what was not heard of for longest. */
  #forget(): void {
    const [oldest] = this.#known.keys();
    let looked = 0;
    for (const [slot, { ended }] of this.#known) {
      if (ended) return void this.#known.delete(slot);
      if (++looked === 64) break;
    }
    this.#counts.forgotten++;
    this.#known.delete(oldest!);
  }

  /** All that a driver gives of these roles is about to be read. With `again` it is sent even where it is known. */
  whole(roles: readonly StateRole[], again: boolean): WholeReading {
    const seen = new Set<string>();
    return {
      see: (record) => {
        seen.add(slotName(record));
        const changed = this.change(record);
        if (changed !== null || !again) return changed;
        return { ...record, version: this.#known.get(slotName(record))!.version };
      },
      ended: () => this.#ended(roles, seen),
    };
  }

  #ended(roles: readonly StateRole[], seen: ReadonlySet<string>): StateRecord[] {
    const gone = [...this.#known].filter(([slot, { naming, ended }]) =>
      !ended && roles.includes(naming.role) && !seen.has(slot)
    );
    return gone.map(([, { naming, version, offset }]) => {
      const nothing = { value: new Uint8Array(), ttlMs: null, ended: true };
      const record = { ...naming, ...nothing, version: version + 1 };
      return this.#keep(record, record.version, offset);
    });
  }

  counters(): Readonly<Record<string, number>> {
    return { keys: this.#known.size, ...this.#counts };
  }
}

export interface WholeReading {
  /** What is to be sent of one that was read; null: nothing. */
  see(record: StateRecord): StateRecord | null;
  /** Endings of what was not seen. Only for a reading that came to its end. */
  ended(): StateRecord[];
}

/** 53 bits of a value (cyrb53). Two values that share them are taken for one. */
function markOf(value: Uint8Array): number {
  let high = 0xdeadbeef, low = 0x41c6ce57;
  for (const byte of value) {
    high = Math.imul(high ^ byte, 2_654_435_761);
    low = Math.imul(low ^ byte, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0);
}
