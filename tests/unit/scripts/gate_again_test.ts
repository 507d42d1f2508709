/** Which tests the gate runs once more, what counts as passed then, and what the end of its output says. */
import assert from "node:assert/strict";
import { AGAIN_MAX, concluded, exactly, passedAgain, whyNot } from "../../../scripts/gate/again.ts";
import type { EndedTest } from "../../../scripts/gate/pauses.ts";
import { fromJunit } from "../../../scripts/gate/tally.ts";

const CALM = { pausedMs: 3, stolenMs: 0, throttledMs: 0 }, DISTURBED = { ...CALM, pausedMs: 25 };
const ended = (name: string, disturbance = DISTURBED): EndedTest => ({
  ...{ file: "tests/lab/a_test.ts", name, verdict: "FAILED" },
  disturbance,
});
const FAILURE = '<failure message="x">Error: x</failure>';
const testcase = (name: string, body = "", file = "tests/lab/a_test.ts") =>
  `<testcase name="${name}" classname="./${file}">${body}</testcase>`;

Deno.test("whyNot() keeps to groups that stand on clocks, machines that were disturbed, and a few tests", () => {
  assert.equal(whyNot(ended("a"), AGAIN_MAX, true), null);
  assert.match(whyNot(ended("a"), 1, false) ?? "", /does not stand on clocks/);
  assert.match(whyNot(ended("a", CALM), 1, true) ?? "", /no excuse/);
  assert.match(whyNot(ended("a"), AGAIN_MAX + 1, true) ?? "", /^6 tests failed/);
});

Deno.test("passedAgain() wants the test itself to have run, and all of it to have passed", () => {
  const test = ended("a (b) / c");
  assert.equal(exactly(test), "--filter=/^a \\(b\\) \\/ c$/");
  assert.ok(passedAgain(test, 0, testcase("a (b) / c") + testcase("other", "<skipped/>")));
  assert.ok(
    !passedAgain(test, 0, testcase("a (b) / c", "<skipped/>")),
    "a filter that matches nothing ends with 0",
  );
  assert.ok(!passedAgain(test, 0, testcase("other")));
  assert.ok(!passedAgain(test, 1, testcase("a (b) / c")), "what is around it failed");
  assert.ok(!passedAgain(test, 0, testcase("a (b) / c") + testcase("a (b) / c &gt; step", FAILURE)));
  assert.ok(!passedAgain(test, 0, null));
});

Deno.test("concluded() counts what passed the second time with its steps, and nothing else, and says how it was", () => {
  const helper = "tests/support/repository_conformance.ts";
  const xml = testcase("a", FAILURE) + testcase("a, too", FAILURE) + testcase("b") +
    testcase("steps", FAILURE) + testcase("steps &gt; one", FAILURE) +
    testcase("made elsewhere", FAILURE, helper) + testcase("a", FAILURE, "tests/lab/b_test.ts");
  const tally = concluded(fromJunit(xml), [
    { test: ended("a"), second: "passed", why: "" },
    { test: ended("a, too"), second: "failed", why: "" },
    { test: ended("steps"), second: "passed", why: "" },
    { test: ended("made elsewhere", CALM), second: null, why: "that is no excuse" },
  ]);
  const still = "[the machine stood still for";
  assert.deepEqual(tally.again, [
    `tests/lab/a_test.ts: a: Error: x ${still} 25 ms at the longest; run once more: passed]`,
    `tests/lab/a_test.ts: steps: Error: x ${still} 25 ms at the longest; run once more: passed]`,
    `tests/lab/a_test.ts: steps > one: Error: x ${still} 25 ms at the longest; run once more: passed]`,
  ]);
  assert.equal(tally.passed, 1 + 3);
  assert.deepEqual(tally.failed, [
    `tests/lab/a_test.ts: a, too: Error: x ${still} 25 ms at the longest; run once more: failed]`,
    `${helper}: made elsewhere: Error: x ${still} 3 ms at the longest; not run again: that is no excuse]`,
    "tests/lab/b_test.ts: a: Error: x",
  ]);
});
