/** What is sent of what a driver tells: versions that only grow, endings, and nothing twice. */
import assert from "node:assert/strict";
import { SourceLedger } from "../../../appliance/source_ledger.ts";
import { flowRecord } from "../../support/records.ts";

const value = (text: string) => new TextEncoder().encode(text);
const ended = (version: number) => flowRecord(1, { version, ended: true, value: new Uint8Array() });

Deno.test("SourceLedger: a change is sent once, and what is older never", () => {
  const ledger = new SourceLedger();
  assert.equal(ledger.change(flowRecord(1))?.version, 1);
  assert.equal(ledger.change(flowRecord(1)), null);
  assert.equal(ledger.change(flowRecord(1, { version: 4, value: value("x") }))?.version, 4);
  assert.equal(ledger.change(flowRecord(1, { version: 3, value: value("y") })), null);
  assert.deepEqual(ledger.counters(), { keys: 1, known: 1, stale: 1, forgotten: 0 });
});

Deno.test("SourceLedger: a driver that counts from 1 again is moved up, unless nothing changed", () => {
  const ledger = new SourceLedger();
  ledger.change(flowRecord(1, { version: 7 }));
  ledger.change(flowRecord(2, { version: 7 }));
  ledger.opened();
  assert.equal(ledger.change(flowRecord(1, { version: 1 })), null);
  assert.equal(ledger.change(flowRecord(2, { version: 1, value: value("x") }))?.version, 8);
  assert.equal(ledger.change(flowRecord(2, { version: 2, value: value("y") }))?.version, 9);
  assert.equal(ledger.change(flowRecord(1, { version: 2, value: value("z") }))?.version, 8);
});

Deno.test("SourceLedger: a key that comes to life again is newer than its end", () => {
  const ledger = new SourceLedger();
  ledger.change(flowRecord(1, { version: 3 }));
  assert.equal(ledger.change(ended(4))?.version, 4);
  assert.equal(ledger.change(ended(4)), null);
  assert.equal(ledger.change(flowRecord(1))?.version, 5);
});

Deno.test("SourceLedger: a whole reading tells what is new and what is not there any more, of its roles", () => {
  const ledger = new SourceLedger();
  for (const number of [1, 2, 3]) ledger.change(flowRecord(number));
  ledger.change(flowRecord(4, { role: "reporting" }));
  const reading = ledger.whole(["supporting"], false);
  assert.equal(reading.see(flowRecord(1)), null);
  assert.equal(reading.see(flowRecord(2, { version: 2 }))?.version, 2);
  assert.deepEqual(reading.ended().map(({ key, version, ended }) => [key, version, ended]), [
    [flowRecord(3).key, 2, true],
  ]);
  assert.deepEqual(ledger.whole(["reporting"], false).ended().map(({ key }) => key), [flowRecord(4).key]);
  const again = ledger.whole(["supporting"], true);
  assert.equal(again.see(flowRecord(1))?.version, 1);
});

Deno.test("SourceLedger: keys are bounded; what ended is forgotten first", () => {
  const ledger = new SourceLedger(3);
  for (const number of [1, 2, 3]) ledger.change(flowRecord(number));
  ledger.change(flowRecord(2, { version: 2, ended: true, value: new Uint8Array() }));
  ledger.change(flowRecord(4));
  assert.deepEqual(ledger.counters(), { keys: 3, known: 0, stale: 0, forgotten: 0 });
  ledger.change(flowRecord(5));
  assert.deepEqual(ledger.counters(), { keys: 3, known: 0, stale: 0, forgotten: 1 });
});
