/** The bench of the layer, small: flows are where they belong after each move, and nothing of others is lost. Nothing is timed. */
import assert from "node:assert/strict";
import { type LatencyRow, measure, type MoveRow, parseOptions } from "../../scripts/bench/layer.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { TOP } from "../support/programs.ts";

Deno.test("bench:layer moves 200 flows there and back, and clones them, with nothing lost", async () => {
  using lifetime = new Lifetime(console.error);
  await sweep();
  const options = parseOptions(["--flows", "200", "--rounds", "1", "--seconds", "1"]);
  const found = await measure(options, { top: TOP, programs: await programs(TOP), lifetime, node: {} });
  const [row] = found.results["moves"] as MoveRow[], latency = found.results["latency"] as LatencyRow;
  assert.deepEqual([row?.flows, row?.wrong, row?.lost], [200, 0, 0]);
  assert.ok(row!.bytes > 20 && row!.bytes <= 200, `${row!.bytes} bytes a flow`);
  assert.ok(latency.clones > 0 && latency.lost === 0 && latency.ratio > 0);
  assert.throws(() => parseOptions(["--flows", "0"]), RangeError);
});
