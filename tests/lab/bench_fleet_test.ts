/** The bench of the fleet, small: a controller killed in the middle of a roll-out loses no node and starts nothing twice. */
import assert from "node:assert/strict";
import { fleetRun, fleetText } from "../../scripts/bench/fleet.ts";
import { measureDelta } from "../../scripts/bench/fleet_delta.ts";

Deno.test("bench:fleet updates every agent once, though the controller is killed", async () => {
  const row = await fleetRun({ agents: 24, processes: 2 });
  assert.deepEqual([row.lost, row.startedTwice, row.updated], [0, 0, 24]);
  assert.ok(row.connectS > 0 && row.reportsPerSecond > 0 && row.commandP99Ms >= row.commandP50Ms);
  const delta = await measureDelta();
  assert.ok(delta.fetched < delta.bytes / 50, `${delta.fetched} of ${delta.bytes} bytes`);
  assert.match(fleetText(row, delta), /24 agents/);
});
