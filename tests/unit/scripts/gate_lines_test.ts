/** Lines of two groups of tests that run beside each other. */
import assert from "node:assert/strict";
import { Lines } from "../../../scripts/gate/lines.ts";

Deno.test("Lines says whole lines, and what is left at the end", () => {
  const said: string[] = [];
  const lines = new Lines((line) => said.push(line));
  for (const piece of ["a test ...", " ok (1s)\nanother", "", "\n\nlast"]) lines.add(piece);
  assert.deepEqual(said, ["a test ... ok (1s)", "another", ""]);
  lines.end();
  lines.end();
  assert.deepEqual(said.slice(3), ["last"]);
});
