/** Rounds over the verdicts: in steps that are bounded, in the time that was promised, and nobody is left out or told of twice. */
import assert from "node:assert/strict";
import { run, sanitized } from "./library.ts";

Deno.test("verdicts are gone round in small steps, as fast as there are few", async () => {
  await sanitized("rounds", ["twin"], async ({ program }) => {
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    assert.deepEqual(told, [
      "steps in a second and at most in a turn: 16000/1 16000/1 16000/4 8000/4 800/4",
      "after 100 us and after a day: 1 4 4 4 4",
      "rounds: 0: 16 ms, 0 300: 16 ms, 2 5000: 16 ms, 20 40000: 75 ms, 34 262144: 205 ms, 80",
      "flows come and go: lost 0 twice 0 of many whole and many others",
      "one worker's part: 2048 0",
    ]);
  });
});
