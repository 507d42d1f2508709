/**
 * The gate on the way back to the primary: would it carry on the flows that live now? Pure.
 *
 * A box that has returned is cold. Copies and seeds warm it, and its match says how far that has come. The gate opens when
 * the match is good, when there is next to nothing to lose, or, where the policy says so, when the wait was long.
 */
import type { FailbackWait } from "../view_match.ts";

export interface GateRules {
  /** Percent of the flows compared; 0: the gate is always open. */
  readonly matchMin: number;
  /** Fewer flows say nothing, and are nothing to wait for. */
  readonly flowsMin: number;
  readonly waitMsMax: number;
  /** After that: back all the same, or not before the match is good. */
  readonly overdue: "go" | "stay";
}

/** Out of the sections [restore] and [match]. */
export function gateOf(
  restore: { readonly matchMin: number; readonly matchWaitS: number; readonly matchOverdue: "go" | "stay" },
  { flowsMin }: { readonly flowsMin: number },
): GateRules {
  const { matchMin, matchWaitS, matchOverdue } = restore;
  return { matchMin, flowsMin, waitMsMax: matchWaitS * 1000, overdue: matchOverdue };
}

/** Flows compared, those of them that would live on with the primary, and those not compared. */
export interface GateSeen {
  readonly known: number;
  readonly live: number;
  readonly unknown: number;
}

export interface GateVerdict {
  /** Null: the gate is open. */
  readonly wait: FailbackWait | null;
  /** The wait was longer than it may be. */
  readonly overdue: boolean;
}

const OPEN: GateVerdict = { wait: null, overdue: false };

function isGood({ known, live, unknown }: GateSeen, { matchMin, flowsMin }: GateRules): boolean {
  if (known + unknown < flowsMin) return true;
  // Many flows of which nothing is known are no good match.
  return known >= flowsMin && 100 * live >= matchMin * known;
}

/** One look at a gate that is waited at since `sinceMs`. `seen` null: the match is not known. */
export function judgeGate(
  seen: GateSeen | null,
  rules: GateRules,
  { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number },
): GateVerdict {
  if (rules.matchMin === 0 || seen === null || isGood(seen, rules)) return OPEN;
  const overdue = nowMs - sinceMs >= rules.waitMsMax;
  if (overdue && rules.overdue === "go") return { wait: null, overdue };
  const goesAtMs = rules.overdue === "go" ? sinceMs + rules.waitMsMax : null;
  return { wait: { sinceMs, goesAtMs, ...seen, wanted: rules.matchMin }, overdue };
}

/** "match 71.0 % of 230, wants 95 %" */
export function waitText(
  { known, live, unknown, wanted }: Omit<FailbackWait, "sinceMs" | "goesAtMs">,
): string {
  const rest = unknown > 0 ? ` (${unknown} not compared)` : "";
  const match = known === 0
    ? "no flow compared yet"
    : `match ${(100 * live / known).toFixed(1)} % of ${known}`;
  return `${match}${rest}, wants ${wanted} %`;
}
