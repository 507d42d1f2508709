/** The history of matches: the worst of each minute, bounded, over restarts of plane and control. */
import assert from "node:assert/strict";
import { MatchHistory, MINUTE_MS, MINUTES_MAX } from "../../../appliance/failover/match_history.ts";
import type { MatchMinute } from "../../../appliance/view.ts";

const T = Math.floor(1_700_000_000_000 / MINUTE_MS) * MINUTE_MS;
const counts = (equal: number, different = 0, dropped = 0) => ({ equal, different, followed: 0, dropped });

function noter(history: MatchHistory) {
  return (ms: number, of: ReturnType<typeof counts>, lostCopies = 0) =>
    history.note({ box: "redundant", counts: of, lostCopies }, 10, T + ms);
}

Deno.test("a minute keeps its worst look and its last one", () => {
  const history = new MatchHistory(), note = noter(history);
  note(0, counts(100));
  note(100, counts(60, 30, 10), 5);
  note(200, counts(90, 10), 7);
  assert.equal(note(59_999, counts(100), 7), null);
  const ended = note(MINUTE_MS, counts(100), 9);
  const minute: MatchMinute = {
    ...{ box: "redundant", startMs: T, worst: counts(60, 30, 10), last: counts(100), lostCopies: 7 },
  };
  assert.deepEqual(ended, minute);
  assert.deepEqual(history.minutes("redundant").map(({ lostCopies }) => lostCopies), [7, 2]);
});

Deno.test("few flows are no worst", () => {
  const history = new MatchHistory(), note = noter(history);
  note(0, counts(0, 9));
  assert.deepEqual(history.minutes("redundant")[0]!.worst, null);
  assert.equal(history.worst("redundant", 0), null);
  assert.deepEqual(history.minutes("redundant-2"), []);
});

Deno.test("the worst since a moment is found, also the present minute", () => {
  const history = new MatchHistory(), note = noter(history);
  note(0, counts(0, 0, 100));
  note(3 * MINUTE_MS, counts(80, 20));
  note(4 * MINUTE_MS, counts(95, 5));
  assert.deepEqual(history.worst("redundant", T)?.worst, counts(0, 0, 100));
  assert.deepEqual(history.worst("redundant", T + MINUTE_MS)?.worst, counts(80, 20));
  assert.deepEqual(history.worst("redundant", T + 4 * MINUTE_MS)?.worst, counts(95, 5));
});

Deno.test("a day is kept, and a plane that counts from nothing again loses no copies by that", () => {
  const history = new MatchHistory(), note = noter(history);
  for (let i = 0; i < MINUTES_MAX + 50; i++) note(i * MINUTE_MS, counts(10), i < 100 ? i : i - 100);
  const minutes = history.minutes("redundant");
  assert.equal(minutes.length, MINUTES_MAX + 1);
  assert.ok(minutes.every(({ lostCopies }) => lostCopies <= 1));
});
