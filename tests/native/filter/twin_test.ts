/** What standbys make of openings, alone: one letter for each box. = the same, # another binding, x dropped, ? unknown. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

Deno.test("openings of two boxes are held against each other, whoever is first", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-twin-" });
  try {
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"];
    const program = `${folder}/twin`;
    const main = `${TOP}/tests/native/filter/twin.c`;
    const core = `${TOP}/filter/native/twin.c`;
    await run("gcc", [
      ...strict,
      "-fno-sanitize-recover=all",
      `-I${TOP}/filter/native`,
      main,
      core,
      "-o",
      program,
    ]);
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    assert.deepEqual(told, [
      "same, either first: ?=?? ???? ?=??",
      "another port, another address: 1 ?#?? -1 ?#??",
      "three boxes: ?=#?",
      "the redundant box serves: =???",
      "nothing for a second: 0 ???? 1 ?x?? 0 0 ????",
      "datagrams and echoes: ?#?? ?=?? ?#??",
      "the same words twice tell nothing: ???? ????",
      "another flow at the same place: ?#?? ???? ???? ?=??",
      "the same numbers a minute later: ????",
      "flood: whole",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
