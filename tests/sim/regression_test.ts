/**
 * Sequences that once went wrong, cut down from seeds of the simulation to what is needed.
 */
import assert from "node:assert/strict";
import { judgePoint, POINT_START, type PointInput } from "../../appliance/failover/point.ts";
import { Bench } from "./bench.ts";

Deno.test("reflex_judge() gives a box its time to answer a burst that follows a lost frame and a pause", async () => {
  using bench = await Bench.open();
  bench.reflex.put(0, 9, 1);
  bench.wait(30);
  bench.burst();
  assert.deepEqual(bench.turn(), []);
  bench.wait(1);
  bench.reflex.out(1, 20);
  assert.deepEqual(bench.turns(100), []);
});

Deno.test("reflex_judge() still judges silence when evidence comes late", async () => {
  using bench = await Bench.open();
  bench.reflex.put(0, 9, 1);
  bench.wait(30);
  bench.burst();
  assert.deepEqual(bench.turn(), []);
  bench.wait(9);
  assert.deepEqual(bench.turn(), []);
  bench.wait(1);
  assert.deepEqual(bench.turn(), ["primary dead (silence)", "switch primary -> redundant (silence)"]);
});

Deno.test("reflex_out() proves a box that serves on after its verdict, so that it is not left when reflexes are turned on", async () => {
  using bench = await Bench.open({ automatic: false });
  assert.deepEqual(bench.silence(), ["primary dead (silence)"]);
  bench.reflex.out(1, 7);
  assert.deepEqual(bench.turn(), []);
  bench.reflex.out(1, 1);
  assert.deepEqual(bench.turn(), ["primary alive (return)"]);
  bench.set({ automatic: true });
  assert.deepEqual(bench.turns(50), []);
  assert.equal(bench.path, "primary");
});

Deno.test("reflex_shadow() takes frames of the other way for no proof", async () => {
  using bench = await Bench.open();
  bench.silence();
  assert.equal(bench.path, "redundant");
  bench.shadow("primary", 0, 100);
  assert.deepEqual(bench.turn(), []);
  assert.equal(bench.alive("primary"), false);
  bench.shadow("primary", 1, 8);
  assert.deepEqual(bench.turn(), ["primary alive (return)"]);
});

Deno.test("reflex_judge() counts nothing that went in while silence was off", async () => {
  using bench = await Bench.open({ silenceNs: 0 });
  bench.burst();
  bench.turns(100);
  bench.set({ silenceNs: 10_000_000 });
  assert.deepEqual(bench.turns(100), []);
});

Deno.test("reflex_judge() counts nothing that went into a box without a link", async () => {
  using bench = await Bench.open({ automatic: false });
  bench.link("primary", "server", false);
  bench.burst();
  assert.deepEqual(bench.turns(50), ["primary dead (link)"]);
  bench.link("primary", "server", true);
  assert.deepEqual(bench.turns(50), ["primary alive (link)"]);
});

Deno.test("reflex_own_stall() does not let thin traffic add up", async () => {
  using bench = await Bench.open();
  for (let i = 0; i < 40; i++) {
    bench.reflex.put(0, i % 2, 1);
    bench.turn();
    bench.stall(50);
    assert.deepEqual(bench.turn(), []);
    assert.deepEqual(bench.turns(5), []);
  }
});

Deno.test("reflex_own_stall() excuses the node's own standing still, but not without end", async () => {
  using bench = await Bench.open();
  bench.burst();
  assert.deepEqual(bench.turn(), []);
  bench.stall(15);
  assert.deepEqual(bench.turns(9), []);
  assert.deepEqual(bench.turns(1), ["primary dead (silence)", "switch primary -> redundant (silence)"]);
  bench.burst();
  for (let i = 0; i < 20; i++) {
    bench.stall(10);
    bench.turn();
  }
  assert.equal(bench.alive("redundant"), false, "a node that is always late must notice all the same");
});

Deno.test("judgePoint() sees a death between two looks", () => {
  const config = { failback: "automatic", failbackAfterMs: 1000 } as const;
  const input: PointInput = {
    path: "redundant",
    alive: { primary: true, redundant: true },
    primaryDownNs: 5,
    suppressedUntilMs: null,
    ordered: false,
  };
  const first = judgePoint(POINT_START, input, config, 0);
  const second = judgePoint(first.state, { ...input, primaryDownNs: 6 }, config, 999);
  assert.equal(second.failback?.atMs, 1999);
  assert.equal(judgePoint(second.state, { ...input, primaryDownNs: 6 }, config, 1998).order, null);
  assert.equal(judgePoint(second.state, { ...input, primaryDownNs: 6 }, config, 1999).order, "primary");
});
