/** The hold ring and the words that let a frame pass once, alone: against a list, and by hand. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);

Deno.test("kept frames are found in their order, and a frame of two boxes passes once", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-kept-" });
  try {
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"];
    const sources = ["kept", "once"].map((name) => `${TOP}/filter/native/${name}.c`);
    const program = `${folder}/kept`;
    const main = `${TOP}/tests/native/filter/kept.c`;
    await run("gcc", [...strict, `-I${TOP}/filter/native`, main, ...sources, "-o", program]);
    const told = (await run("setarch", ["-R", program, "100000", String(SEED)])).trim().split("\n");
    assert.deepEqual(told, [
      "found 1",
      "silent 0 young 0 passed 1 kept 0 gone 1",
      "oonn 1100", // the old box was first with both
      "nnoo 1100",
      "onno 1010", // the second pair comes out of the new box first
      "nnnoo 11100", // a third of the new box is another frame
      "ono 101",
      "copied 101", // the copy's output or the replay's, not both; a third is another frame
      "other 1", // of another switch
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
