/**
 * Every judgement of the reflexes, as one table: who serves and how it is, how the other box is, what was asked for.
 *
 * A row is a state of the serving box and of the other one; the columns are what happens with automatic on and off.
 * "dead" stands for the dead policy, and the whole table is run for both policies and for both boxes.
 */
import assert from "node:assert/strict";
import { Bench } from "./bench.ts";
import { MS } from "./settings.ts";

const STATES = ["alive", "no link", "silent"] as const;
type State = (typeof STATES)[number];
const BOXES = ["primary", "redundant"] as const;
type BoxName = (typeof BOXES)[number];

type Outcome = "stays" | "other by link" | "other by silence" | "dead by link" | "dead by silence";
interface Row {
  readonly serving: State;
  readonly other: State;
  readonly automatic: Outcome;
}

/** With automatic off, or with an outcome of "stays", nothing moves. */
const TABLE: readonly Row[] = [
  { serving: "alive", other: "alive", automatic: "stays" },
  { serving: "alive", other: "no link", automatic: "stays" },
  { serving: "alive", other: "silent", automatic: "stays" },
  { serving: "no link", other: "alive", automatic: "other by link" },
  { serving: "no link", other: "no link", automatic: "dead by link" },
  { serving: "no link", other: "silent", automatic: "dead by link" },
  { serving: "silent", other: "alive", automatic: "other by silence" },
  { serving: "silent", other: "no link", automatic: "dead by silence" },
  { serving: "silent", other: "silent", automatic: "dead by silence" },
];

interface Return {
  readonly primary: State;
  readonly redundant: State;
  readonly to: "primary" | "redundant" | "stays";
}

/** From wire or block, after the hold-up and before a silent box is tried again. */
const RETURNS: readonly Return[] = [
  { primary: "alive", redundant: "alive", to: "primary" },
  { primary: "alive", redundant: "no link", to: "primary" },
  { primary: "alive", redundant: "silent", to: "primary" },
  { primary: "no link", redundant: "alive", to: "redundant" },
  { primary: "no link", redundant: "no link", to: "stays" },
  { primary: "no link", redundant: "silent", to: "stays" },
  { primary: "silent", redundant: "alive", to: "redundant" },
  { primary: "silent", redundant: "no link", to: "stays" },
  { primary: "silent", redundant: "silent", to: "stays" },
];

/** No verdict of silence falls after the box was brought into its state. */
const LONG = 1000 * MS;

/** Let the serving box be judged silent; reflexes only report meanwhile. */
function hush(bench: Bench): void {
  bench.set({ automatic: false, silenceNs: MS });
  for (let i = 0; i < 15; i++) {
    bench.burst();
    bench.wait(1);
    bench.turn();
  }
  bench.set({ silenceNs: LONG });
}

/** Bring a box that does not serve into a state by making it serve for a while. */
function prepare(bench: Bench, box: BoxName, state: State): void {
  bench.set({ automatic: false });
  if (state === "silent") {
    bench.order(box);
    bench.turn();
    hush(bench);
  } else if (state === "no link") {
    bench.link(box, "server", false);
  }
  bench.turn();
}

function serve(bench: Bench, box: BoxName): void {
  bench.order(box);
  bench.turn();
  assert.equal(bench.path, box);
}

function expected(row: Row, box: BoxName, policy: "wire" | "block"): string[] {
  if (row.automatic === "stays") return [];
  const [where, , cause] = row.automatic.split(" ");
  const other = box === "primary" ? "redundant" : "primary";
  return [`switch ${box} -> ${where === "other" ? other : policy} (${cause})`];
}

for (const policy of ["wire", "block"] as const) {
  for (const box of BOXES) {
    Deno.test(`reflex_judge() moves by the table: ${box} serves, policy ${policy}`, async () => {
      const other = box === "primary" ? "redundant" : "primary";
      for (const row of TABLE) {
        using bench = await Bench.open({ deadPath: policy, automatic: false });
        prepare(bench, other, row.other);
        serve(bench, box);
        if (row.serving === "silent") hush(bench);
        else if (row.serving === "no link") bench.link(box, "client", false);
        const name = JSON.stringify(row);
        assert.equal(bench.alive(box), row.serving === "alive", name);
        assert.equal(bench.alive(other), row.other === "alive", name);
        assert.deepEqual(bench.turn().filter(isSwitch), [], `automatic off: ${name}`);
        bench.set({ automatic: true });
        assert.deepEqual(bench.turn().filter(isSwitch), expected(row, box, policy), name);
        assert.deepEqual(bench.turns(20), [], `settles: ${name}`);
      }
    });
  }
  Deno.test(`reflex_judge() returns from ${policy} by the table`, async () => {
    for (const row of RETURNS) {
      using bench = await Bench.open({ deadPath: policy, automatic: false });
      for (const box of BOXES) prepare(bench, box, row[box]);
      bench.order(policy);
      bench.turn();
      const name = JSON.stringify(row);
      assert.equal(bench.path, policy, name);
      assert.deepEqual(bench.turns(40), [], `automatic off: ${name}`);
      bench.set({ automatic: true });
      const told = bench.turn().filter(isSwitch);
      assert.deepEqual(told, row.to === "stays" ? [] : [`switch ${policy} -> ${row.to} (return)`], name);
    }
  });
}

function isSwitch(text: string): boolean {
  return text.startsWith("switch");
}

Deno.test("the tables have every pair of states once", () => {
  const all = STATES.flatMap((one) => STATES.map((two) => `${one}/${two}`)).sort();
  assert.deepEqual(TABLE.map((row) => `${row.serving}/${row.other}`).sort(), all);
  assert.deepEqual(RETURNS.map((row) => `${row.primary}/${row.redundant}`).sort(), all);
});

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
