/** What the bench of matches makes of its runs. */
import assert from "node:assert/strict";
import { errorOf, matchBars, type MatchRun, matchTable } from "../../../scripts/bench/match_report.ts";
import { standing } from "../../../scripts/bench/statistics.ts";

const load = { average: 1, busy: 0.5, stolen: 0 };
const made = (more: Partial<MatchRun> = {}): MatchRun => ({
  kind: "nat",
  way: "both",
  flows: 300,
  compared: 300,
  equal: 300,
  alive: 300,
  load,
  ...more,
});

Deno.test("a prediction is held against what came of it, in points", () => {
  assert.equal(errorOf(made()), 0);
  assert.equal(errorOf(made({ equal: 297 })), 1);
  assert.equal(errorOf(made({ equal: 0, alive: 0 })), 0);
  assert.ok(Number.isNaN(errorOf(made({ compared: 0, equal: 0 }))));
});

Deno.test("what was not predicted has no bar for it, and only both ways together promise life", () => {
  const bars = matchBars([
    made({ alive: 299 }),
    made({ way: "seed", compared: 0, equal: 0 }),
    made({ way: "mirror", equal: 150 }),
  ]);
  assert.deepEqual(bars.map((bar) => [bar.what, standing(bar) >= 1]), [
    ["nat, both, alive", false],
    ["nat, both, prediction off by", true],
    ["nat, mirroring only, prediction off by", false],
  ]);
});

Deno.test("the table has a line for each run, and dashes for what is not known", () => {
  const lines = matchTable([made(), made({ way: "seed", compared: 0, equal: 0, alive: 150 })]).split("\n");
  assert.match(lines[1]!, /^nat +both +300 +300 +100\.0 % +100\.0 % +0\.0 points$/);
  assert.match(lines[2]!, /^nat +seeding only +300 +0 +- +50\.0 % +-$/);
});
