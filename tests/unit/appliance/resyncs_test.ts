/** Resync as control sees it: when it begins by itself, and what is said of its result. */
import assert from "node:assert/strict";
import { dueResyncs } from "../../../appliance/resyncs.ts";
import { resyncText } from "../../../appliance/resync_view.ts";
import type { ResyncView } from "../../../appliance/view.ts";

const seen = (path: "primary" | "redundant", there: (number | null)[], boot = 1n) => ({ boot, path, there });

Deno.test("dueResyncs() wants a box that joins or comes back, or that begins to serve, as the setting says", () => {
  const both = seen("primary", [0, 0, null, null]), alone = seen("primary", [0, null, null, null]);
  const back = seen("primary", [0, 7, null, null]), moved = seen("redundant", [0, 0, null, null]);
  const cases = [
    ["it joins", alone, both, "joins", ["redundant"]],
    ["its links went and came between two looks", both, back, "joins", ["redundant"]],
    ["it is gone", both, alone, "switches", []],
    ["nothing is new", both, both, "switches", []],
    ["it begins to serve", both, moved, "joins", []],
    ["it begins to serve", both, moved, "switches", ["redundant"]],
    ["it is not wanted", alone, both, "off", []],
    ["the first look", null, both, "switches", []],
    ["another plane", both, seen("redundant", [0, 7, null, null], 2n), "switches", []],
  ] as const;
  for (const [what, before, now, when, due] of cases) {
    assert.deepEqual(dueResyncs(before, now, when), due, `${what}, ${when}`);
  }
});

Deno.test("resyncText() tells what came of a resync, without what did not happen", () => {
  const view: ResyncView = {
    running: false,
    refresh: false,
    flows: 3000,
    done: 3000,
    unlike: 0,
    unheard: 0,
    failed: 0,
    gone: 0,
    tookMs: 1540,
  };
  assert.equal(resyncText(view), "3,000 of 3,000 flows in 1.5 s");
  assert.equal(
    resyncText({ ...view, done: 2980, unlike: 10, unheard: 5, failed: 3, gone: 17 }),
    "2,970 of 3,000 flows in 1.5 s, 10 with another binding, 5 of which the box handed nothing over, 3 not played, " +
      "17 ended or without their other half",
  );
});
