/** What a page tells of a switch: each detector's word at that moment, and what it was worth. */
import assert from "node:assert/strict";
import { votesOf } from "../../../ui/page/votes.tsx";
import { eventView } from "./fake_node.ts";

const WEIGHTS = { needed: 2, probe: 1, bfd: 1, grey: 0, check: 1 };
const said = (
  sequence: number,
  cause: "probe" | "bfd" | "grey" | "check" | "silence",
  after: string,
  over = {},
) => eventView(sequence, { kind: "detector", subject: "primary", cause, after, ...over });

Deno.test("votesOf() has the last word of each detector on the box that was left, with its votes", () => {
  const turn = eventView(9, { cause: "probe", before: "primary", after: "redundant" });
  const events = [
    said(1, "bfd", "red"),
    said(2, "bfd", "green"),
    said(3, "probe", "red"),
    said(4, "grey", "red"),
    said(5, "check", "red", { subject: "redundant" }),
    said(6, "check", "yellow"),
    said(7, "silence", "red", { boot: "another" }),
    turn,
    said(10, "check", "red"),
  ];
  assert.deepEqual(votesOf(events, turn, WEIGHTS), [
    { detector: "probe", light: "red", votes: 1 },
    { detector: "bfd", light: "green", votes: 0 },
    { detector: "grey", light: "red", votes: 0 },
    { detector: "check", light: "yellow", votes: 0 },
  ]);
});

Deno.test("votesOf() lets link and silence suffice, and knows no votes of orders and none without weights", () => {
  const turn = eventView(2, { cause: "silence", before: "primary", after: "redundant" });
  const events = [said(1, "probe", "red"), turn];
  assert.deepEqual(votesOf(events, turn, null), [
    { detector: "silence", light: "red", votes: null },
    { detector: "probe", light: "red", votes: null },
  ]);
  for (const cause of ["order", "return", "start"] as const) {
    assert.deepEqual(votesOf(events, eventView(3, { cause, before: "primary" }), WEIGHTS), []);
  }
});
