/** What a move knows to be there already. */
import assert from "node:assert/strict";
import { Readings, READINGS_MAX } from "../../../../appliance/layer/readings.ts";
import { flowRecord } from "../../../support/memory_state.ts";

Deno.test("Readings.has() knows a version that was given while it cannot have run out", () => {
  const readings = new Readings(), record = { ...flowRecord(1), version: 5, ttlMs: 1_000 };
  assert.ok(!readings.has(record, 0));
  readings.given([record], 100);
  assert.ok(readings.has(record, 599));
  assert.ok(!readings.has(record, 600), "half of its time is over");
  assert.ok(!readings.has({ ...record, version: 6 }, 200), "it changed");
  assert.ok(!readings.has({ ...record, role: "reporting" }, 200), "another role is another record");
  readings.given([{ ...record, ttlMs: null }], 100);
  assert.ok(readings.has(record, 1e15));
  readings.forget();
  assert.ok(!readings.has(record, 0));
});

Deno.test("Readings.given() has a bound, and what is beyond it is carried twice", () => {
  const readings = new Readings(), one = { ...flowRecord(1), ttlMs: null };
  const many = Array.from({ length: READINGS_MAX }, (_, i) => ({ ...one, key: `k${i}` }));
  readings.given([...many, { ...one, key: "late" }], 0);
  assert.ok(readings.has({ ...one, key: "k0" }, 1));
  assert.ok(!readings.has({ ...one, key: "late" }, 1));
});
