/**
 * Duty: what a driver for P4 boxes would be, over P4Runtime (1.3): the mapping, and the driver above a peer.
 *
 * A declared contract: there is no gRPC here, so no kind "p4runtime" can be configured. Who brings a peer, that is a
 * P4Runtime client which is the primary controller and has set the pipeline, has a driver. One table entry is one
 * record; which match fields are addresses and ports is the P4 program's affair and comes with the mapping. Pure.
 */
import type { Abilities, DriverEvent, PutResult, Refusal, StateDriver } from "../driver.ts";
import { fieldsText, type HeaderFields, holds } from "../fields.ts";
import { recordFault, type StateRecord, type StateRole } from "../record.ts";

export const P4_CODEC = "p4runtime/1";

/** TableEntry, with bytes as hexadecimal. Of match kinds: exact has a value; ternary and lpm a mask or length besides. */
export interface P4Entry {
  readonly table: number;
  readonly match: readonly {
    readonly field: number;
    readonly value: string;
    readonly mask?: string | number;
  }[];
  readonly action: {
    readonly id: number;
    readonly params: readonly { readonly id: number; readonly value: string }[];
  };
  readonly priority: number;
  /** Nanoseconds; "0": none. */
  readonly idleTimeoutNs: string;
}

export interface P4Update {
  readonly type: "INSERT" | "MODIFY" | "DELETE";
  readonly entry: P4Entry;
}

/** A P4Runtime client. */
export interface P4Peer {
  read(tables: readonly number[]): Promise<readonly P4Entry[]>;
  /** CONTINUE_ON_ERROR; for each update null, or the status the box gave (12.2). */
  write(
    updates: readonly P4Update[],
  ): Promise<readonly (null | { readonly code: string; readonly message: string })[]>;
}

type FieldName = "protocol" | "source" | "destination" | "sourcePort" | "destinationPort";
/** By table, what its match fields are; fields left out say nothing about flows. */
export type P4Mapping = Readonly<Record<number, Readonly<Record<number, FieldName>>>>;

const number = (hex: string) => Number(`0x${hex}`);

function addressText(hex: string): string | null {
  const bytes = Uint8Array.fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
  // P4Runtime leaves out zeros in front (8.4), so a short one is IPv4.
  if (bytes.length <= 4) return [...Array<number>(4 - bytes.length).fill(0), ...bytes].join(".");
  if (bytes.length !== 16) return null;
  const words = Array.from({ length: 8 }, (_, at) => (bytes[2 * at]! << 8 | bytes[2 * at + 1]!).toString(16));
  return new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1);
}

/** Which traffic an entry is about; ternary matches say nothing here. */
export function p4Fields(entry: P4Entry, mapping: P4Mapping): HeaderFields {
  const found: Record<string, string | number> = {};
  for (const { field, value, mask } of entry.match) {
    const name = mapping[entry.table]?.[field];
    if (name === undefined || typeof mask === "string") continue;
    if (name === "source" || name === "destination") {
      const address = addressText(value);
      if (address !== null) found[name] = typeof mask === "number" ? `${address}/${mask}` : address;
    } else if (mask === undefined) found[name] = number(value);
  }
  return found;
}

/** What tells an entry from all others of its table (9.1). */
export function p4Key({ table, priority, match }: P4Entry): string {
  const fields = match.map(({ field, value, mask }) =>
    `${field}=${value}${mask === undefined ? "" : `/${mask}`}`
  );
  return `table ${table} ${priority} ${fields.sort().join(",")}`;
}

/** @throws SyntaxError where it is no entry */
export function decodeP4(value: Uint8Array): P4Entry {
  const entry = JSON.parse(new TextDecoder().decode(value)) as P4Entry;
  const ok = Number.isInteger(entry?.table) && Array.isArray(entry.match) &&
    Number.isInteger(entry.action?.id) &&
    Number.isInteger(entry.priority) && /^\d+$/.test(entry.idleTimeoutNs ?? "");
  if (!ok) throw new SyntaxError("it is no table entry");
  return entry;
}

export function p4Record(entry: P4Entry, version: number, mapping: P4Mapping): StateRecord {
  const fields = p4Fields(entry, mapping);
  const isFlow =
    ["protocol", "source", "destination", "sourcePort", "destinationPort"].every((name) => name in fields) &&
    ![fields.source, fields.destination].some((one) => one?.includes("/"));
  return {
    ...{ role: "supporting", partition: isFlow ? "flow" : "shared", fields, codec: P4_CODEC, version },
    key: isFlow ? `${fieldsText(fields)}, ${p4Key(entry)}` : p4Key(entry),
    ...{ value: new TextEncoder().encode(JSON.stringify(entry)), ttlMs: null, merge: null, ended: false },
  };
}

export class P4Driver implements StateDriver {
  readonly kind = "p4runtime";
  readonly abilities: Abilities = {
    ...{ get: ["supporting"], put: ["supporting"], del: ["supporting"], watch: false, codecs: [P4_CODEC] },
  };
  /** By record: what is there because it was put. */
  readonly #there = new Map<string, { readonly version: number; readonly entry: P4Entry | null }>();
  readonly #counts = { read: 0, written: 0, refused: 0 };

  constructor(readonly peer: P4Peer, readonly mapping: P4Mapping, readonly nowMs: () => number) {}

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    if (role !== "supporting") return;
    for (const entry of await this.peer.read(Object.keys(this.mapping).map(Number))) {
      if (signal.aborted) return;
      this.#counts.read++;
      const record = p4Record(entry, Math.floor(this.nowMs()), this.mapping);
      if (record.partition === "shared" || holds(fields, record.fields)) yield record;
    }
  }

  async put(records: readonly StateRecord[]): Promise<PutResult> {
    const refused: Refusal[] = [];
    const works: { record: StateRecord; update: P4Update }[] = [];
    let known = 0;
    for (const record of records) {
      if ((this.#there.get(record.key)?.version ?? 0) >= record.version && recordFault(record) === null) {
        known++;
      } else {
        const update = this.#update(record);
        if (typeof update === "string") refused.push({ key: record.key, reason: update });
        else works.push({ record, update });
      }
    }
    const answers = works.length === 0 ? [] : await this.peer.write(works.map(({ update }) => update));
    for (const [at, { record, update }] of works.entries()) {
      const status = answers[at] ?? null;
      if (status !== null) {
        refused.push({ key: record.key, reason: `the box says: ${status.code}: ${status.message}` });
      } else {this.#there.set(record.key, {
          version: record.version,
          entry: record.ended ? null : update.entry,
        });}
    }
    const taken = records.length - known - refused.length;
    this.#counts.written += taken;
    this.#counts.refused += refused.length;
    return { taken, known, refused };
  }

  #update(record: StateRecord): P4Update | string {
    const fault = recordFault(record);
    if (fault !== null) return fault;
    if (record.codec !== P4_CODEC) return `its codec is "${record.codec}", not "${P4_CODEC}"`;
    if (record.role !== "supporting") return `it is ${record.role} state, and only supporting state is put`;
    const there = this.#there.get(record.key)?.entry ?? null;
    if (record.ended) {
      return there === null ? "it ended and was never put here" : { type: "DELETE", entry: there };
    }
    try {
      return { type: there === null ? "INSERT" : "MODIFY", entry: decodeP4(record.value) };
    } catch (error) {
      return (error as Error).message;
    }
  }

  async del(role: StateRole, fields: HeaderFields): Promise<number> {
    if (role !== "supporting") throw new Error(`Cannot delete ${role} state by P4Runtime`);
    const entries = (await this.peer.read(Object.keys(this.mapping).map(Number)))
      .filter((entry) => holds(fields, p4Fields(entry, this.mapping)));
    const answers = await this.peer.write(entries.map((entry) => ({ type: "DELETE", entry })));
    return answers.filter((one) => one === null).length;
  }

  watch(): AsyncIterable<DriverEvent> {
    throw new Error("Cannot watch a P4 box: P4Runtime tells of idle entries only");
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
