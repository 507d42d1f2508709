/**
 * Duty: one piece of a box's state on its way from one box to another.
 *
 * Roles and partitions are those of the OpenMB taxonomy. A value is bytes that only drivers of the same codec read;
 * whatever carries a record reads its key, fields and version alone. Putting a record twice changes nothing the second
 * time: what is older than the version that is there is left out.
 */
import type { HeaderFields } from "./fields.ts";

/** What it is for: it defines behaviour, guides decisions, or counts what was seen and decided. */
export type StateRole = "configuration" | "supporting" | "reporting";
/** Of one flow, or of all. */
export type Partition = "flow" | "shared";
/** How the reporting state of two boxes becomes one. */
export type MergeKind = "sum" | "max" | "union";

export interface StateRecord {
  readonly role: StateRole;
  readonly partition: Partition;
  /** Unlike any other of the same codec and role. Of a flow: the text of its fields; shared: what the driver calls it. */
  readonly key: string;
  /** The flow, as the box's clients send it; of shared state: what of the traffic it concerns, empty: all. */
  readonly fields: HeaderFields;
  /** Who can read the value, with the version of its form: "conntrack/1". */
  readonly codec: string;
  /** Empty of a record that ended. */
  readonly value: Uint8Array;
  /** Grows with each change of the key at its source; 1 is the first. */
  readonly version: number;
  /** How long it is worth keeping; null: until it is deleted. */
  readonly ttlMs: number | null;
  /** Of reporting state only; null: the higher version wins. */
  readonly merge: MergeKind | null;
  /** The state ended: what is known of the key goes. */
  readonly ended: boolean;
}

/** The bound on a value: larger state is several records. */
export const VALUE_BYTES_MAX = 1 << 20;
export const KEY_CHARACTERS_MAX = 512;

/** What keeps a record from being carried, as the end of a sentence; null: nothing. */
export function recordFault(record: StateRecord): string | null {
  const { key, codec, value, version, ttlMs } = record;
  if (key === "" || key.length > KEY_CHARACTERS_MAX) {
    return `its key has ${key.length} characters, not 1 to ${KEY_CHARACTERS_MAX}`;
  }
  if (!/^[a-z0-9-]+\/[0-9]+$/.test(codec)) return `its codec is "${codec}", not a name and a number`;
  if (value.length > VALUE_BYTES_MAX) {
    return `its value has ${value.length} bytes, more than ${VALUE_BYTES_MAX}`;
  }
  if (!Number.isSafeInteger(version) || version < 1) return `its version is ${version}, not 1 or more`;
  if (ttlMs !== null && !(ttlMs > 0)) return `its time to live is ${ttlMs} ms, not more than 0`;
  if (record.merge !== null && record.role !== "reporting") {
    return `it is ${record.role} state, which is not merged`;
  }
  if (record.ended && value.length > 0) return "it ended and has a value";
  return null;
}
