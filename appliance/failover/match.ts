/**
 * Whether the match of a standby is bad enough to be told, with hysteresis. Pure.
 *
 * A short dip is no news and neither is a handful of flows; once told, it is bad until it is clearly better.
 */
export interface MatchRules {
  /** Percent of the flows compared; 0: nothing is ever told. */
  readonly alarmBelow: number;
  readonly clearFrom: number;
  /** Fewer than so many compared say nothing. */
  readonly flowsMin: number;
  /** It has to last. */
  readonly holdMs: number;
}

export interface MatchState {
  readonly alarm: boolean;
  /** Since when things have been otherwise than `alarm` says; null: they are not. */
  readonly otherwiseMs: number | null;
}

export const MATCH_START: MatchState = { alarm: false, otherwiseMs: null };

export interface MatchSeen {
  /** Flows compared. */
  readonly known: number;
  /** Of them those that the standby would carry on. */
  readonly carried: number;
}

/** One look. `seen` null: the box serves, or is not there; then there is nothing to be alarmed about. */
export function judgeMatch(
  state: MatchState,
  seen: MatchSeen | null,
  rules: MatchRules,
  nowMs: number,
): MatchState {
  if (seen === null || rules.alarmBelow === 0) return MATCH_START;
  const enough = seen.known >= rules.flowsMin;
  const percent = enough ? 100 * seen.carried / seen.known : 100;
  const otherwise = state.alarm ? percent >= rules.clearFrom : percent < rules.alarmBelow;
  if (!otherwise) return { ...state, otherwiseMs: null };
  const sinceMs = state.otherwiseMs ?? nowMs;
  return nowMs - sinceMs >= rules.holdMs
    ? { alarm: !state.alarm, otherwiseMs: null }
    : { ...state, otherwiseMs: sinceMs };
}
