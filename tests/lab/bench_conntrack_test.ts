/** The bench of conntrack state, small: all of it arrives as it was, in few bytes. Nothing is timed. */
import assert from "node:assert/strict";
import { measure, parseOptions, type Row } from "../../scripts/bench/state_conntrack.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { TOP } from "../support/programs.ts";

Deno.test("bench:conntrack carries 300 connections, none of them wrong", async () => {
  using lifetime = new Lifetime(console.error);
  await sweep();
  const options = parseOptions(["--flows", "300", "--rounds", "2"]);
  const found = await measure(options, { top: TOP, programs: await programs(TOP), lifetime, node: {} });
  const [row] = found.results["rows"] as Row[];
  assert.deepEqual([row?.flows, row?.wrong], [300, 0]);
  assert.ok(row!.valueBytes <= 172, `${row!.valueBytes} bytes, with their seal 200 at most`);
  assert.throws(() => parseOptions(["--flows", "0"]), RangeError);
});
