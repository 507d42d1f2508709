/** When the match of a standby is told, and when it is well again. */
import assert from "node:assert/strict";
import {
  judgeMatch,
  MATCH_START,
  type MatchSeen,
  type MatchState,
} from "../../../appliance/failover/match.ts";

const RULES = { alarmBelow: 95, clearFrom: 98, flowsMin: 10, holdMs: 500 };
const percent = (carried: number): MatchSeen => ({ known: 100, carried });

/** Each look is 100 ms after the last. */
function run(looks: readonly (MatchSeen | null)[], rules = RULES): boolean[] {
  let state: MatchState = MATCH_START;
  return looks.map((seen, i) => (state = judgeMatch(state, seen, rules, 100 * i)).alarm);
}
const times = (n: number, seen: MatchSeen | null) => Array.from({ length: n }, () => seen);

Deno.test("a match below the bar is told once it has lasted", () => {
  assert.deepEqual(run(times(7, percent(94))), [false, false, false, false, false, true, true]);
  assert.ok(run(times(20, percent(95))).every((alarm) => !alarm));
});

Deno.test("a short dip begins anew each time", () => {
  const dips = Array.from({ length: 5 }, () => [...times(4, percent(10)), percent(99)]).flat();
  assert.ok(run(dips).every((alarm) => !alarm));
});

Deno.test("what is between the bars stays as it was", () => {
  const told = run([...times(6, percent(50)), ...times(9, percent(97)), ...times(6, percent(98))]);
  assert.equal(told[5], true);
  assert.equal(told[14], true);
  assert.equal(told.at(-1), false);
});

Deno.test("few flows say nothing, and end what was told", () => {
  assert.ok(run(times(20, { known: 9, carried: 0 })).every((alarm) => !alarm));
  assert.equal(run([...times(6, percent(0)), ...times(6, { known: 0, carried: 0 })]).at(-1), false);
});

Deno.test("a box that serves has no match, and neither has any with the alarm off", () => {
  assert.deepEqual(run([...times(6, percent(0)), null]).slice(-2), [true, false]);
  assert.ok(run(times(20, percent(0)), { ...RULES, alarmBelow: 0 }).every((alarm) => !alarm));
});
