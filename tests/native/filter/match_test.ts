/** What is said of a standby that hands over nothing of an opening or of its answer, by real frames: the copy may have been lost. */
import assert from "node:assert/strict";
import { CORE, run, sanitized } from "./library.ts";

const PARTS = [...CORE, "match", "twin", "entry", "alias", "association", "translate", "quote"];

Deno.test("what a standby did not hand over is asked of a seed, and of an answer before the verdict falls", async () => {
  const dpdk = (await run("pkg-config", ["--cflags", "libdpdk"])).trim().split(/\s+/)
    .map((flag) => flag.replace(/^-I/, "-isystem"));
  await sanitized("match", PARTS, async ({ program }) => {
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    // Seeds that were asked for, and then the verdict: alike, or dropped.
    assert.deepEqual(told, [
      "both come out: =",
      "the opening does not, and a seed is asked: down:5 x",
      "the answer does not, and a seed is asked before the verdict falls: up:3 = x =",
      "there is no seed for the answer: up:3 x",
      "a spare that hands over nothing at all: x",
      "no copy of the answer was made: =",
      "a seed that ends when another flow has the place: = =",
    ]);
  }, dpdk);
});
