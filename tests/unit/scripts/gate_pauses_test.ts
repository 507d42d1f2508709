/** What disturbed the machine belongs to the test that ran meanwhile, whatever else is printed. */
import assert from "node:assert/strict";
import { disturbanceText, isDisturbed, Pauses, readTaken } from "../../../scripts/gate/pauses.ts";

const QUIET = { pausedMs: 0, stolenMs: 0, throttledMs: 0 };

Deno.test("Pauses tells of each failed test the worst that was noted while it ran, and nothing of others", () => {
  const pauses = new Pauses();
  pauses.note({ pausedMs: 500 });
  pauses.printed("running 4 tests from ./tests/lab/a_test.ts\n\x1b[0mone() waits ...");
  pauses.note({ pausedMs: 30, stolenMs: 10 });
  pauses.note({ pausedMs: 80 });
  pauses.note({ throttledMs: 7 });
  pauses.printed(" \x1b[31mFAILED\x1b[0m (3s)\n");
  pauses.note({ pausedMs: 90 });
  pauses.printed(
    "two() talks ...\n------- output -------\nso ... it goes\ntwo() talks ... ok (1ms)\none() waits ...\nnext",
  );
  pauses.printed(" to it----- output end -----\ntwo() talks ... FAI");
  pauses.printed("LED (1s)\nthree() passes ...");
  pauses.note({ pausedMs: 40 });
  pauses.printed(
    " ok (1s)\nfour() (needs nft) ... ignored (0ms)\nrunning 1 test from ./tests/lab/b_test.ts\nfive ...",
  );
  pauses.note({ pausedMs: 21 });
  // A program of the test wrote to its standard output.
  pauses.printed("a word of a child\n FAILED (2s)\n");
  assert.deepEqual(pauses.failed.map(({ file, name, disturbance }) => [file, name, disturbance]), [
    ["tests/lab/a_test.ts", "one() waits", { pausedMs: 80, stolenMs: 10, throttledMs: 7 }],
    ["tests/lab/a_test.ts", "two() talks", QUIET],
    ["tests/lab/b_test.ts", "five", { ...QUIET, pausedMs: 21 }],
  ]);
});

Deno.test("Pauses counts what happens in steps, and between them, for their test", () => {
  const pauses = new Pauses();
  pauses.printed("running 1 test from ./tests/lab/a_test.ts\nkeeps all ...\n  first ...");
  pauses.note({ pausedMs: 25 });
  pauses.printed(
    " ok (2ms)\n  second ...\n    deep ... FAILED (1ms)\n  second ... FAILED (due to 1 failed step) (1ms)\n",
  );
  pauses.note({ pausedMs: 35 });
  pauses.printed("keeps all ... FAILED (due to 1 failed step) (112ms)\n");
  assert.deepEqual(pauses.failed.map(({ name, disturbance }) => [name, disturbance.pausedMs]), [[
    "keeps all",
    35,
  ]]);
});

Deno.test("isDisturbed() takes pauses from 20 ms on for a cause, and from 40 ms on what the host or a quota takes", () => {
  assert.equal(isDisturbed({ pausedMs: 19, stolenMs: 30, throttledMs: 39 }), false);
  for (const [kind, ms] of [["pausedMs", 20], ["stolenMs", 40], ["throttledMs", 40]] as const) {
    assert.ok(isDisturbed({ ...QUIET, [kind]: ms }), kind);
  }
  assert.equal(
    disturbanceText({ ...QUIET, pausedMs: 7.4 }),
    "the machine stood still for 7 ms at the longest",
  );
  assert.match(
    disturbanceText({ pausedMs: 1, stolenMs: 30, throttledMs: 40 }),
    /host took 30 ms .* withheld 40 ms/,
  );
});

Deno.test("readTaken() reads the host's ticks and either kind of quota", () => {
  const stat = "cpu  438193 456368 408082 1663364 3382 0 300707 1918 0 0\ncpu0 1 1 1 1 1 1 1 964 0 0\n";
  assert.deepEqual(readTaken(stat, ""), { stolenMs: 19_180, throttledMs: 0 });
  assert.equal(readTaken(stat, "nr_throttled 2\nthrottled_usec 2500\n").throttledMs, 2.5);
  assert.equal(readTaken(stat, "nr_throttled 2\nthrottled_time 2500000\n").throttledMs, 2.5);
  assert.deepEqual(readTaken("", ""), { stolenMs: 0, throttledMs: 0 });
});
