/** Duty: records for tests, of flows that are numbered. */
import { fieldsText, type HeaderFields } from "../../drivers/fields.ts";
import type { StateRecord } from "../../drivers/record.ts";

export function flowRecord(number: number, change: Partial<StateRecord> = {}): StateRecord {
  const fields: HeaderFields = {
    protocol: 6,
    source: `10.1.${number >> 8 & 255}.${number & 255}`,
    sourcePort: 40_000 + number % 1000,
    destination: "10.2.0.11",
    destinationPort: 80,
  };
  return {
    role: "supporting",
    partition: "flow",
    key: fieldsText(fields),
    fields,
    codec: "test/1",
    value: new TextEncoder().encode(`state of flow ${number}`),
    version: 1,
    ttlMs: null,
    merge: null,
    ended: false,
    ...change,
  };
}
