/** When the match of a standby is told, and when it is well again. */
import assert from "node:assert/strict";
import {
  DROPPED_MS,
  judgeMatch,
  lossOf,
  MATCH_START,
  type MatchState,
} from "../../../appliance/failover/match.ts";
import type { MatchCounts } from "../../../appliance/view.ts";

const RULES = { alarmBelow: 95, clearFrom: 98, flowsMin: 10, holdMs: 500 };
const seen = (equal: number, known: number): MatchCounts => ({
  equal,
  different: known - equal,
  followed: 0,
  dropped: 0,
});
const percent = (equal: number) => seen(equal, 100);

/** Each look is 100 ms after the last. */
function run(looks: readonly (MatchCounts | null)[], rules = RULES): boolean[] {
  let state: MatchState = MATCH_START;
  return looks.map((one, i) => (state = judgeMatch(state, one, rules, 100 * i)).alarm);
}
const times = (n: number, one: MatchCounts | null) => Array.from({ length: n }, () => one);

Deno.test("a match below the bar is told once it has lasted", () => {
  assert.deepEqual(run(times(7, percent(94))), [false, false, false, false, false, true, true]);
  assert.ok(run(times(20, percent(95))).every((alarm) => !alarm));
});

Deno.test("a short dip begins anew each time", () => {
  const dips = Array.from({ length: 5 }, () => [...times(4, percent(10)), percent(99)]).flat();
  assert.ok(run(dips).every((alarm) => !alarm));
});

Deno.test("what was dropped has lasted for a second when it is known: it is told at the second look", () => {
  const dropped = (n: number): MatchCounts => ({ equal: 100 - n, different: 0, followed: 0, dropped: n });
  assert.deepEqual(run(times(3, dropped(6))), [false, true, true]);
  // Numbers are read while they change: one look alone is none.
  assert.ok(run(Array.from({ length: 9 }, () => [dropped(50), dropped(0)]).flat()).every((alarm) => !alarm));
  // Another binding may be about to be translated, and little that was dropped would not do by itself.
  const mixed = { equal: 90, different: 7, followed: 0, dropped: 3 };
  assert.deepEqual(run(times(7, mixed)), [false, false, false, false, false, true, true]);
  // What is to last longer than a second lasts for the rest, and that it is over has to last whole.
  const longer = run([...times(8, dropped(6)), ...times(12, dropped(0))], {
    ...RULES,
    holdMs: DROPPED_MS + 500,
  });
  assert.deepEqual([longer.indexOf(true), longer.at(-1)], [5, true]);
});

Deno.test("what is between the bars stays as it was", () => {
  const told = run([...times(6, percent(50)), ...times(9, percent(97)), ...times(6, percent(98))]);
  assert.equal(told[5], true);
  assert.equal(told[14], true);
  assert.equal(told.at(-1), false);
});

Deno.test("few flows say nothing, and end what was told", () => {
  assert.ok(run(times(20, seen(0, 9))).every((alarm) => !alarm));
  assert.equal(run([...times(6, percent(0)), ...times(6, seen(0, 0))]).at(-1), false);
});

Deno.test("a box that serves has no match, and neither has any with the alarm off", () => {
  assert.deepEqual(run([...times(6, percent(0)), null]).slice(-2), [true, false]);
  assert.ok(run(times(20, percent(0)), { ...RULES, alarmBelow: 0 }).every((alarm) => !alarm));
});

Deno.test("lossOf() says what a switch would cost, and when a person has to want it", () => {
  const rules = { alarmBelow: 95, flowsMin: 10 };
  const table: [MatchCounts | null, string, boolean][] = [
    [null, "", false],
    [seen(0, 0), "", false],
    [seen(300, 300), "", false],
    [seen(290, 300), "lose 10 of 300 flows compared: 10 with another binding", false],
    [seen(0, 9), "lose 9 of 9 flows compared: 9 with another binding", false],
    [
      { equal: 200, different: 90, followed: 0, dropped: 10 },
      "lose 100 of 300 flows compared: 90 with another binding, 10 dropped",
      true,
    ],
  ];
  table.push([
    { equal: 0, different: 300, followed: 290, dropped: 0 },
    "lose 10 of 300 flows compared: 10 with another binding",
    false,
  ]);
  for (const [counts, text, tooMany] of table) assert.deepEqual(lossOf(counts, rules), { text, tooMany });
  assert.equal(lossOf(seen(0, 300), { ...rules, alarmBelow: 0 }).tooMany, false);
});

Deno.test("control knows how long the plane waits until it calls an opening dropped", async () => {
  const header = await Deno.readTextFile(new URL("../../../filter/native/twin.h", import.meta.url));
  assert.equal(Number(/#define RM_TWIN_NS ([0-9]+)ull/.exec(header)?.[1]), DROPPED_MS * 1e6);
});
