/** The bench of shadow and fix-up: what its turns amount to. */
import assert from "node:assert/strict";
import {
  latencyCells,
  latencyRows,
  SHADOW_HISTOGRAM,
  SHADOW_WAYS,
  type ShadowRound,
  type ShadowWay,
  speedCells,
  speedRows,
} from "../../../scripts/bench/shadow_score.ts";

const WAYS = Object.keys(SHADOW_WAYS) as ShadowWay[];
const NONE = { ns: NaN, all: [], calm: [], compared: 0, translated: 0 };

Deno.test("speedRows() takes a way's best turn, and compares turns of the same round", () => {
  // A slow machine in the second round: both ways are slowed alike.
  const ns = {
    neither: [100, 200, 100],
    shadow: [125, 250, 110],
    "fix-up": [200, 400, 200],
    both: [400, 800, 400],
  };
  const rounds = [0, 1, 2].flatMap((i) =>
    WAYS.map((way): ShadowRound => ({
      ...NONE,
      way,
      ns: ns[way][i]!,
      compared: way === "shadow" ? i / 10 : 0,
    }))
  );
  const rows = speedRows(rounds);
  assert.deepEqual(rows.map(({ way, ns, ratio }) => [way, ns, ratio]), [
    ["neither", 100, 1],
    ["shadow", 110, 0.8],
    ["fix-up", 200, 0.5],
    ["both", 400, 0.25],
  ]);
  assert.deepEqual(speedCells(rows)[2], ["shadow", "110.0", "0.80", "10 %", "0 %"]);
});

/** A histogram with so many frames in each of these steps. */
function histogram(steps: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: SHADOW_HISTOGRAM.steps }, (_, step) => steps[step] ?? 0);
}

Deno.test("latencyRows() takes the best calm turn of a way beside all its frames, and says where a share lies beyond what was looked at", () => {
  const last = SHADOW_HISTOGRAM.steps - 1;
  const turns = (way: ShadowWay): ShadowRound[] => [
    { ...NONE, way, all: histogram({ 4: 90, [last]: 10 }), calm: histogram({}) },
    { ...NONE, way, all: histogram({ 4: 100 }), calm: histogram({ 4: 98, 9: 2 }) },
    { ...NONE, way, all: histogram({ 9: 100 }), calm: histogram({ 6: 100 }) },
  ];
  const rows = latencyRows(WAYS.flatMap(turns));
  assert.deepEqual(rows.map(({ way }) => way), WAYS);
  assert.deepEqual(rows[1]!.shares, [
    { share: 0.5, bestNs: 1000, allNs: 1000 },
    { share: 0.99, bestNs: 1400, allNs: null },
    { share: 0.999, bestNs: 1400, allNs: null },
  ]);
  assert.deepEqual(latencyCells(rows)[1], ["neither", "1.0 (1.0)", "1.4 (> 409.4)", "1.4 (> 409.4)"]);
});
