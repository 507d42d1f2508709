/** A check's state: rise and fall, what a late control has seen, and what nobody has renewed. */
import assert from "node:assert/strict";
import {
  CHECK_START,
  type CheckRules,
  type CheckState,
  type Fault,
  lateBarMs,
  lightNow,
  noteOutcome,
  worstOf,
} from "../../../appliance/failover/check.ts";
import { checkDetail } from "../../../appliance/detector_view.ts";

const RULES: CheckRules = { intervalMs: 1000, timeoutMs: 400, rise: 2, fall: 3 };

/** One letter an outcome, one a second: g good, b bad, l bad while control was late, o bad by the node's own fault. */
function run(outcomes: string, rules = RULES): CheckState {
  const fault: Readonly<Record<string, Fault>> = {
    g: "none",
    b: "timeout",
    l: "timeout",
    o: "not_permitted",
  };
  return [...outcomes].reduce((state, letter, i) => {
    const lateMs = letter === "l" ? lateBarMs(rules) + 1 : 0;
    return noteOutcome(state, { fault: fault[letter]!, atMs: i * 1000, lateMs }, rules);
  }, CHECK_START);
}

Deno.test("noteOutcome() falls after so many failures in a row and rises after so many answers", () => {
  const table: readonly (readonly [string, CheckState["light"]])[] = [
    ["", "off"],
    ["g", "green"],
    ["b", "off"],
    ["bb", "off"],
    ["bbb", "red"],
    ["gb", "yellow"],
    ["gbb", "yellow"],
    ["gbbg", "green"],
    ["gbbgbb", "yellow"],
    ["gbbb", "red"],
    ["gbbbg", "red"],
    ["gbbbgb", "red"],
    ["gbbbgbg", "red"],
    ["gbbbgg", "green"],
  ];
  for (const [outcomes, light] of table) assert.equal(run(outcomes).light, light, outcomes);
});

Deno.test("noteOutcome() takes a failure that control was too late to see for no evidence", () => {
  assert.equal(run("gllllll").light, "green");
  assert.equal(run("gbblllg").light, "green");
  assert.equal(run("gbblb").light, "red", "neither for nor against: the row goes on");
  assert.equal(run("glll").excused, 3);
  assert.equal(run("glll").failed, 0);
});

Deno.test("noteOutcome() blames no box for what the node lacks", () => {
  assert.equal(run("ooooo").light, "off");
  assert.equal(run("gooooo").light, "green");
});

Deno.test("lightNow() knows nothing once three rounds were missed", () => {
  const state = run("gbbb");
  assert.equal(lightNow(state, RULES, 3000 + 3 * 1400), "red");
  assert.equal(lightNow(state, RULES, 3001 + 3 * 1400), "off");
  assert.equal(lightNow(run("gllllll"), RULES, 6000), "off", "what does not count renews nothing");
});

Deno.test("worstOf() is the worst, and names the first of equals", () => {
  const of = (...lights: CheckState["light"][]) => worstOf(lights.map((light) => ({ light, fault: "none" })));
  assert.deepEqual([of().light, of("off", "green").worst], ["off", 1]);
  assert.deepEqual([of("green", "yellow", "red", "red").light, of("green", "yellow", "red", "red").worst], [
    "red",
    2,
  ]);
  assert.equal(of("off", "off").light, "off");
});

Deno.test("checkDetail() keeps which check and which fault apart", () => {
  const all = new Set<number>();
  for (let index = 0; index < 32; index++) {
    for (const fault of ["none", "timeout", "other"] as const) all.add(checkDetail(index, fault));
  }
  assert.equal(all.size, 96);
});
