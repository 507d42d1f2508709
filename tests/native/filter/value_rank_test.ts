/** What flows are worth, alone, under the sanitizers. */
import assert from "node:assert/strict";
import { run, sanitized } from "./library.ts";

Deno.test("flows are ranked by what they move, and as many of the best fit as there is room for", async () => {
  await sanitized("value_rank", ["value_rank"], async ({ program }) => {
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    assert.deepEqual(told, [
      "twice the bytes: before",
      "the younger one: before",
      "one that sleeps: after",
      "one that is closed: after",
      "an attempt: after",
      "one of UDP: as",
      "bars: whole",
      "any: in range",
    ]);
  });
});
