/** Detectors besides link and silence: what their lights do to a box. */
import assert from "node:assert/strict";
import { Bench } from "./bench.ts";

function isMove(text: string): boolean {
  return text.startsWith("switch") || text.includes("alive") || text.includes("dead");
}

Deno.test("a red detector moves traffic and is named as the cause, a yellow one does not", async () => {
  using bench = await Bench.open();
  bench.detect("primary", "probe", "green");
  bench.detect("primary", "probe", "yellow");
  assert.deepEqual(bench.turns(3).filter(isMove), []);
  bench.detect("primary", "probe", "red");
  assert.deepEqual(bench.turn().filter(isMove), [
    "primary dead (probe)",
    "switch primary -> redundant (probe)",
  ]);
  bench.detect("primary", "probe", "green");
  assert.deepEqual(bench.turn().filter(isMove), ["primary alive (return)"]);
  assert.equal(bench.path, "redundant");
});

Deno.test("with two votes needed one red detector is not enough, and weights add up", async () => {
  using bench = await Bench.open();
  bench.votes(2, { probe: 1, bfd: 1 });
  bench.detect("primary", "probe", "red");
  assert.deepEqual(bench.turns(3).filter(isMove), []);
  bench.detect("primary", "bfd", "red");
  assert.deepEqual(bench.turn().filter(isMove), [
    "primary dead (probe)",
    "switch primary -> redundant (probe)",
  ]);
});

Deno.test("what a detector said too long ago is no vote", async () => {
  using bench = await Bench.open();
  bench.votes(1, { probe: 1 }, 5);
  bench.detect("redundant", "probe", "red");
  assert.deepEqual(bench.turn().filter(isMove), ["redundant dead (probe)"]);
  assert.deepEqual(bench.turns(7).filter(isMove), ["redundant alive (return)"]);
});
