/**
 * Duty: what becomes of one record that meets what another box has already. Pure.
 *
 * Supporting and configuration state: the higher version stays. Reporting state by its kind, which the destination's driver
 * knows how to do: sum, max, union. Two different values of one version, and a sum that went on after it was added, are
 * conflicts: named, and left as they are.
 */
import type { StateRecord } from "../../drivers/record.ts";
import { digest } from "./line.ts";
import { type Merged, STRIDE } from "./ledger.ts";

/** What the destination has of a key. */
export interface There {
  readonly version: number;
  readonly digest: string;
}

export type Verdict =
  | { readonly kind: "put"; readonly record: StateRecord; readonly merged: Merged | null }
  | { readonly kind: "known" }
  | { readonly kind: "conflict"; readonly reason: string };

export function valueDigest({ value, ended }: StateRecord): string {
  let text = ended ? "-" : "";
  for (const byte of value) text += String.fromCharCode(byte);
  return `${value.length}/${digest(text)}`;
}

/** `before`: what the ledger has of this key from this source. */
export function judgeMerge(record: StateRecord, there: There | null, before: Merged | null): Verdict {
  if (record.merge === null) return lastWriter(record, there);
  const { role, key, version, merge } = record;
  if (before !== null && before.version === version) {
    if (before.done) return { kind: "known" };
    // Control may have ended before it was put: the same again is known there, if it was.
    return { kind: "put", record: { ...record, version: before.as }, merged: before };
  }
  if (before !== null && merge === "sum" && before.version < version) {
    return {
      kind: "conflict",
      reason: `it went on to version ${version} after version ${before.version} was added`,
    };
  }
  const as = (there?.version ?? 0) + STRIDE;
  if (!Number.isSafeInteger(as)) return { kind: "conflict", reason: "it was merged too often" };
  return { kind: "put", record: { ...record, version: as }, merged: { role, key, version, as, done: false } };
}

function lastWriter(record: StateRecord, there: There | null): Verdict {
  if (there === null || there.version < record.version) return { kind: "put", record, merged: null };
  if (there.version > record.version || there.digest === valueDigest(record)) return { kind: "known" };
  return { kind: "conflict", reason: `both have version ${record.version}, with different values` };
}
