/**
 * Detectors besides link and silence: what their lights do to a box, when they count, and when no longer.
 *
 * What a box in each state does to traffic is a table of its own (transitions_test.ts).
 */
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

Deno.test("every detector is heard, each by its weight: one short of what is needed is not enough", async () => {
  const voters = ["probe", "bfd", "grey", "check"] as const;
  for (let needed = 1; needed <= 8; needed++) {
    for (let bits = 1; bits < 1 << voters.length; bits++) {
      using bench = await Bench.open();
      bench.votes(needed, { probe: 1, bfd: 2, grey: 3, check: 2 });
      const red = voters.filter((_, i) => bits >> i & 1);
      const sum = red.reduce((total, voter) => total + { probe: 1, bfd: 2, grey: 3, check: 2 }[voter], 0);
      for (const voter of red) bench.detect("primary", voter, "red");
      const expected = sum >= needed ? [`switch primary -> redundant (${red[0]})`] : [];
      assert.deepEqual(
        bench.turn().filter((text) => text.startsWith("switch")),
        expected,
        `${red} of ${needed}`,
      );
    }
  }
});

Deno.test("a detector without weight is shown and moves nothing", async () => {
  using bench = await Bench.open();
  bench.votes(1, { probe: 1 });
  bench.detect("primary", "grey", "red");
  assert.deepEqual(bench.turns(5).filter(isMove), []);
  assert.equal(bench.light("primary", "grey"), "red");
});

Deno.test("a change of the votes needed is heard at once, in both directions", async () => {
  using bench = await Bench.open();
  bench.votes(2, { probe: 1 });
  bench.detect("redundant", "probe", "red");
  assert.deepEqual(bench.turn().filter(isMove), []);
  bench.votes(1, { probe: 1 });
  assert.deepEqual(bench.turn().filter(isMove), ["redundant dead (probe)"]);
  bench.votes(2, { probe: 1 });
  assert.deepEqual(bench.turn().filter(isMove), ["redundant alive (return)"]);
});

Deno.test("a check that control no longer repeats is no vote, and one that it repeats stays", async () => {
  using bench = await Bench.open();
  bench.votes(1, { check: 1 }, 50);
  for (let i = 0; i < 30; i++) {
    bench.check("redundant", "red");
    bench.turns(10);
    assert.equal(bench.alive("redundant"), false);
  }
  assert.deepEqual(bench.turns(60).filter(isMove), ["redundant alive (return)"]);
  assert.equal(bench.light("redundant", "check"), "off");
});

Deno.test("time in which the node stood still makes nothing stale, though not without end", async () => {
  using bench = await Bench.open();
  bench.votes(1, { probe: 1 }, 50);
  bench.detect("redundant", "probe", "red");
  bench.turn();
  bench.stall(80);
  assert.deepEqual(bench.turn().filter(isMove), []);
  assert.deepEqual(bench.turns(49).filter(isMove), []);
  assert.deepEqual(bench.turns(2).filter(isMove), ["redundant alive (return)"]);
  bench.detect("redundant", "probe", "red");
  bench.turn();
  const told: string[] = [];
  for (let i = 0; i < 10; i++) {
    bench.stall(30);
    told.push(...bench.turn());
  }
  assert.deepEqual(
    told.filter(isMove),
    ["redundant alive (return)"],
    "a node that is always late must notice",
  );
});

Deno.test("the last box is left for what proves that nothing passes, and only when that lasts", async () => {
  using bench = await Bench.open();
  bench.votes(2, { probe: 1, bfd: 1, check: 2 });
  bench.last(["probe", "bfd"], 100);
  bench.link("redundant", "both", false);
  bench.turn();
  bench.detect("primary", "check", "red");
  assert.deepEqual(
    bench.turns(300).filter(isMove),
    ["primary dead (check)"],
    "a doubtful box is better than none",
  );
  bench.detect("primary", "probe", "red");
  assert.deepEqual(bench.turns(300).filter(isMove), [], "one of the two votes that proof needs");
  bench.detect("primary", "bfd", "red");
  assert.deepEqual(bench.turns(50).filter(isMove), []);
  bench.detect("primary", "bfd", "yellow");
  bench.turns(10);
  bench.detect("primary", "bfd", "red");
  assert.deepEqual(bench.turns(99).filter(isMove), [], "it has to last without a break");
  assert.deepEqual(bench.turns(1).filter(isMove), ["switch primary -> wire (probe)"]);
});

Deno.test("a doubtful last box that falls silent is left like any other", async () => {
  using bench = await Bench.open();
  bench.votes(1, { check: 1 });
  bench.link("redundant", "both", false);
  bench.detect("primary", "check", "red");
  bench.turn();
  const told: string[] = [];
  for (let i = 0; i < 110; i++) {
    bench.burst();
    told.push(...bench.turns(1));
  }
  assert.deepEqual(told.filter(isMove), ["switch primary -> wire (silence)"]);
});

Deno.test("traffic leaves a doubtful box as soon as another one is alive", async () => {
  using bench = await Bench.open();
  bench.votes(1, { grey: 1 });
  bench.detect("primary", "grey", "red");
  bench.detect("redundant", "grey", "red");
  assert.deepEqual(bench.turns(20).filter((text) => text.startsWith("switch")), []);
  bench.detect("redundant", "grey", "green");
  assert.deepEqual(bench.turn().filter(isMove), [
    "redundant alive (return)",
    "switch primary -> redundant (grey)",
  ]);
});

Deno.test("a forced order to an outvoted box holds, until the same detector is red anew", async () => {
  using bench = await Bench.open();
  bench.votes(1, { probe: 1, check: 1 });
  bench.detect("redundant", "probe", "red");
  bench.turn();
  bench.order("redundant", true);
  assert.deepEqual(bench.turn().filter(isMove), [
    "redundant alive (order)",
    "switch primary -> redundant (order 1)",
  ]);
  assert.deepEqual(bench.turns(500).filter(isMove), []);
  bench.detect("redundant", "probe", "off");
  bench.detect("redundant", "probe", "red");
  assert.deepEqual(
    bench.turns(5).filter(isMove),
    [],
    "a detector that was gone for a while tells nothing new",
  );
  bench.detect("redundant", "probe", "green");
  assert.deepEqual(bench.turns(5).filter(isMove), []);
  bench.detect("redundant", "probe", "red");
  assert.deepEqual(bench.turn().filter(isMove), [
    "redundant dead (probe)",
    "switch redundant -> primary (probe)",
  ]);
});

Deno.test("a forced order is ended by a new death of any kind, and by the next order", async () => {
  for (const end of ["check", "link", "order"] as const) {
    using bench = await Bench.open();
    bench.votes(1, { probe: 1, check: 1 });
    bench.detect("redundant", "probe", "red");
    bench.turn();
    bench.order("redundant", true);
    bench.turns(10);
    if (end === "check") bench.detect("redundant", "check", "red");
    else if (end === "link") bench.link("redundant", "client", false);
    else bench.order("primary");
    bench.turn();
    assert.equal(bench.path, "primary", end);
    assert.equal(bench.alive("redundant"), false, "what it overruled counts again");
  }
});

Deno.test("an order that was not forced overrules nobody", async () => {
  using bench = await Bench.open();
  bench.votes(1, { probe: 1 });
  bench.detect("redundant", "probe", "red");
  bench.turn();
  bench.order("redundant");
  const told = bench.turn().filter((text) => text.startsWith("switch"));
  assert.deepEqual(told, ["switch primary -> redundant (order 1)", "switch redundant -> primary (probe)"]);
});

Deno.test("with automatic off votes are told and move nothing", async () => {
  using bench = await Bench.open({ automatic: false });
  bench.votes(1, { bfd: 1 });
  bench.detect("primary", "bfd", "red");
  assert.deepEqual(bench.turns(50).filter(isMove), ["primary dead (bfd)"]);
});

Deno.test("a suppressed box serves where there is no other, and gives way to none", async () => {
  using bench = await Bench.open();
  bench.suppress("redundant", true);
  bench.link("primary", "both", false);
  assert.deepEqual(bench.turn(), ["primary dead (link)", "switch primary -> redundant (link)"]);
  bench.link("primary", "both", true);
  assert.deepEqual(bench.turns(100).filter((text) => text.startsWith("switch")), []);
});
