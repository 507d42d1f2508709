/**
 * The gate's bookkeeping: totals from JUnit and from interrupted output, and the last line.
 */
import assert from "node:assert/strict";
import { add, fromJunit, fromOutput, judge, NOTHING, summary } from "../../../scripts/gate/tally.ts";

const XML = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="0" time="0.040">
    <testsuite name="./tests/unit/a_test.ts" tests="5" disabled="2" errors="0" failures="1">
        <testcase name="ok() claims" classname="./tests/unit/a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="short() closes itself" classname="./tests/unit/a_test.ts" time="0.001"/>
        <testcase name="a() &lt; b() &amp; &quot;c&quot; (needs root)" classname="./tests/unit/a_test.ts">
            <skipped/>
        </testcase>
        <testcase name="d() waits" classname="./tests/unit/a_test.ts">
            <skipped/>
        </testcase>
        <testcase name="bad() &#10; fails" classname="./tests/unit/a_test.ts" time="0.021" line="4" col="6">
            <failure message="Uncaught Error: x &lt; y">Error: &lt;skipped/&gt;</failure>
        </testcase>
    </testsuite>
</testsuites>
`;

const HUNG = `\x1b[0m\x1b[38;5;245mrunning 3 tests from ./tests/lab/b_test.ts\x1b[0m
one() passes ... \x1b[0m\x1b[32mok\x1b[0m \x1b[0m\x1b[38;5;245m(637µs)\x1b[0m
two() says something ...
------- output -------
waiting ... for it
----- output end -----
two() says something ... FAILED (1ms)
three() is left out (needs nft) ... ignored (0ms)
four() hangs ...`;

const end = { name: "group lab", code: 0, limitS: null, junit: null, output: "" };

Deno.test("fromJunit() counts tests and names what failed or was skipped", () => {
  assert.deepEqual(fromJunit(XML), {
    again: [],
    passed: 2,
    failed: ["tests/unit/a_test.ts: bad() \n fails: Error: <skipped/>"],
    skipped: [
      `tests/unit/a_test.ts: a() < b() & "c" (needs root)`,
      "tests/unit/a_test.ts: d() waits (no reason in its name)",
    ],
  });
});

Deno.test("fromJunit() says how a failure begins and ends, without its stack", () => {
  const long = `Error: begins\n${"log ".repeat(500)}ends here\n    at file:///a.ts:1:2\n`;
  const [failed] = fromJunit(XML.replace("Error: &lt;skipped/&gt;", long)).failed;
  assert.match(failed!, /: Error: begins log .* \.\.\. .*log ends here$/);
  assert.ok(failed!.length < 700);
});

Deno.test("fromJunit() does not count what a filter left out", () => {
  assert.equal(fromJunit(XML, "(needs").skipped.length, 1);
  assert.equal(fromJunit(XML, "/^d.. w/").skipped.length, 1);
  assert.equal(fromJunit(XML, "ok()").skipped.length, 0);
});

Deno.test("fromOutput() counts what was printed and names the test that was running", () => {
  const { tally, running } = fromOutput(HUNG);
  assert.equal(running, "tests/lab/b_test.ts: four() hangs");
  assert.deepEqual(tally, {
    again: [],
    passed: 1,
    failed: ["tests/lab/b_test.ts: two() says something"],
    skipped: ["tests/lab/b_test.ts: three() is left out (needs nft)"],
  });
});

Deno.test("fromOutput() blames the file when no test had begun", () => {
  assert.equal(
    fromOutput("running 1 test from ./tests/lab/b_test.ts\n").running,
    "tests/lab/b_test.ts (before its first test)",
  );
});

Deno.test("judge() makes a group that hangs a failure with the name of the test", () => {
  const tally = judge({ ...end, code: 124, limitS: 60, output: HUNG });
  assert.equal(
    tally.failed.at(-1),
    "group lab: not done after 60 s, stopped in tests/lab/b_test.ts: four() hangs",
  );
  assert.equal(tally.passed, 1);
});

Deno.test("judge() does not let a group pass that ended badly without a failed test", () => {
  const passed = XML.replace(/<failure[\s\S]*<\/failure>/, "");
  assert.equal(judge({ ...end, code: 1, junit: passed }).failed.length, 1);
  assert.equal(judge({ ...end, code: 0, junit: passed }).failed.length, 0);
  assert.equal(judge({ ...end, code: 1, junit: XML }).failed.length, 1, "counted once");
  assert.equal(judge({ ...end, code: 1, output: "error: Module not found" }).failed.length, 1);
});

Deno.test("add() and summary() keep every line and count them", () => {
  const one = { ...NOTHING, passed: 2, failed: ["a"] };
  const two = { ...NOTHING, passed: 3, skipped: ["b (needs root)"], again: ["c"] };
  assert.equal(summary(add(add(NOTHING, one), two)), "5 passed, 1 failed, 1 skipped");
  assert.equal(summary(NOTHING), "0 passed, 0 failed, 0 skipped");
});
