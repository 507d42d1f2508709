/**
 * Duty: the driver of a box that is not there: it keeps records in memory and gives them back.
 *
 * For trying the way from a source to replicas, and as a window on it: a replica of this kind takes every record and
 * shows it by `remediate state get`. What it holds ends with the node.
 */
import { Changes } from "./changes.ts";
import type { Abilities, DriverContext, DriverKind, PutResult, Refusal, StateDriver } from "./driver.ts";
import { type HeaderFields, holds } from "./fields.ts";
import { recordFault, type StateRecord, type StateRole } from "./record.ts";
import { STATE_ROLES } from "./record_json.ts";

const ABILITIES: Abilities = {
  get: STATE_ROLES,
  put: STATE_ROLES,
  del: STATE_ROLES,
  watch: true,
  codecs: ["*"],
};

const nameOf = ({ role, codec, key }: StateRecord) => `${role} ${codec} ${key}`;

class MemoryDriver implements StateDriver {
  readonly kind = "memory";
  readonly abilities = ABILITIES;
  readonly #records = new Map<string, StateRecord>();
  readonly #changes = new Changes();
  readonly #max: number;
  readonly #nowMs: () => number;
  readonly #deadlines = new Map<string, number>();
  #refused = 0;
  #expired = 0;

  constructor(recordsMax: number, { nowMs }: DriverContext) {
    this.#max = recordsMax;
    this.#nowMs = nowMs;
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    this.#expire();
    for (const record of [...this.#records.values()]) {
      if (signal.aborted) return;
      if (record.role === role && !record.ended && holds(fields, record.fields)) yield record;
    }
  }

  put(records: readonly StateRecord[]): Promise<PutResult> {
    this.#expire();
    let taken = 0, known = 0;
    const refused: Refusal[] = [];
    for (const record of records) {
      const held = this.#records.get(nameOf(record));
      const fault = recordFault(record) ??
        (held === undefined && this.#records.size >= this.#max
          ? `there are ${this.#max} records already`
          : null);
      if (fault !== null) refused.push({ key: record.key, reason: fault });
      else if (held !== undefined && held.version >= record.version) known++;
      else {
        taken++;
        this.#keep(record);
      }
    }
    this.#refused += refused.length;
    return Promise.resolve({ taken, known, refused });
  }

  #keep(record: StateRecord): void {
    const name = nameOf(record);
    this.#records.set(name, record);
    this.#deadlines.delete(name);
    if (record.ttlMs !== null) this.#deadlines.set(name, this.#nowMs() + record.ttlMs);
    this.#changes.tell({ kind: "record", record });
  }

  del(role: StateRole, fields: HeaderFields): Promise<number> {
    const gone = [...this.#records.values()].filter((record) =>
      record.role === role && !record.ended && holds(fields, record.fields)
    );
    for (const record of gone) this.#end(record);
    return Promise.resolve(gone.length);
  }

  /** An ended record stays as a word that it ended, or an older one would come back. */
  #end(record: StateRecord): void {
    this.#keep({
      ...record,
      value: new Uint8Array(),
      version: record.version + 1,
      ttlMs: null,
      ended: true,
    });
  }

  #expire(): void {
    const now = this.#nowMs();
    for (const [name, deadline] of this.#deadlines) {
      if (deadline > now) continue;
      this.#expired++;
      this.#deadlines.delete(name);
      this.#records.delete(name);
    }
    // Words of what ended give way first.
    for (const [name, { ended }] of this.#records) {
      if (this.#records.size < this.#max) break;
      if (ended) this.#records.delete(name);
    }
  }

  watch(signal: AbortSignal) {
    return this.#changes.watch(signal);
  }

  counters() {
    const held = [...this.#records.values()].filter(({ ended }) => !ended).length;
    return { held, refused: this.#refused, expired: this.#expired, gaps: this.#changes.gaps };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export const MEMORY: DriverKind = {
  kind: "memory",
  summary: "Keeps records in memory; for trying things, and to see what a source sends",
  abilities: ABILITIES,
  settings: {
    records_max: {
      type: "integer",
      help: "How many records it takes.",
      default: 10_000,
      min: 1,
      max: 1_000_000,
    },
  },
  open: (settings, context) => Promise.resolve(new MemoryDriver(Number(settings.records_max), context)),
};
