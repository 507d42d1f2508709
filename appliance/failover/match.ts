/**
 * Whether the match of a standby is bad enough to be told, with hysteresis, and what a switch to it would cost. Pure.
 *
 * A short dip is no news and neither is a handful of flows; once told, it is bad until it is clearly better.
 */
import type { MatchCounts } from "../view_match.ts";

export interface MatchRules {
  /** Percent of the flows compared; 0: nothing is ever told. */
  readonly alarmBelow: number;
  readonly clearFrom: number;
  /** Fewer than so many compared say nothing. */
  readonly flowsMin: number;
  /** It has to last; of what was dropped it has lasted for `DROPPED_MS` when it is known. */
  readonly holdMs: number;
}

export interface MatchState {
  readonly alarm: boolean;
  /** Since when things have been otherwise than `alarm` says; null: they are not. */
  readonly otherwiseMs: number | null;
}

/** A standby that has handed over nothing for so long has dropped it: `RM_TWIN_NS` of `filter/native/twin.h`. */
export const DROPPED_MS = 1_000;

export const MATCH_START: MatchState = { alarm: false, otherwiseMs: null };

/** How many connections were compared. */
export function compared({ equal, different, dropped }: Omit<MatchCounts, "followed">): number {
  return equal + different + dropped;
}

/** How many of them would live on with the standby: what it made alike, and what would be translated for it. */
export function wouldLive({ equal, followed }: Pick<MatchCounts, "equal" | "followed">): number {
  return equal + followed;
}

/** "150 with another binding, 6 dropped": of those that would not live on. Empty: there are none. */
export function unlikeText({ different, followed, dropped }: MatchCounts): string {
  const parts = [
    ...(different > followed ? [`${different - followed} with another binding`] : []),
    ...(dropped > 0 ? [`${dropped} dropped`] : []),
  ];
  return parts.join(", ");
}

/** Is it too little for what was dropped alone? Such flows stay dropped for as long as they live. */
function isDropped(seen: MatchCounts, { alarmBelow }: MatchRules): boolean {
  const known = compared(seen);
  return 100 * (known - seen.dropped) < alarmBelow * known;
}

/** One look. `seen` null: the box serves, or is not there; then there is nothing to be alarmed about. */
export function judgeMatch(
  state: MatchState,
  seen: MatchCounts | null,
  rules: MatchRules,
  nowMs: number,
): MatchState {
  if (seen === null || rules.alarmBelow === 0) return MATCH_START;
  const known = compared(seen);
  const percent = known >= rules.flowsMin ? 100 * wouldLive(seen) / known : 100;
  const otherwise = state.alarm ? percent >= rules.clearFrom : percent < rules.alarmBelow;
  if (!otherwise) return { ...state, otherwiseMs: null };
  const sinceMs = state.otherwiseMs ?? nowMs;
  // Two looks: counts are read one after the other, while they change.
  const beforeMs = !state.alarm && state.otherwiseMs !== null && isDropped(seen, rules) ? DROPPED_MS : 0;
  return nowMs - sinceMs + beforeMs >= rules.holdMs
    ? { alarm: !state.alarm, otherwiseMs: null }
    : { ...state, otherwiseMs: sinceMs };
}

export interface Loss {
  /** "lose 29 of 300 flows compared: 29 with another binding"; empty: none. */
  readonly text: string;
  /** So many that a person has to want it. */
  readonly tooMany: boolean;
}

/** What a switch to a standby would cost now. `seen` null: nothing is known of it. */
export function lossOf(
  seen: MatchCounts | null,
  { alarmBelow, flowsMin }: Pick<MatchRules, "alarmBelow" | "flowsMin">,
): Loss {
  const known = seen === null ? 0 : compared(seen), lost = seen === null ? 0 : known - wouldLive(seen);
  if (seen === null || lost === 0) return { text: "", tooMany: false };
  const why = unlikeText(seen);
  const tooMany = known >= flowsMin && 100 * (known - lost) < alarmBelow * known;
  return { text: `lose ${lost} of ${known} flows compared${why === "" ? "" : `: ${why}`}`, tooMany };
}
