/** More than two boxes: who takes over, and what joining and leaving do. */
import assert from "node:assert/strict";
import { Bench } from "./bench.ts";

const moves = (told: readonly string[]) => told.filter((text) => text.startsWith("switch"));

Deno.test("the death of two boxes of three leads to the third, and the death of all to the dead policy", async () => {
  using bench = await Bench.open({}, 3);
  bench.link("primary", "both", false);
  assert.deepEqual(moves(bench.turn()), ["switch primary -> redundant (link)"]);
  assert.deepEqual(moves(bench.silence()), ["switch redundant -> redundant-2 (silence)"]);
  bench.link("redundant-2", "client", false);
  assert.deepEqual(moves(bench.turn()), ["switch redundant-2 -> wire (link)"]);
});

Deno.test("the lowest rank takes over, and equal ranks go by their number", async () => {
  using bench = await Bench.open({}, 4);
  bench.wait(100);
  bench.rank("redundant", 3);
  bench.rank("redundant-2", 2);
  bench.rank("redundant-3", 2);
  for (
    const [dies, next] of [["primary", "redundant-2"], ["redundant-2", "redundant-3"], [
      "redundant-3",
      "redundant",
    ]] as const
  ) {
    bench.link(dies, "both", false);
    assert.deepEqual(moves(bench.turn()), [`switch ${dies} -> ${next} (link)`]);
  }
});

Deno.test("a box that has been well for the hold-up goes before one of lower rank that has just returned", async () => {
  using bench = await Bench.open({}, 3);
  bench.rank("redundant", 100);
  bench.rank("redundant-2", 200);
  bench.wait(100);
  bench.link("redundant", "server", false);
  bench.link("redundant", "server", true);
  bench.turn();
  bench.link("primary", "both", false);
  assert.deepEqual(moves(bench.turn()), ["switch primary -> redundant-2 (link)"]);
});

Deno.test("a box that has left is not chosen, and one that joins only after the hold-up", async () => {
  using bench = await Bench.open({ holdUpNs: 30e6 }, 3);
  bench.member("redundant", false);
  assert.deepEqual(bench.turn(), ["redundant left", "redundant dead (order)"]);
  bench.link("primary", "both", false);
  assert.deepEqual(moves(bench.turn()), ["switch primary -> redundant-2 (link)"]);
  bench.member("redundant", true);
  assert.deepEqual(bench.turn(), ["redundant joined"]);
  bench.link("redundant-2", "both", false);
  assert.deepEqual(moves(bench.turns(28)), ["switch redundant-2 -> wire (link)"]);
  assert.deepEqual(moves(bench.turns(3)), ["switch wire -> redundant (return)"]);
});

Deno.test("the box that serves and leaves hands over if somebody is there, else it serves on", async () => {
  using bench = await Bench.open({}, 2);
  bench.member("redundant", false);
  bench.turn();
  bench.member("primary", false);
  assert.deepEqual(bench.turn(), ["primary left", "primary dead (order)"]);
  assert.equal(bench.path, "primary");
  bench.member("redundant", true);
  assert.deepEqual(moves(bench.turns(32)), ["switch primary -> redundant (order)"]);
});

Deno.test("an order to a box without ports is done, and moves nothing", async () => {
  using bench = await Bench.open({}, 2);
  const sequence = bench.order("redundant-2");
  assert.deepEqual(bench.turn(), []);
  assert.deepEqual([bench.path, bench.reflex.board.number("live.order_done")], ["primary", sequence]);
});
