/** The table of what is open: openings and closings by session and by name, its bound, versions, what is read from it. */
import assert from "node:assert/strict";
import { ALL } from "../../../drivers/fields.ts";
import {
  decodeFlow,
  encodeFlow,
  type FlowTuple,
  type FlowValue,
  mirrored,
} from "../../../drivers/flow_value.ts";
import type { FlowEntry } from "../../../drivers/formats/entry.ts";
import { Tracker } from "../../../drivers/formats/tracker.ts";
import { recordFault } from "../../../drivers/record.ts";
import { seeded } from "../../support/log_fixtures.ts";

const tuple = (port: number): FlowTuple => ({
  protocol: 6,
  source: "10.1.0.11",
  sourcePort: port,
  destination: "10.2.0.11",
  destinationPort: 80,
});
const nat = (port: number) => mirrored({ ...tuple(port), source: "10.2.0.1", sourcePort: port + 1 });
const flow = (event: FlowEntry["event"], port: number | null, more: Partial<FlowEntry> = {}): FlowEntry => ({
  what: "flow",
  event,
  session: null,
  original: port === null ? null : tuple(port),
  reply: port === null ? null : nat(port),
  state: null,
  timeoutMs: null,
  ...more,
});

Deno.test("Tracker closes by session what was opened by name", () => {
  const tracker = new Tracker(100);
  const opened = tracker.take(flow("open", 1000, { session: "7", timeoutMs: 5000 }), 10)!;
  assert.equal(recordFault(opened), null);
  assert.deepEqual([opened.key, opened.codec, opened.ttlMs], [
    "tcp 10.1.0.11 1000 > 10.2.0.11 80",
    "flow/1",
    5000,
  ]);
  assert.deepEqual(decodeFlow(opened.value), {
    original: tuple(1000),
    reply: nat(1000),
    state: "none",
    timeoutMs: 5000,
    openedMs: 10,
    changedMs: 10,
  });
  const closed = tracker.take(flow("close", null, { session: "7" }), 20)!;
  assert.deepEqual([closed.key, closed.ended, closed.value.length], [opened.key, true, 0]);
  assert.ok(closed.version > opened.version);
  assert.equal(tracker.take(flow("close", null, { session: "7" }), 30), null);
  const { opened: up, closed: down, closed_unknown: unknown } = tracker.counters();
  assert.deepEqual([up, down, unknown, tracker.size], [1, 1, 1, 0]);
});

Deno.test("Tracker knows an answer's packet as of its flow, and keeps the translation that it does not show", () => {
  const tracker = new Tracker(100);
  tracker.take(flow("open", 1000), 10);
  const turned = mirrored(tuple(1000));
  const entry = flow("refresh", null, { original: turned, reply: mirrored(turned), state: "fin_wait" });
  const record = tracker.take(entry, 20)!;
  const value = decodeFlow(record.value)!;
  assert.deepEqual([value.original, value.reply, value.state, value.openedMs], [
    tuple(1000),
    nat(1000),
    "fin_wait",
    10,
  ]);
  assert.equal(tracker.take(flow("refresh", 2000), 30), null, "who began is not known");
  assert.equal(tracker.counters().refreshed_unknown, 1);
});

Deno.test("Tracker takes a session that is used again for another flow", () => {
  const tracker = new Tracker(100);
  tracker.take(flow("open", 1000, { session: "7" }), 10);
  tracker.take(flow("open", 2000, { session: "7" }), 20);
  const closed = tracker.take(flow("close", null, { session: "7" }), 30);
  assert.equal(closed?.key, "tcp 10.1.0.11 2000 > 10.2.0.11 80");
  assert.equal(tracker.size, 1, "the first is kept until its time is over");
});

Deno.test("Tracker forgets what is overdue first, then what was silent longest, and counts both", () => {
  const tracker = new Tracker(3);
  tracker.take(flow("open", 1, { timeoutMs: 100 }), 0);
  tracker.take(flow("open", 2), 1);
  tracker.take(flow("open", 3), 2);
  tracker.take(flow("update", 2), 3);
  tracker.take(flow("open", 4), 200);
  assert.deepEqual([tracker.counters().expired, tracker.counters().evicted], [1, 0]);
  tracker.take(flow("open", 5), 201);
  assert.deepEqual([...tracker.records(ALL, 202)].map(({ fields }) => fields.sourcePort), [2, 4, 5]);
  assert.deepEqual([tracker.counters().evicted, tracker.size], [1, 3]);
});

Deno.test("Tracker.records() gives what the fields hold, with the time that is left", () => {
  const tracker = new Tracker(10);
  tracker.take(flow("open", 1, { timeoutMs: 1000 }), 0);
  tracker.take(flow("open", 2, { timeoutMs: 500 }), 0);
  const binding = {
    protocol: 17,
    source: "10.1.0.11",
    sourcePort: 9,
    natSource: "192.0.2.1",
    natSourcePort: 10,
  };
  tracker.take({ what: "binding", event: "open", binding, timeoutMs: null }, 0);
  const left = [...tracker.records({ protocol: 6 }, 600)].map(({ key, ttlMs }) => [key, ttlMs]);
  assert.deepEqual(left, [["tcp 10.1.0.11 1 > 10.2.0.11 80", 400]]);
  const [shared] = [...tracker.records({ protocol: 17 }, 1)];
  assert.deepEqual([shared?.partition, shared?.codec, shared?.key], [
    "shared",
    "binding/1",
    "udp 10.1.0.11 9 > * *",
  ]);
});

Deno.test("Tracker holds after any order of events what a plain model holds, and versions only grow", () => {
  const random = seeded(3);
  const tracker = new Tracker(1000);
  const model = new Map<number, boolean>();
  let version = 0;
  for (let n = 0; n < 20_000; n++) {
    const port = 1 + Math.floor(random() * 300);
    const event = random() < 0.4 ? "close" : random() < 0.5 ? "open" : "update";
    const bySession = event === "close" && random() < 0.5;
    const record = tracker.take(
      flow(event, bySession ? null : port, { session: `s${port}` }),
      Math.floor(n / 10),
    );
    if (event === "close") model.delete(port);
    else model.set(port, true);
    if (record === null) continue;
    assert.ok(record.version > version);
    version = record.version;
  }
  const held = [...tracker.records(ALL, 2000)].map(({ fields }) => fields.sourcePort).toSorted();
  assert.deepEqual(held, [...model.keys()].toSorted());
});

Deno.test("decodeFlow() reads what encodeFlow() wrote and refuses everything else", () => {
  const wide = { ...tuple(5), source: "2001:db8::1", destination: "2001:db8::2:0:0:1" };
  const value: FlowValue = {
    original: wide,
    reply: nat(5),
    state: "established",
    timeoutMs: null,
    openedMs: 1.5e12,
    changedMs: 1.6e12,
  };
  const bytes = encodeFlow(value);
  assert.deepEqual(decodeFlow(bytes), value);
  assert.equal(encodeFlow({ ...value, original: tuple(5) }).length, 48);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeFlow(bytes.subarray(0, length)), null);
  }
  for (const [at, byte] of [[0, 2], [1, 4], [1, 0], [3, 9], [8, 0xff]] as const) {
    const wrong = Uint8Array.from(bytes);
    wrong[at] = byte;
    if (at === 8) wrong.fill(0xff, 8, 16);
    assert.equal(decodeFlow(wrong), null, `byte ${at}`);
  }
});
