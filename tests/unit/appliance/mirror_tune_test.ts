/** The curve of a tuning: what beats what, where it bends, what fits a budget; and the judge that needs no IDS. */
import assert from "node:assert/strict";
import {
  type Candidate,
  front,
  GRID,
  gridRules,
  knee,
  readShare,
  withinBudget,
} from "../../../appliance/mirror_tune.ts";
import { filterRule } from "../../../filter/rule.ts";

const candidate = (name: string, byteShare: number, kept: number): Candidate => ({
  rule: filterRule({ name }),
  byteShare,
  packetShare: byteShare,
  kept,
});
const names = (candidates: readonly Candidate[]) => candidates.map(({ rule }) => rule.name).join(" ");
const CURVE = [
  candidate("dear", 0.5, 1),
  candidate("cheap", 0.01, 0.2),
  candidate("bend", 0.05, 0.9),
  candidate("beaten", 0.2, 0.85),
  candidate("late", 0.3, 0.95),
  candidate("twin", 0.05, 0.7),
];

Deno.test("gridRules() has every combination once, under its own name", () => {
  const rules = gridRules();
  assert.equal(rules.length, GRID.firstPackets.length * GRID.firstBytes.length * GRID.turnBytes.length);
  assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
});

Deno.test("front() leaves out what costs as much and keeps less", () => {
  assert.equal(names(front(CURVE)), "cheap bend late dear");
  assert.equal(names(front([])), "");
});

Deno.test("knee() is where the curve bends; of two points the last, of none nothing", () => {
  assert.equal(knee(CURVE)!.rule.name, "bend");
  assert.equal(knee(CURVE.slice(0, 2))!.rule.name, "dear");
  assert.equal(knee([CURVE[0]!])!.rule.name, "dear");
  assert.equal(knee([]), undefined);
});

Deno.test("withinBudget() keeps most for the money", () => {
  assert.equal(withinBudget(CURVE, 0.05)!.rule.name, "bend");
  assert.equal(withinBudget(CURVE, 0.049)!.rule.name, "cheap");
  assert.equal(withinBudget(CURVE, 0.001), undefined);
});

Deno.test("readShare() takes percent with or without its sign, and nothing else", () => {
  assert.equal(readShare("5%"), 0.05);
  assert.equal(readShare("12.5"), 0.125);
  assert.equal(readShare("100 %"), 1);
  for (const text of ["", "0", "-1", "101%", "5 of 100", "1e1", "x"]) {
    assert.equal(readShare(text), undefined, text);
  }
});
