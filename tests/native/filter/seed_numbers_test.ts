/**
 * What a seed says of a connection, for windows of all shifts, both directions and numbers that go round: a tracker as strict as a
 * firewall believes it, and all that the ends may send then. Also where more than half of all numbers have passed unseen.
 */
import assert from "node:assert/strict";
import { CORE, run, sanitized } from "./library.ts";

Deno.test("a seed has the numbers of now, however many bytes have passed and nobody looked", async () => {
  await sanitized("seed_numbers", [...CORE, "seed_numbers"], async ({ program }) => {
    assert.equal((await run("setarch", ["-R", program])).trim(), "tried 5760 wrong 0");
  });
});
