/** Pauses of the machine belong to the test that ran meanwhile. */
import assert from "node:assert/strict";
import { Pauses } from "../../../scripts/gate/pauses.ts";
import { failedTests, forgive, fromJunit } from "../../../scripts/gate/tally.ts";

Deno.test("a pause is told of the test that ran meanwhile, the longest of them, and of no other", () => {
  const pauses = new Pauses();
  pauses.note(500);
  pauses.printed("running 3 tests from ./tests/lab/a_test.ts\n\x1b[0mone() waits ...");
  pauses.note(30);
  pauses.note(80);
  pauses.note(19);
  pauses.printed(" \x1b[32mok\x1b[0m (3s)\n");
  pauses.note(90);
  pauses.printed(
    "two() talks ...\n------- output -------\nso ... it goes\n----- output end -----\ntwo() talks ... FAI",
  );
  pauses.printed("LED (1s)\nthree() ...");
  pauses.note(40);
  const of = (name: string) => pauses.longestMs(name);
  assert.deepEqual(["one() waits", "two() talks", "three()"].map(of), [80, 0, 40]);
});

Deno.test("what passes the second time is forgiven, and nothing else", () => {
  const testcase = (name: string, body: string) =>
    `<testcase name="${name}" classname="./tests/lab/a_test.ts">${body}</testcase>`;
  const failure = '<failure message="x">Error: x</failure>';
  const xml = testcase("a", failure) + testcase("a, too", failure) + testcase("b", "");
  assert.deepEqual(failedTests(xml).map(({ name }) => name), ["a", "a, too"]);
  assert.equal(failedTests(xml)[0]!.file, "tests/lab/a_test.ts");
  const tally = forgive(fromJunit(xml), ["tests/lab/a_test.ts: a"]);
  assert.deepEqual([tally.passed, tally.failed], [2, ["tests/lab/a_test.ts: a, too: Error: x"]]);
});
