/** When the node goes back to the primary by itself: never early, never after a death it did not see, never flapping. */
import assert from "node:assert/strict";
import {
  judgePoint,
  POINT_START,
  pointAfter,
  type PointConfig,
  type PointInput,
  type PointState,
} from "../../../appliance/failover/point.ts";
import { type Path, PATHS } from "../../../appliance/view.ts";

const AFTER_MS = 60_000;
const AUTOMATIC: PointConfig = { failback: "automatic", failbackAfterMs: AFTER_MS };
const MANUAL: PointConfig = { failback: "manual", failbackAfterMs: AFTER_MS };

function input(path: Path, primary: boolean, more: Partial<PointInput> = {}): PointInput {
  return {
    path,
    alive: { primary, redundant: true },
    switches: 1,
    primaryDownNs: 5,
    ordered: false,
    ...more,
  };
}

/** Looks at the same input once a second; returns when it ordered first. */
function firstOrder(
  state: PointState,
  given: PointInput,
  config: PointConfig,
  fromMs: number,
): { state: PointState; atMs: number | null } {
  let at = state;
  for (let ms = fromMs; ms <= fromMs + 70 * AFTER_MS; ms += 1000) {
    const verdict = judgePoint(at, given, config, ms);
    at = verdict.state;
    if (verdict.order !== null) {
      assert.equal(verdict.order, "primary");
      return { state: at, atMs: ms };
    }
  }
  return { state: at, atMs: null };
}

Deno.test("judgePoint() orders nothing but the way from a redundant box to a living primary, if it may", () => {
  for (const path of PATHS) {
    for (const primary of [true, false]) {
      for (const redundant of [true, false]) {
        for (const config of [AUTOMATIC, MANUAL]) {
          const given = input(path, primary, { alive: { primary, redundant } });
          const { atMs } = firstOrder(POINT_START, given, config, 0);
          const expected = path.startsWith("redundant") && primary && config === AUTOMATIC ? AFTER_MS : null;
          assert.equal(atMs, expected, JSON.stringify({ path, primary, redundant, ...config }));
        }
      }
    }
  }
});

Deno.test("judgePoint() says when the way back will open", () => {
  const verdict = judgePoint(POINT_START, input("redundant", true), AUTOMATIC, 1000);
  assert.equal(verdict.failbackAtMs, 1000 + AFTER_MS);
  assert.equal(judgePoint(POINT_START, input("redundant", false), AUTOMATIC, 1000).failbackAtMs, null);
  assert.equal(judgePoint(POINT_START, input("primary", true), AUTOMATIC, 1000).failbackAtMs, null);
});

Deno.test("judgePoint() begins to wait anew after every death of the primary, seen or not", () => {
  const alive = input("redundant", true), dead = input("redundant", false);
  const half = firstOrder(POINT_START, alive, { ...AUTOMATIC, failbackAfterMs: Infinity }, 0).state;
  const seen = judgePoint(judgePoint(half, dead, AUTOMATIC, 50_000).state, alive, AUTOMATIC, 51_000);
  assert.equal(seen.failbackAtMs, 51_000 + AFTER_MS);
  let state = judgePoint(POINT_START, alive, AUTOMATIC, 0).state;
  const unseen = judgePoint(state, { ...alive, primaryDownNs: 6 }, AUTOMATIC, 30_000);
  assert.equal(unseen.failbackAtMs, 30_000 + AFTER_MS, "it died and came back between two looks");
  state = unseen.state;
  assert.equal(judgePoint(state, { ...alive, primaryDownNs: 6 }, AUTOMATIC, 40_000).failbackAtMs, 90_000);
});

Deno.test("judgePoint() doubles the wait with every switch of the last quarter of an hour, up to 64 times", () => {
  for (const [switches, factor] of [[1, 1], [2, 2], [3, 4], [7, 64], [8, 64], [500, 64]] as const) {
    const given = input("redundant", true, { switches });
    const { failbackAtMs } = judgePoint(POINT_START, given, AUTOMATIC, 0);
    assert.equal(failbackAtMs, AFTER_MS * factor, `${switches} switches`);
  }
});

Deno.test("judgePoint() forgets switches after a quarter of an hour", () => {
  const given = input("redundant", true, { switches: 5 });
  const { state } = judgePoint(POINT_START, given, AUTOMATIC, 0);
  assert.equal(judgePoint(state, given, AUTOMATIC, 14 * 60_000).failbackAtMs, AFTER_MS * 16);
  assert.equal(judgePoint(state, given, AUTOMATIC, 15 * 60_000).order, "primary");
});

Deno.test("judgePoint() counts on when a new plane counts its switches from zero", () => {
  const before = judgePoint(POINT_START, input("redundant", true, { switches: 4 }), AUTOMATIC, 0).state;
  const anew = judgePoint(before, input("redundant", true, { switches: 0 }), AUTOMATIC, 1000);
  assert.equal(anew.state.switchedMs.length, 4, "nothing new");
  const more = judgePoint(anew.state, input("redundant", true, { switches: 1 }), AUTOMATIC, 2000);
  assert.equal(more.state.switchedMs.length, 5);
});

Deno.test("judgePoint() keeps a bounded memory over any number of switches", () => {
  let state = POINT_START;
  for (let switches = 1; switches < 1000; switches++) {
    state = judgePoint(state, input("redundant", false, { switches }), AUTOMATIC, switches).state;
  }
  assert.ok(state.switchedMs.length <= 32);
});

Deno.test("judgePoint() leaves alone what a person moved", () => {
  const given = input("redundant", true, { ordered: true });
  assert.equal(firstOrder(POINT_START, given, AUTOMATIC, 0).atMs, null);
});

Deno.test("pointAfter() takes earlier switches at their own times, not as new ones", () => {
  const old = pointAfter(3, [0, 1000, 2000]);
  const late = judgePoint(old, input("redundant", true, { switches: 3 }), AUTOMATIC, 20 * 60_000);
  assert.equal(late.failbackAtMs, 20 * 60_000 + AFTER_MS, "they are forgotten by then");
  const soon = judgePoint(old, input("redundant", true, { switches: 3 }), AUTOMATIC, 60_000);
  assert.equal(soon.failbackAtMs, 60_000 + AFTER_MS * 4);
});
