/**
 * Duty: what a start means: pure rules from the boot state, the slot that started and the memory to what is true now.
 *
 * Called by each start before anything is judged. If another slot was meant to start than the one that did, its trial
 * has failed. If no slot is on trial, the one that started keeps its good name.
 */
import { type BootState, failed, otherSlot, proved } from "./boot_state.ts";
import type { SlotName, UpdateReport } from "./contract.ts";
import { type UpdateMemory, withBad, withoutBad, withReport } from "./memory.ts";

export interface Settling {
  readonly state: BootState;
  /** Neither copy of the state was whole: it is a guess. */
  readonly lost: boolean;
  readonly booted: SlotName;
  readonly memory: UpdateMemory;
  /** Of what is in the other slot, by its own word; null: unknown. */
  readonly otherVersion: string | null;
  readonly nowMs: number;
}

export interface Settled {
  readonly state: BootState;
  readonly memory: UpdateMemory;
  /** The slot that started has yet to prove itself. */
  readonly onTrial: boolean;
  /** What there is to say; the last report of `memory` if one was added. */
  readonly report: UpdateReport | null;
}

export function settle(given: Settling): Settled {
  const { state, booted, memory } = given;
  const other = otherSlot(booted);
  if (given.lost) {
    // Nobody knows what the other one is worth, so it starts only when nothing else does.
    return { state: failed(proved(state, booted), other), memory, onTrial: false, report: null };
  }
  if (state.slots[booted].state === "trial") return { state, memory, onTrial: true, report: null };
  const kept = state.slots[booted].state === "good" ? proved(state, booted) : state;
  if (state.slots[other].state === "trial" && state.first === other) {
    return fellBack(given, "it did not say that it is good in any of its starts");
  }
  if (memory.intent?.slot === other && state.slots[other].state === "empty") {
    const reason =
      `slot ${other} was only partly written when the machine stopped; slot ${booted} is as it was`;
    const report = reportOf(given, "refused", reason);
    return { state: kept, memory: withReport({ ...memory, intent: null }, report), onTrial: false, report };
  }
  if (state.slots[other].state === "good" && state.first === other) {
    // By hand, back to a slot that was good once: nothing speaks against its version.
    const report = reportOf(
      given,
      "fell-back",
      `slot ${other} was to start and did not, so slot ${booted} did`,
    );
    return { state: kept, memory: withReport(memory, report), onTrial: false, report };
  }
  return { state: kept, memory, onTrial: false, report: null };
}

/** The other slot's trial is over, and this one serves. */
function fellBack(given: Settling, why: string): Settled {
  const { state, booted, memory } = given, other = otherSlot(booted);
  const report = reportOf(given, "fell-back", `slot ${other} gave way to slot ${booted}: ${why}`);
  const next = withReport(withBad({ ...memory, intent: null }, report.version), report);
  return { state: proved(failed(state, other), booted), memory: next, onTrial: false, report };
}

function reportOf(given: Settling, outcome: UpdateReport["outcome"], reason: string): UpdateReport {
  const { memory, booted, otherVersion, nowMs } = given;
  const origin = memory.origins[otherSlot(booted)], { intent } = memory;
  return {
    atMs: nowMs,
    version: intent?.version ?? otherVersion ?? origin.version,
    digest: intent?.digest ?? origin.digest,
    outcome,
    reason,
  };
}

export interface Ended {
  readonly booted: SlotName;
  readonly version: string;
  readonly nowMs: number;
}

/** The slot on trial proved itself. */
export function passed(state: BootState, memory: UpdateMemory, { booted, version, nowMs }: Ended): Settled {
  const { digest } = memory.origins[booted];
  const report: UpdateReport = {
    ...{ atMs: nowMs, version, digest, outcome: "good" },
    reason: `slot ${booted} does its work`,
  };
  const next = withReport(withoutBad({ ...memory, intent: null }, version), report);
  return { state: proved(state, booted), memory: next, onTrial: false, report };
}

/** The gate said no: the other slot is to start. */
export function rejected(
  state: BootState,
  memory: UpdateMemory,
  { booted, version, nowMs, faults }: Ended & { readonly faults: readonly string[] },
): Settled {
  const { digest } = memory.origins[booted];
  const report: UpdateReport = {
    ...{ atMs: nowMs, version, digest, outcome: "fell-back" },
    reason: `slot ${booted} gave way to slot ${otherSlot(booted)}: ${faults.join("; ")}`,
  };
  const next = withReport(withBad({ ...memory, intent: null }, version), report);
  return { state: failed(state, booted), memory: next, onTrial: false, report };
}
