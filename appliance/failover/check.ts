/**
 * One check of a box, as a state machine: outcomes in, a light out.
 *
 * Three things keep it honest. A change needs several outcomes in a row (rise, fall). A failure counts only if control itself
 * was in time: a program that was not run cannot know how long somebody else took. And a state that nobody has
 * renewed for long is no state. Pure: `now` and outcomes go in.
 */
import type { Light } from "../view.ts";

/** Why an answer is none; the board carries its index. */
export const FAULT = [
  "none",
  "timeout",
  "refused",
  "unreachable",
  "reset",
  "certificate",
  "status",
  "not_permitted",
  "device",
  "other",
] as const;
export type Fault = (typeof FAULT)[number];

export const FAULT_TEXT: Readonly<Record<Fault, string>> = {
  none: "it answers",
  timeout: "no answer in time",
  refused: "the connection is refused",
  unreachable: "there is no way to it",
  reset: "the connection is cut",
  certificate: "its certificate is not valid",
  status: "it answers with another status",
  not_permitted: "asking is not permitted here",
  device: "there is no such interface here",
  other: "it does not answer as it should",
};

export interface CheckRules {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
}

export interface Outcome {
  readonly fault: Fault;
  readonly atMs: number;
  /** By how much control itself was late meanwhile, at worst. */
  readonly lateMs: number;
}

export interface CheckState {
  /** off: not known yet. */
  readonly light: "off" | Light;
  /** In a row, up to now. */
  readonly good: number;
  readonly bad: number;
  /** The latest failure since the light was green. */
  readonly fault: Fault;
  /** When an outcome last counted. */
  readonly seenMs: number;
  readonly asked: number;
  readonly failed: number;
  /** Failures that did not count, because control was late. */
  readonly excused: number;
}

export const CHECK_START: CheckState = {
  light: "off",
  good: 0,
  bad: 0,
  fault: "none",
  seenMs: 0,
  asked: 0,
  failed: 0,
  excused: 0,
};

const LATE_MS_MIN = 20;
/** What this node lacks says nothing of a box. */
const OWN_FAULTS: readonly Fault[] = ["not_permitted", "device"];

/** Later than this, control is no witness of a failure. */
export function lateBarMs({ timeoutMs }: CheckRules): number {
  return Math.max(LATE_MS_MIN, timeoutMs / 4);
}

/** An outcome has come in. */
export function noteOutcome(state: CheckState, outcome: Outcome, rules: CheckRules): CheckState {
  const asked = state.asked + 1;
  if (outcome.fault === "none") {
    const good = state.good + 1;
    const back = state.light !== "red" || good >= rules.rise;
    const kept = { good, bad: 0, seenMs: outcome.atMs, asked };
    return back ? { ...state, ...kept, light: "green", fault: "none" } : { ...state, ...kept };
  }
  if (outcome.lateMs > lateBarMs(rules) || OWN_FAULTS.includes(outcome.fault)) {
    return { ...state, asked, excused: state.excused + 1, fault: outcome.fault };
  }
  const bad = state.bad + 1;
  const light = bad >= rules.fall || state.light === "red" ? "red" : state.light === "off" ? "off" : "yellow";
  const { fault, atMs } = outcome;
  return { ...state, light, good: 0, bad, fault, seenMs: atMs, asked, failed: state.failed + 1 };
}

/** Three rounds without an outcome that counts: nothing is known any more. */
export function lightNow(state: CheckState, rules: CheckRules, nowMs: number): CheckState["light"] {
  return nowMs - state.seenMs > 3 * (rules.intervalMs + rules.timeoutMs) ? "off" : state.light;
}

const BADNESS = ["off", "green", "yellow", "red"] as const;

/** What all checks of one box say together. */
export interface BoxChecks {
  readonly light: CheckState["light"];
  /** Index of the check that says so, and its fault. */
  readonly worst: number;
  readonly fault: Fault;
}

/** The worst of them, the first of equals. `lights`: after severity. */
export function worstOf(
  checks: readonly { readonly light: CheckState["light"]; readonly fault: Fault }[],
): BoxChecks {
  let worst = 0;
  checks.forEach(({ light }, i) => {
    if (BADNESS.indexOf(light) > BADNESS.indexOf(checks[worst]!.light)) worst = i;
  });
  const { light, fault } = checks[worst] ?? { light: "off", fault: "none" };
  return { light, worst, fault };
}
