/**
 * Every judgement of the reflexes, as two tables: how the serving box is, how the other one is, who serves then.
 *
 * Each table is run for both policies, for both boxes, and for each of the detectors that bring a box into a state.
 */
import assert from "node:assert/strict";
import { Bench } from "./bench.ts";
import { MS } from "./settings.ts";
import { BOXES, type BoxName, bring, causeOf, prepare, serve, type State, STATES } from "./states.ts";

type Outcome = "stays" | "other" | "dead";
const S = "stays", O = "other", D = "dead";

/** Rows: the serving box. Columns, in the order of STATES: the other box. "dead" is the dead policy. */
const TABLE: Readonly<Record<State, readonly Outcome[]>> = {
  //          alive suppressed doubtful proven silent no link
  "alive": [S, S, S, S, S, S],
  "suppressed": [S, S, S, S, S, S],
  "doubtful": [O, O, S, S, S, S],
  "proven": [O, O, O, D, D, D],
  "silent": [O, O, O, D, D, D],
  "no link": [O, O, O, D, D, D],
};

/** From wire or block, after the hold-up and before a silent box is tried again. Rows: primary, columns: redundant. */
const RETURNS: Readonly<Record<State, readonly (BoxName | "stays")[]>> = {
  "alive": Array<BoxName>(6).fill("primary"),
  "suppressed": ["redundant", ...Array<BoxName>(5).fill("primary")],
  "doubtful": ["redundant", "redundant", ...Array<BoxName>(4).fill("primary")],
  "proven": ["redundant", "redundant", "redundant", S, S, S],
  "silent": ["redundant", "redundant", "redundant", S, S, S],
  "no link": ["redundant", "redundant", "redundant", S, S, S],
};

function isSwitch(text: string): boolean {
  return text.startsWith("switch");
}

/** One cell: bring both boxes into their states, then let the reflexes act. */
async function tryCell(
  cell: { box: BoxName; serving: State; other: State; outcome: Outcome },
  policy: "wire" | "block",
  by: 0 | 1,
) {
  using bench = await Bench.open({ deadPath: policy });
  prepare(bench);
  const { box, serving, outcome } = cell;
  const other = box === "primary" ? "redundant" : "primary";
  bring(bench, other, cell.other, by);
  serve(bench, box);
  bring(bench, box, serving, by);
  const name = JSON.stringify({ ...cell, policy, by });
  const isAlive = (state: State) => state === "alive" || state === "suppressed";
  assert.equal(bench.alive(box), isAlive(serving), name);
  assert.equal(bench.alive(other), isAlive(cell.other), name);
  assert.deepEqual(bench.turn().filter(isSwitch), [], `automatic off: ${name}`);
  const would = bench.would;
  bench.set({ automatic: true });
  assert.equal(would, outcome === "stays" ? box : outcome === "other" ? other : policy, `would: ${name}`);
  const to = outcome === "other" ? other : policy;
  const expected = outcome === "stays" ? [] : [`switch ${box} -> ${to} (${causeOf(serving, by)})`];
  assert.deepEqual(bench.turn().filter(isSwitch), expected, name);
  assert.deepEqual(bench.turns(20), [], `settles: ${name}`);
}

for (const policy of ["wire", "block"] as const) {
  for (const box of BOXES) {
    Deno.test(`reflex_judge() moves by the table: ${box} serves, policy ${policy}`, async () => {
      for (const serving of STATES) {
        for (const [i, outcome] of TABLE[serving].entries()) {
          for (const by of [0, 1] as const) {
            await tryCell({ box, serving, other: STATES[i]!, outcome }, policy, by);
          }
        }
      }
    });
  }
  Deno.test(`reflex_judge() returns from ${policy} by the table`, async () => {
    for (const primary of STATES) {
      for (const [i, to] of RETURNS[primary].entries()) {
        using bench = await Bench.open({ deadPath: policy });
        prepare(bench);
        bring(bench, "primary", primary);
        bring(bench, "redundant", STATES[i]!);
        bench.order(policy);
        bench.turn();
        const name = JSON.stringify({ primary, redundant: STATES[i] });
        assert.equal(bench.path, policy, name);
        assert.deepEqual(bench.turns(40), [], `automatic off: ${name}`);
        assert.equal(bench.would, to === "stays" ? policy : to, `would: ${name}`);
        bench.set({ automatic: true });
        const told = bench.turn().filter(isSwitch);
        assert.deepEqual(told, to === "stays" ? [] : [`switch ${policy} -> ${to} (return)`], name);
      }
    }
  });
}

Deno.test("reflex_judge() lets a flapping primary move traffic once", async () => {
  using bench = await Bench.open();
  for (let i = 0; i < 200; i++) {
    bench.link("primary", i % 3 === 0 ? "both" : i % 3 === 1 ? "client" : "server", i % 2 === 1);
    bench.link("primary", "both", i % 2 === 1);
    bench.turns(1 + i % 7);
  }
  assert.equal(bench.switches, 1);
  assert.equal(bench.path, "redundant");
});

Deno.test("reflex_judge() takes a returning box only after the hold-up, and a silent one again after ten", async () => {
  using bench = await Bench.open({ holdUpNs: 30 * MS });
  bench.link("redundant", "both", false);
  bench.link("primary", "both", false);
  bench.turn();
  assert.equal(bench.path, "wire");
  bench.link("redundant", "both", true);
  assert.deepEqual(bench.turns(29), ["redundant alive (link)"]);
  assert.deepEqual(bench.turns(1), ["switch wire -> redundant (return)"]);
  // Alone, it is judged after ten silences, the first turn being the one that sees the evidence.
  const told: string[] = [];
  for (let i = 0; i < 100; i++) {
    bench.burst();
    told.push(...bench.turns(1));
  }
  assert.deepEqual(told, []);
  assert.deepEqual(bench.turns(1), ["redundant dead (silence)", "switch redundant -> wire (silence)"]);
  assert.deepEqual(bench.turns(300), []);
  assert.deepEqual(bench.turns(1), ["redundant alive (return)", "switch wire -> redundant (return)"]);
});
