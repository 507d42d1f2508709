/**
 * State drivers and a steering in memory, for tests of the layer: no frames, no time, every call remembered.
 */
import type { Abilities, DriverEvent, PutResult, StateDriver } from "../../drivers/driver.ts";
import { fieldsText, type HeaderFields, holds } from "../../drivers/fields.ts";
import type { StateRecord, StateRole } from "../../drivers/record.ts";
import type { DriverSet } from "../../appliance/layer/contract.ts";
import type { Steering, SteeringRule } from "../../appliance/layer/steering.ts";
import { withRule } from "../../appliance/layer/steering.ts";

const ROLES: readonly StateRole[] = ["configuration", "supporting", "reporting"];
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const decode = (value: Uint8Array) => JSON.parse(new TextDecoder().decode(value));

export const CAN_ALL: Abilities = { get: ROLES, put: ROLES, del: ROLES, watch: false, codecs: ["memory/1"] };

export function flowRecord(i: number, more: Partial<StateRecord> = {}): StateRecord {
  const fields: HeaderFields = {
    protocol: 6,
    source: `10.1.${i >> 8}.${i & 255}`,
    sourcePort: 1024 + i,
    destination: "10.2.0.11",
    destinationPort: 80,
  };
  return {
    role: "supporting",
    partition: "flow",
    key: fieldsText(fields),
    fields,
    codec: "memory/1",
    value: encode(i),
    version: 1,
    ttlMs: null,
    merge: null,
    ended: false,
    ...more,
  };
}

export function countRecord(
  key: string,
  { merge, value, version = 1 }: { merge: "sum" | "max" | "union"; value: unknown; version?: number },
): StateRecord {
  return {
    ...flowRecord(0),
    ...{ role: "reporting", partition: "shared", key, fields: {}, value: encode(value), version, merge },
  };
}

export class MemoryDriver implements StateDriver {
  readonly kind = "memory";
  readonly records = new Map<string, StateRecord>();
  readonly calls: string[] = [];
  /** Largest number of records handed over at a time. */
  batchMax = 0;
  /** Records handed out that nobody has put yet would be more than this. */
  handedOut = 0;
  refuse: string | null = null;

  constructor(readonly abilities: Abilities = CAN_ALL) {}

  hold(...records: readonly StateRecord[]): this {
    for (const record of records) this.records.set(`${record.role} ${record.key}`, record);
    return this;
  }

  value(role: StateRole, key: string): unknown {
    const record = this.records.get(`${role} ${key}`);
    return record && decode(record.value);
  }

  #of(role: StateRole, fields: HeaderFields): StateRecord[] {
    return [...this.records.values()].filter((one) =>
      one.role === role && (one.partition === "shared" || holds(fields, one.fields))
    );
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    this.calls.push(`get ${role}`);
    for (const record of this.#of(role, fields)) {
      if (signal.aborted) return;
      this.handedOut++;
      yield await Promise.resolve(record);
    }
  }

  put(records: readonly StateRecord[]): Promise<PutResult> {
    this.calls.push("put");
    this.batchMax = Math.max(this.batchMax, records.length);
    const refused = records.filter(({ key }) => key === this.refuse).map(({ key }) => ({
      key,
      reason: "no",
    }));
    const good = records.filter(({ key }) => key !== this.refuse);
    const taken = good.filter((record) => this.#take(record)).length;
    return Promise.resolve({ taken, known: good.length - taken, refused });
  }

  #take(record: StateRecord): boolean {
    const id = `${record.role} ${record.key}`, there = this.records.get(id);
    if (there !== undefined && there.version >= record.version) return false;
    const merged = there === undefined ? record.value : encode(mergedValue(record, there));
    this.records.set(id, { ...record, value: merged });
    return true;
  }

  del(role: StateRole, fields: HeaderFields): Promise<number> {
    this.calls.push(`del ${role}`);
    const gone = [...this.records].filter(([, one]) => one.role === role && holds(fields, one.fields));
    for (const [id] of gone) this.records.delete(id);
    return Promise.resolve(gone.length);
  }

  async *watch(): AsyncGenerator<DriverEvent> {}
  counters = () => ({});
  close = () => Promise.resolve();
}

function mergedValue(record: StateRecord, there: StateRecord): unknown {
  const [mine, yours] = [decode(there.value), decode(record.value)];
  switch (record.merge) {
    case "sum":
      return mine + yours;
    case "max":
      return Math.max(mine, yours);
    case "union":
      return [...new Set([...mine, ...yours])].sort();
    case null:
      return yours;
  }
}

export function driverSet(drivers: Readonly<Record<string, StateDriver | null>>): DriverSet {
  return {
    get names() {
      return Object.keys(drivers);
    },
    get: (name) => drivers[name] ?? null,
    boxOf: (name) => name in drivers ? `box-${name}` : null,
  };
}

/** Rules alone: nothing is ever held. */
export class MemorySteering implements Steering {
  table: SteeringRule[] = [];
  readonly calls: string[] = [];
  readonly #moves = new Map<string, SteeringRule>();
  broken = false;

  begin: Steering["begin"] = ({ id, fields, destination: box }) => {
    this.calls.push("begin");
    this.#moves.set(id, { id, fields, box });
    return Promise.resolve();
  };
  hold: Steering["hold"] = () => {
    this.calls.push("hold");
    return Promise.resolve({ held: 3, drained: true });
  };
  reprocess: Steering["reprocess"] = (_id, _fields, frames) => Promise.resolve(frames);
  route: Steering["route"] = (id) => {
    this.calls.push("route");
    if (this.broken) return Promise.resolve(false);
    this.table = [...this.table, this.#moves.get(id)!];
    return Promise.resolve(true);
  };
  cancel: Steering["cancel"] = (id) => {
    this.calls.push("cancel");
    return this.remove(id);
  };
  end: Steering["end"] = (id) => {
    this.calls.push("end");
    const rule = this.table.find((one) => one.id === id);
    if (rule !== undefined) this.table = withRule(this.table, rule);
    this.#moves.delete(id);
    return Promise.resolve();
  };
  look: Steering["look"] = (id) => {
    if (!this.#moves.has(id)) return Promise.resolve(null);
    return Promise.resolve({ routed: this.table.some((rule) => rule.id === id), hold: "intact" });
  };
  rules: Steering["rules"] = () => Promise.resolve(this.table);
  add: Steering["add"] = (rule) => {
    this.table = [...this.table, rule];
    return Promise.resolve();
  };
  remove: Steering["remove"] = (id) => {
    this.table = this.table.filter((rule) => rule.id !== id);
    return Promise.resolve();
  };
}
