/**
 * Duty: which configuration a slot starts with, when another slot ran before it. Pure.
 *
 * A newer version takes today's configuration forward. An older one takes it too, if it can read it; only if not, the one
 * that it had when it last ran comes back. Nothing is thrown away: each slot's last configuration is kept.
 */
import { SLOT_NAMES, type SlotName } from "./contract.ts";

export interface SettingsFiles {
  /** In force until now. Null: none. */
  readonly current: string | null;
  /** What this slot had when it last ran. */
  readonly kept: string | null;
}

export interface SettingsChoice {
  /** The slot for which the current one is put aside; null: none. */
  readonly keepFor: SlotName | null;
  /** Comes in its place; null: it stays. */
  readonly text: string | null;
  readonly told: string | null;
}

export interface SettingsAround {
  readonly booted: SlotName;
  /** Ran before; null: unknown. */
  readonly last: string | null;
  /** By the rules of this version. */
  readonly accepts: (text: string) => boolean;
}

export function chooseSettings({ current, kept }: SettingsFiles, around: SettingsAround): SettingsChoice {
  const { booted, last, accepts } = around;
  const before = SLOT_NAMES.find((name) => name === last) ?? null;
  const keepFor = current === null || before === booted ? null : before;
  if (current !== null && accepts(current)) return { keepFor, text: null, told: null };
  if (kept === null || kept === current || !accepts(kept)) return { keepFor, text: null, told: null };
  const why = current === null
    ? "there was none"
    : `this version cannot read that of slot ${before ?? "unknown"}`;
  return { keepFor, text: kept, told: `The configuration that slot ${booted} had is in force again: ${why}` };
}
