/**
 * Duty: what of one box was merged into another, so that nothing counts twice. Pure.
 *
 * A driver leaves out what is not newer than the version it has. So each merge gets a version of its own, a stride above
 * the one that is there: put again after a crash it is known, put once it is taken, whatever the box has counted
 * meanwhile. The ledger remembers which version of the source stands behind it.
 */
import type { StateRole } from "../../drivers/record.ts";
import { wholeLine, wholeLines } from "./line.ts";

/** More changes than a box makes between two looks at it; a key can be merged into some hundred thousand times. */
export const STRIDE = 2 ** 36;

export interface Merged {
  readonly role: StateRole;
  readonly key: string;
  /** Of the source, when it was read. */
  readonly version: number;
  /** Under which it was put. */
  readonly as: number;
  /** The destination has it; else it is in doubt. */
  readonly done: boolean;
}

/** merged: about to be put, or put. emptying: the source's state is about to be deleted. emptied: it was. */
export interface LedgerEntry {
  readonly mark: "merged" | "emptying" | "emptied";
  readonly source: string;
  readonly destination: string;
  readonly items: readonly Merged[];
}

export interface LedgerStore {
  load(): Ledger;
  /** On disk when it returns. */
  append(entry: LedgerEntry): Promise<void>;
}

/** Merges by source and destination, then by role and key. */
export interface Ledger {
  readonly pairs: ReadonlyMap<string, Pair>;
  readonly unreadable: number;
}

export interface Pair {
  readonly source: string;
  readonly destination: string;
  readonly items: ReadonlyMap<string, Merged>;
  /** The source was being deleted. */
  readonly emptying: boolean;
}

export const pairKey = (source: string, destination: string) => JSON.stringify([source, destination]);
export const itemKey = ({ role, key }: { readonly role: StateRole; readonly key: string }) =>
  `${role} ${key}`;

export const ledgerLine = (entry: LedgerEntry) => wholeLine(entry);

export function noted(ledger: Ledger, { mark, source, destination, items }: LedgerEntry): Ledger {
  const id = pairKey(source, destination), pairs = new Map(ledger.pairs);
  const before = pairs.get(id) ?? { source, destination, items: new Map(), emptying: false };
  if (mark === "emptied") pairs.delete(id);
  else {
    const all = new Map(before.items);
    for (const item of items) all.set(itemKey(item), item);
    pairs.set(id, { ...before, items: all, emptying: mark === "emptying" });
  }
  return { ...ledger, pairs };
}

export function readLedger(text: string): Ledger {
  const { values, unreadable } = wholeLines<LedgerEntry>(text);
  return values.reduce<Ledger>(noted, { pairs: new Map(), unreadable });
}

export function compactLedger({ pairs }: Ledger): string {
  return [...pairs.values()].map(({ source, destination, items, emptying }) =>
    ledgerLine({ mark: emptying ? "emptying" : "merged", source, destination, items: [...items.values()] })
  ).join("");
}
