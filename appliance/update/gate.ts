/**
 * Duty: whether a system that started from a slot on trial does its work: pure judgement over what was seen.
 *
 * A new version must do what the old one did: forward if that one did, reach whom that one reached. What was broken
 * before is no fault of the new one. It has to hold for a while, within a deadline.
 */

/** What was seen at one moment. */
export interface GateFacts {
  /** Whether there is a configuration at all; a machine without one has nothing to run. */
  readonly configured: boolean;
  /** What is wrong with it, by the rules of the new version. */
  readonly configProblems: readonly string[];
  /** Null: control does not answer. */
  readonly node: {
    /** Of the plane: "running" and others. */
    readonly plane: string;
    /** Since control saw the plane's loop turn; milliseconds. */
    readonly freshMs: number;
    readonly path: string;
    /** Ports with a link. */
    readonly links: readonly string[];
    /** Boxes that are alive, and whoever else is talked to. */
    readonly peers: readonly string[];
  } | null;
}

/** What the version before did, noted when the bundle was installed. */
export interface GateBefore {
  readonly configured: boolean;
  readonly forwarded: boolean;
  readonly links: readonly string[];
  readonly peers: readonly string[];
}

/** A loop that has not been seen for so long does not turn. */
const FRESH_MS_MAX = 2000;

/** Nothing is known of before: what the machine does must be well in itself. */
export const NOTHING_BEFORE: GateBefore = { configured: false, forwarded: false, links: [], peers: [] };

/** Why the system is not good; none: it is. */
export function gateFaults(now: GateFacts, before: GateBefore): readonly string[] {
  if (!now.configured) {
    return before.configured ? ["the configuration of the version before is not there"] : [];
  }
  if (now.configProblems.length > 0) {
    const more = now.configProblems.length === 1 ? "" : ` and ${now.configProblems.length - 1} more`;
    return [`the configuration does not load: ${now.configProblems[0]}${more}`];
  }
  if (now.node === null) return ["control does not answer"];
  const { plane, freshMs, path, links, peers } = now.node;
  if (plane !== "running") return [`the plane is ${plane}`];
  if (freshMs > FRESH_MS_MAX) return [`the plane's loop has not turned for ${freshMs} ms`];
  const faults: string[] = [];
  if (before.forwarded && path === "block") faults.push("traffic is blocked, and it was not before");
  const gone = missing(before.links, links);
  if (gone !== null) faults.push(`no link at ${gone}, where there was one before`);
  const silent = missing(before.peers, peers);
  if (silent !== null) faults.push(`${silent} cannot be reached, and could before`);
  return faults;
}

function missing(wanted: readonly string[], found: readonly string[]): string | null {
  const lost = wanted.filter((name) => !found.includes(name));
  return lost.length === 0 ? null : lost.join(", ");
}

export interface GateRules {
  /** From the start of the gate. */
  readonly deadlineMs: number;
  /** For so long without a fault. */
  readonly holdMs: number;
}

export const GATE_RULES: GateRules = { deadlineMs: 300_000, holdMs: 10_000 };

/** A bundle whose starts take longer, or less, says so on its kernel's line: `remediate.deadline=SECONDS`. */
export function gateRules(commandLine: string): GateRules {
  const seconds = Number(/(?:^|\s)remediate\.deadline=(\d{2,4})(?:\s|$)/.exec(commandLine)?.[1] ?? 0);
  return seconds === 0 ? GATE_RULES : { ...GATE_RULES, deadlineMs: seconds * 1000 };
}

export interface GateProgress {
  readonly startedMs: number;
  /** Null: the last look found a fault. */
  readonly goodSinceMs: number | null;
  readonly faults: readonly string[];
}

export type Verdict = "wait" | "good" | "bad";

export const begun = (nowMs: number): GateProgress => ({ startedMs: nowMs, goodSinceMs: null, faults: [] });

/** One look more. */
export function judged(
  progress: GateProgress,
  faults: readonly string[],
  nowMs: number,
  rules: GateRules = GATE_RULES,
): { readonly progress: GateProgress; readonly verdict: Verdict } {
  const goodSinceMs = faults.length > 0 ? null : progress.goodSinceMs ?? nowMs;
  const next = { startedMs: progress.startedMs, goodSinceMs, faults };
  if (goodSinceMs !== null && nowMs - goodSinceMs >= rules.holdMs) return { progress: next, verdict: "good" };
  if (nowMs - progress.startedMs >= rules.deadlineMs) return { progress: next, verdict: "bad" };
  return { progress: next, verdict: "wait" };
}
