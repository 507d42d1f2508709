/** What standbys make of openings, alone: one letter for each box. = the same, # another binding, x dropped, ? unknown. */
import assert from "node:assert/strict";
import { run, sanitized } from "./library.ts";

Deno.test("openings of two boxes are held against each other, whoever is first", async () => {
  await sanitized("twin", ["twin"], async ({ program }) => {
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    assert.deepEqual(told, [
      "same, either first: ?=?? ???? ?=??",
      "another port, another address: 1 ?#?? -1 ?#??",
      "known by their ends: 1 ?#?? ?=?? ????",
      "three boxes: ?=#?",
      "the redundant box serves: =???",
      "nothing for a second: 0 ???? 1!1 1 ?x?? 0 0 ????",
      "an answer says nothing of the binding, and is missed where it does not come: ???? 2/1 ????",
      "datagrams and echoes: ?#?? ?=?? ?#??",
      "an echo is the same as IPv6 and as IPv4: ?=?? ????",
      "the same words twice tell nothing: ???? ????",
      "another flow at the same place: ?#?? ???? ???? ?=??",
      "the same numbers a minute later: ????",
      "flood: whole",
    ]);
  });
});
