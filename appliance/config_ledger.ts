/**
 * Configurations that were in force, and the one that waits to be confirmed, as a value.
 *
 * Pure: the clock comes in. One that waits comes back to the one before when nobody has confirmed it in time, whoever
 * looks at the ledger then: the control that put it in force, or one that was started since.
 *
 *   begin -> pending --confirm--> confirmed
 *               \----undo, or time is over--> undone; the one before is in force
 */
import type { ConfigVersion, PendingConfig } from "./view_config.ts";

const VERSIONS_MAX = 50;

export interface Ledger {
  /** Oldest first; ids rise. */
  readonly versions: readonly ConfigVersion[];
  readonly pending: Pending | null;
  /** Of the configuration in force; 0: none is known yet. */
  readonly current: number;
}

export interface Pending extends PendingConfig {
  /** What comes back. */
  readonly before: number;
  readonly sinceMs: number;
}

export const NO_LEDGER: Ledger = { versions: [], pending: null, current: 0 };

export interface Begun {
  readonly etag: string;
  readonly who: string;
  readonly note: string;
  readonly atMs: number;
}

function nextId({ versions }: Ledger): number {
  return (versions.at(-1)?.id ?? 0) + 1;
}

/** The most recent ones, and those that are needed. */
function bounded(ledger: Ledger): Ledger {
  const needed = (id: number) => id === ledger.current || id === ledger.pending?.before;
  const least = ledger.versions.length - VERSIONS_MAX;
  return { ...ledger, versions: ledger.versions.filter(({ id }, index) => index >= least || needed(id)) };
}

/** One is found to be in force: at a start, or after a reload by hand. */
export function found(ledger: Ledger, begun: Begun): Ledger {
  const current = versionOf(ledger, ledger.current);
  if (current?.etag === begun.etag) return ledger;
  const id = nextId(ledger);
  return bounded({
    versions: [...ledger.versions, { id, ...begun, state: "start" }],
    pending: null,
    current: id,
  });
}

/** One is about to be put in force. `confirmS`: 0 for good. */
export function begin(ledger: Ledger, begun: Begun, confirmS: number): Ledger {
  const id = nextId(ledger), { who, atMs } = begun;
  const pending = confirmS === 0
    ? null
    : { id, who, untilMs: atMs + confirmS * 1000, before: ledger.current, sinceMs: atMs };
  const state = confirmS === 0 ? "confirmed" : "pending";
  return bounded({ versions: [...ledger.versions, { id, ...begun, state }], pending, current: id });
}

export function confirm(ledger: Ledger): Ledger {
  return ledger.pending === null
    ? ledger
    : { ...marked(ledger, ledger.pending.id, "confirmed"), pending: null };
}

/** The one in force is not: `before` is again. */
export function undo(ledger: Ledger, before: number): Ledger {
  return { ...marked(ledger, ledger.current, "undone"), pending: null, current: before };
}

function marked(ledger: Ledger, id: number, state: ConfigVersion["state"]): Ledger {
  return { ...ledger, versions: ledger.versions.map((one) => one.id === id ? { ...one, state } : one) };
}

/** Whether the time to confirm is over. A clock that was set back must not make it longer. */
export function overdue({ pending }: Ledger, nowMs: number): boolean {
  return pending !== null && (nowMs >= pending.untilMs || nowMs < pending.sinceMs);
}

export function versionOf({ versions }: Ledger, id: number): ConfigVersion | null {
  return versions.find((one) => one.id === id) ?? null;
}

/** What a rollback without a number goes to: the last before the one in force that was not undone. Null: there is none. */
export function previous(ledger: Ledger): number | null {
  const good = ledger.versions.filter(({ id, state }) => id < ledger.current && state !== "undone");
  return good.at(-1)?.id ?? null;
}

/** @throws SyntaxError: it is no ledger */
export function readLedger(text: string): Ledger {
  const value = JSON.parse(text);
  const whole = (one: unknown) => Number.isSafeInteger(one) && Number(one) >= 0;
  const good = Array.isArray(value?.versions) && whole(value.current) &&
    value.versions.every((one: Record<string, unknown>) => whole(one?.id) && typeof one.etag === "string") &&
    (value.pending === null || (whole(value.pending?.before) && typeof value.pending.untilMs === "number"));
  if (!good) throw new SyntaxError("it is no history of configurations");
  return { versions: value.versions, pending: value.pending, current: value.current };
}
