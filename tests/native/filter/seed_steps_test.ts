/** The steps of a seed, alone: a number for each frame played, a dot for each look at which nothing was, and how it ended. */
import assert from "node:assert/strict";
import { run, sanitized } from "./library.ts";

Deno.test("a seed waits for its first frame where it has to, twice, and never for ever", async () => {
  await sanitized("seed_steps", ["seed_steps"], async ({ program }) => {
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    assert.deepEqual(told, [
      "known to be alike: 1234 unasked",
      "heard alike: 1..234 alike",
      "heard otherwise: 1. unlike",
      "heard otherwise, and translated: 1.234 translated",
      "heard the second time: 1..1.234 alike",
      "never heard: 1.1..234 unheard",
      "a clock that steps back: 1...1.",
      "hurried: 1.234 unasked",
      "one in a turn: 1..2.3.4 unasked",
      "one in a turn, and waits: 1..2.3.4 alike",
      "one that renumbers: 1.2..34 translated",
      "its answer is never heard: 1.2..34 translated",
      "its answer is not translated: 1.2. unlike",
      "believed: 1.234. translated",
      "not believed: 1.234..D..R1.2.34 translated",
      "its answer is never heard, and it has to believe: 1.2.D.R1.2. unheard",
      "the other end has denied, and nobody has time: 1.2.D.R1234 unasked",
      "never heard, so never believed: 1.1.2.34 unheard",
      "to be proved, by an answer that comes out late: 1.2.3.4.. alike",
      "to be proved, and the answer never comes out: 1.234.. alike",
      "to be proved, and hurried: 1234. unasked",
      "away: ..1234 unasked",
      "any: whole",
    ]);
  });
});
