/** When the node goes back to the primary by itself: never early, never after a death it did not see, never flapping. */
import assert from "node:assert/strict";
import {
  judgePoint,
  POINT_START,
  type PointConfig,
  type PointInput,
  type PointState,
} from "../../../appliance/failover/point.ts";
import { parseWindow } from "../../../appliance/failover/window.ts";
import { type Path, PATHS } from "../../../appliance/view.ts";

const AFTER_MS = 60_000;
const AUTOMATIC: PointConfig = { failback: "automatic", failbackAfterMs: AFTER_MS };
const MANUAL: PointConfig = { failback: "manual", failbackAfterMs: AFTER_MS };

function input(path: Path, primary: boolean, more: Partial<PointInput> = {}): PointInput {
  return {
    path,
    alive: { primary, redundant: true },
    suppressedUntilMs: null,
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
  assert.equal(verdict.failback?.atMs, 1000 + AFTER_MS);
  assert.equal(judgePoint(POINT_START, input("redundant", false), AUTOMATIC, 1000).failback, null);
  assert.equal(judgePoint(POINT_START, input("primary", true), AUTOMATIC, 1000).failback, null);
});

Deno.test("judgePoint() begins to wait anew after every death of the primary, seen or not", () => {
  const alive = input("redundant", true), dead = input("redundant", false);
  const half = firstOrder(POINT_START, alive, { ...AUTOMATIC, failbackAfterMs: Infinity }, 0).state;
  const seen = judgePoint(judgePoint(half, dead, AUTOMATIC, 50_000).state, alive, AUTOMATIC, 51_000);
  assert.equal(seen.failback?.atMs, 51_000 + AFTER_MS);
  let state = judgePoint(POINT_START, alive, AUTOMATIC, 0).state;
  const unseen = judgePoint(state, { ...alive, primaryDownNs: 6 }, AUTOMATIC, 30_000);
  assert.equal(unseen.failback?.atMs, 30_000 + AFTER_MS, "it died and came back between two looks");
  state = unseen.state;
  assert.equal(judgePoint(state, { ...alive, primaryDownNs: 6 }, AUTOMATIC, 40_000).failback?.atMs, 90_000);
});

Deno.test("judgePoint() leaves a suppressed primary alone, and says until when", () => {
  const given = input("redundant", true, { suppressedUntilMs: 10 * AFTER_MS });
  assert.equal(judgePoint(POINT_START, given, AUTOMATIC, 0).failback?.atMs, 10 * AFTER_MS);
  const { state, atMs } = firstOrder(POINT_START, given, AUTOMATIC, 0);
  assert.equal(atMs, null, "it is control that ends a suppression, not the hour it was foretold for");
  assert.equal(judgePoint(state, input("redundant", true), AUTOMATIC, 80 * AFTER_MS).order, "primary");
});

Deno.test("judgePoint() leaves alone what a person moved", () => {
  const given = input("redundant", true, { ordered: true });
  assert.equal(firstOrder(POINT_START, given, AUTOMATIC, 0).atMs, null);
});

Deno.test("judgePoint() goes back in the hours it is given only, and not after them either", () => {
  const config = { ...AUTOMATIC, window: parseWindow("02:00-04:00") };
  const at = (text: string) => new Date(`2026-03-10T${text}`).getTime();
  const given = input("redundant", true);
  const evening = judgePoint(POINT_START, given, config, at("00:10"));
  assert.deepEqual([evening.order, evening.failback?.atMs], [null, at("02:00")]);
  const late = judgePoint(evening.state, given, config, at("05:00"));
  assert.deepEqual([late.order, late.failback?.atMs], [null, at("02:00") + 24 * 3_600_000]);
  assert.equal(judgePoint(evening.state, given, config, at("02:00")).order, "primary");
});
