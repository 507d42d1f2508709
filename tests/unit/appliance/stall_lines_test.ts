/** Stalls of the node as lines: the first, then one a minute, and none is left out of the number. */
import assert from "node:assert/strict";
import { StallLines } from "../../../appliance/stall_lines.ts";
import type { EventView } from "../../../appliance/view.ts";

function event(seconds: number, silentMs = 6, kind: EventView["kind"] = "stall"): EventView {
  return {
    ...{ sequence: 0, boot: "00000000000000aa", wallMs: 0, monoUs: seconds * 1e6, kind, cause: "stall" },
    ...{ subject: "node", before: "", after: "", silentUs: silentMs * 1000, lostPackets: null, text: "" },
  };
}

Deno.test("StallLines.tells() the first stall, and every event that is none", () => {
  const lines = new StallLines();
  assert.equal(lines.tells(event(1000)), true);
  assert.equal(lines.tells(event(1001)), false);
  assert.equal(lines.tells(event(1002, 6, "switch")), true);
});

Deno.test("StallLines.look() counts what was kept, once a minute", () => {
  const lines = new StallLines();
  assert.equal(lines.look(999e6), null);
  lines.tells(event(1000));
  for (let i = 1; i < 60; i++) {
    lines.tells(event(1000 + i, i === 30 ? 80 : 6));
    assert.equal(lines.look((1000 + i) * 1e6), null);
  }
  assert.equal(
    lines.look(1060e6),
    "the node's own loop stood still 59 times more in the last 60 s, for 80.0 ms at most",
  );
  assert.equal(lines.look(1061e6), null);
  // The minute begins with the line, so a stall in it waits again.
  assert.equal(lines.tells(event(1062)), false);
  assert.match(lines.look(1130e6)!, /stood still once more in the last 70 s, for 6.0 ms/);
});

Deno.test("StallLines.tells() a stall after a quiet minute by itself", () => {
  const lines = new StallLines();
  lines.tells(event(1000));
  assert.equal(lines.look(1100e6), null);
  assert.equal(lines.tells(event(1100)), true);
});
