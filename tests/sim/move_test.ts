/** A planned switch waits until the old box has handed over what it holds. */
import assert from "node:assert/strict";
import { Bench } from "./bench.ts";
import { MS } from "./settings.ts";

function done(bench: Bench): number {
  return bench.reflex.board.number("live.order_done");
}

async function moving(): Promise<{ bench: Bench; order: number }> {
  const bench = await Bench.open();
  bench.reflex.board.setNumber("command.pause_ns", 20 * MS);
  bench.wait(5);
  const order = bench.order("redundant");
  assert.deepEqual(bench.turn(), []);
  return { bench, order };
}

Deno.test("an order waits for a millisecond in which the old box hands over nothing", async () => {
  const { bench, order } = await moving();
  using _ = bench;
  for (let ms = 0; ms < 5; ms++) {
    bench.wait(0.9);
    bench.reflex.out(1, 1);
    assert.deepEqual(bench.turn(), []);
    assert.notEqual(done(bench), order);
  }
  bench.wait(1);
  assert.deepEqual(bench.turn(), ["switch primary -> redundant (order 1)"]);
  assert.equal(done(bench), order);
});

Deno.test("an order waits no longer than it may", async () => {
  const { bench } = await moving();
  using _ = bench;
  const told: string[] = [];
  for (let ms = 0; ms < 19.5; ms += 0.5) {
    bench.reflex.out(1, 1);
    bench.wait(0.5);
    told.push(...bench.turn());
  }
  assert.deepEqual(told, []);
  bench.reflex.out(1, 1);
  bench.wait(0.5);
  assert.deepEqual(bench.turn(), ["switch primary -> redundant (order 1)"]);
});

Deno.test("the node's own stall is neither quiet nor part of the wait", async () => {
  const { bench } = await moving();
  using _ = bench;
  bench.wait(0.5);
  bench.reflex.out(1, 1);
  assert.deepEqual(bench.turn(), []);
  bench.wait(50);
  bench.reflex.stall(50 * MS);
  const told = (seen: readonly string[]) => seen.filter((text) => text.startsWith("switch"));
  assert.deepEqual(told(bench.turn()), []);
  for (let ms = 0; ms < 19; ms += 0.5) {
    bench.reflex.out(1, 1);
    bench.wait(0.5);
    assert.deepEqual(told(bench.turn()), []);
  }
  bench.reflex.out(1, 1);
  bench.wait(1);
  assert.deepEqual(told(bench.turn()), ["switch primary -> redundant (order 1)"]);
});

Deno.test("a node that stands still all the time ends the wait in four times its length", async () => {
  const { bench } = await moving();
  using _ = bench;
  const told: string[] = [];
  let ms = 0;
  for (; ms < 400 && !told.some((text) => text.startsWith("switch")); ms += 10) {
    bench.reflex.out(1, 1);
    bench.wait(10);
    bench.reflex.stall(10 * MS);
    told.push(...bench.turn());
  }
  assert.equal(ms, 80);
});

Deno.test("a box that dies while traffic waits ends the wait: the old one by reflex, the new one by staying", async () => {
  const old = await moving();
  using _ = old.bench;
  old.bench.link("primary", "client", false);
  assert.deepEqual(old.bench.turn(), ["primary dead (link)", "switch primary -> redundant (link)"]);
  assert.equal(done(old.bench), old.order);
  const fresh = await moving();
  using __ = fresh.bench;
  fresh.bench.link("redundant", "client", false);
  assert.deepEqual(fresh.bench.turns(5), ["redundant dead (link)"]);
  assert.deepEqual([done(fresh.bench), fresh.bench.path], [fresh.order, "primary"]);
});

Deno.test("a later order counts, and one to where the traffic is ends the wait", async () => {
  const { bench } = await moving();
  using _ = bench;
  const back = bench.order("primary");
  assert.deepEqual(bench.turns(10), []);
  assert.deepEqual([done(bench), bench.path], [back, "primary"]);
});

Deno.test("an order away from a dead box does not wait", async () => {
  using bench = await Bench.open({ automatic: false });
  bench.reflex.board.setNumber("command.pause_ns", 20 * MS);
  bench.link("primary", "both", false);
  bench.turn();
  bench.order("redundant");
  assert.deepEqual(bench.turn(), ["switch primary -> redundant (order 1)"]);
});
