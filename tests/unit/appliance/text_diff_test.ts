/** Unified diffs: what they say makes the one text out of the other, and they are short. */
import assert from "node:assert/strict";
import { unifiedDiff } from "../../../appliance/text_diff.ts";
import { Random } from "../../../filter/random.ts";

const NAMES = ["old", "new"] as const;

/** As patch(1) does, without its guesses. */
function patched(before: readonly string[], diff: string): string[] {
  const after: string[] = [];
  let at = 0;
  for (const line of diff.split("\n").slice(2, -1)) {
    const [, first, count] = /^@@ -(\d+),(\d+) /.exec(line) ?? [];
    if (first !== undefined) {
      const until = Number(first) - (count === "0" ? 0 : 1);
      while (at < until) after.push(before[at++]!);
    } else if (line[0] === "+") after.push(line.slice(1));
    else {
      assert.equal(before[at], line.slice(1));
      at++;
      if (line[0] === " ") after.push(line.slice(1));
    }
  }
  return [...after, ...before.slice(at)];
}

Deno.test("unifiedDiff() makes the one text out of the other, whatever they are", () => {
  const random = new Random(7);
  for (let run = 0; run < 500; run++) {
    const text = () => Array.from({ length: random.below(30) }, () => "abcd"[random.below(4)]!);
    const before = text(), after = text();
    const ended = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
    const diff = unifiedDiff(ended(before), ended(after), NAMES);
    assert.deepEqual(patched(before, diff), after, diff);
  }
});

Deno.test("unifiedDiff() shows what changes with three lines around it, and nothing where nothing does", () => {
  const before = "a\nb\nc\nd\ne\nf\ng\n", after = "a\nb\nc\nd\ne\nX\ng\n";
  assert.equal(
    unifiedDiff(before, after, NAMES),
    "--- old\n+++ new\n@@ -3,5 +3,5 @@\n c\n d\n e\n-f\n+X\n g\n",
  );
  assert.equal(unifiedDiff(before, before, NAMES), "");
});

Deno.test("unifiedDiff() tells texts that have next to nothing in common as a whole, in bounded time", () => {
  const lines = (name: string) => Array.from({ length: 3000 }, (_, i) => `${name}${i}\n`).join("");
  const diff = unifiedDiff(lines("a"), lines("b"), NAMES);
  assert.equal(diff.split("\n").length, 2 + 1 + 6000 + 1);
});
