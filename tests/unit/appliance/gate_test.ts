/** The gate on the way back: what it lets through, how long it waits, and what comes then. */
import assert from "node:assert/strict";
import { type GateRules, type GateSeen, judgeGate, waitText } from "../../../appliance/failover/gate.ts";
import {
  judgePoint,
  POINT_START,
  type PointConfig,
  type PointInput,
} from "../../../appliance/failover/point.ts";
import { parseWindow } from "../../../appliance/failover/window.ts";

const RULES: GateRules = { matchMin: 95, flowsMin: 10, waitMsMax: 600_000, overdue: "go" };
const seen = (known: number, live: number, unknown = 0): GateSeen => ({ known, live, unknown });

Deno.test("judgeGate() opens for a good match, for next to nothing to lose, and where nobody asks", () => {
  const table: [string, GateSeen | null, Partial<GateRules>, boolean][] = [
    ["good", seen(230, 219), {}, true],
    ["just below", seen(230, 218), {}, false],
    ["bad", seen(230, 163), {}, false],
    ["few flows", seen(9, 0), {}, true],
    ["few of any kind", seen(4, 0, 5), {}, true],
    ["few compared, many not", seen(9, 9, 200), {}, false],
    ["none compared, many not", seen(0, 0, 200), {}, false],
    ["enough compared, many not", seen(10, 10, 200), {}, true],
    ["off", seen(230, 0), { matchMin: 0 }, true],
    ["not known", null, {}, true],
  ];
  for (const [name, match, rules, open] of table) {
    const { wait, overdue } = judgeGate(match, { ...RULES, ...rules }, { sinceMs: 0, nowMs: 1000 });
    assert.deepEqual([wait === null, overdue], [open, false], name);
  }
});

Deno.test("judgeGate() lets the wait end as the policy says", () => {
  const bad = seen(230, 163);
  const at = (overdue: "go" | "stay", nowMs: number) =>
    judgeGate(bad, { ...RULES, overdue }, { sinceMs: 1000, nowMs });
  assert.deepEqual(at("go", 600_999), {
    wait: { sinceMs: 1000, goesAtMs: 601_000, ...bad, wanted: 95 },
    overdue: false,
  });
  assert.deepEqual(at("go", 601_000), { wait: null, overdue: true });
  assert.deepEqual(at("stay", 601_000), {
    wait: { sinceMs: 1000, goesAtMs: null, ...bad, wanted: 95 },
    overdue: true,
  });
});

Deno.test("waitText() says what is there and what is wanted", () => {
  assert.equal(waitText({ ...seen(230, 163), wanted: 95 }), "match 70.9 % of 230, wants 95 %");
  assert.equal(
    waitText({ ...seen(0, 0, 40), wanted: 95 }),
    "no flow compared yet (40 not compared), wants 95 %",
  );
});

const CONFIG: PointConfig = { failback: "automatic", failbackAfterMs: 60_000, gate: RULES };
const INPUT: PointInput = {
  path: "redundant",
  alive: { primary: true, redundant: true },
  primaryDownNs: 5,
  suppressedUntilMs: null,
  ordered: false,
};

/** Looks once a second while `match` says what is seen at that second; at which it goes back. */
function goesBackAt(match: (s: number) => GateSeen, config = CONFIG, until = 2_000): number | null {
  let state = POINT_START;
  for (let s = 0; s <= until; s++) {
    const verdict = judgePoint(state, { ...INPUT, match: match(s) }, config, 1000 * s);
    if (verdict.order !== null) return s;
    state = verdict.state;
  }
  return null;
}

Deno.test("judgePoint() goes back when time and match allow it, whichever comes last", () => {
  assert.equal(goesBackAt(() => seen(230, 230)), 60);
  assert.equal(goesBackAt((s) => seen(230, Math.min(230, s))), 219);
  assert.equal(goesBackAt(() => seen(230, 0)), 660);
  assert.equal(goesBackAt(() => seen(230, 0), { ...CONFIG, gate: { ...RULES, overdue: "stay" } }), null);
  const { gate: _, ...blind } = CONFIG;
  assert.equal(goesBackAt(() => seen(230, 0), blind), 60);
});

Deno.test("judgePoint() says what it waits for, and begins anew with every death", () => {
  const bad = { ...INPUT, match: seen(230, 163) };
  const first = judgePoint(POINT_START, bad, CONFIG, 0);
  assert.deepEqual(first.failback, { atMs: 60_000, wait: null });
  const due = judgePoint(first.state, bad, CONFIG, 60_000);
  assert.equal(due.failback?.wait?.goesAtMs, 660_000);
  const died = judgePoint(due.state, { ...bad, primaryDownNs: 6 }, CONFIG, 100_000);
  assert.deepEqual(died.failback, { atMs: 160_000, wait: null });
  assert.equal(
    judgePoint(died.state, { ...bad, primaryDownNs: 6 }, CONFIG, 160_000).failback?.wait?.sinceMs,
    160_000,
  );
});

Deno.test("judgePoint() waits on over the hours in which it may not go, and goes in the next ones", () => {
  const config = { ...CONFIG, failbackAfterMs: 0, window: parseWindow("02:00-02:05") };
  const at = (text: string) => new Date(`2026-03-10T${text}`).getTime();
  const bad = { ...INPUT, match: seen(230, 163) };
  let state = judgePoint(POINT_START, bad, config, at("02:01")).state;
  const closed = judgePoint(state, bad, config, at("02:20"));
  assert.deepEqual([closed.order, closed.failback?.wait], [null, null]);
  state = closed.state;
  assert.equal(judgePoint(state, bad, config, at("02:00") + 24 * 3_600_000).order, "primary");
});
