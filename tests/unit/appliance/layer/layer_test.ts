/** The layer with drivers in memory: moves, clones, merges, what is built of them, and every refusal. */
import assert from "node:assert/strict";
import { ALL, parseFields } from "../../../../drivers/fields.ts";
import type { StateDriver } from "../../../../drivers/driver.ts";
import type { Ledger, LedgerEntry } from "../../../../appliance/layer/ledger.ts";
import { noted } from "../../../../appliance/layer/ledger.ts";
import { Layer } from "../../../../appliance/layer/layer.ts";
import { BATCH } from "../../../../appliance/layer/mover.ts";
import { entryLine, readIntents } from "../../../../appliance/layer/intents.ts";
import { judgeMerge } from "../../../../appliance/layer/merge.ts";
import type { Entry } from "../../../../appliance/layer/move.ts";
import {
  CAN_ALL,
  countRecord,
  driverSet,
  flowRecord,
  MemoryDriver,
  MemorySteering,
} from "../../../support/memory_state.ts";

interface Made {
  readonly layer: Layer;
  readonly steering: MemorySteering;
  readonly entries: Entry[];
  readonly said: string[];
}

interface More {
  readonly noSteering?: true;
  /** What an earlier control left. @default nothing */
  readonly left?: readonly Entry[];
  /** Why the path does not move. @default it does */
  readonly stays?: string;
}

/** A layer as a node has it before it has begun. */
function begun(drivers: Readonly<Record<string, StateDriver | null>>, more: More = {}): Made {
  const steering = new MemorySteering(), entries: Entry[] = [], said: string[] = [];
  const scene = { serving: "box-a" };
  let ledger: Ledger = { pairs: new Map(), unreadable: 0 }, ids = 0;
  const layer = new Layer({
    drivers: driverSet(drivers),
    steering: more.noSteering ? null : steering,
    courier: { send: (_id, records) => Promise.resolve(records) },
    intents: {
      load: () => readIntents((more.left ?? []).map(entryLine).join("")),
      append: (entry) => Promise.resolve(void entries.push(entry)),
    },
    ledger: {
      load: () => ledger,
      append: (entry: LedgerEntry) => Promise.resolve(void (ledger = noted(ledger, entry))),
    },
    nowMs: () => 1000,
    // The bound on an answer never rings; nothing else here waits for long.
    wait: (ms, signal) =>
      ms < 1000
        ? Promise.resolve()
        : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
    tell: () => {},
    say: (text) => void said.push(text),
    serving: () => scene.serving,
    serve: (box) => {
      if (more.stays !== undefined) return Promise.resolve({ ok: false, text: more.stays });
      scene.serving = box;
      return Promise.resolve({ ok: true, text: `traffic goes by ${box}` });
    },
    freshId: () => `m${++ids}`,
    stop: new AbortController().signal,
    framesMax: 100,
    holdMsMax: 100,
    askMsMax: 10_000,
    settleMs: 1,
    breathe: () => Promise.resolve(),
  });
  return { layer, steering, entries, said };
}

async function make(drivers: Readonly<Record<string, StateDriver | null>>, more: More = {}): Promise<Made> {
  const made = begun(drivers, more);
  await made.layer.recover();
  return made;
}

const flows = (n: number) => Array.from({ length: n }, (_, i) => flowRecord(i));
const MOVE = { source: "a", destination: "b", fields: ALL, guarantee: "loss-free" } as const;

Deno.test("Layer.move() moves flows with their state and leaves others where they are", async () => {
  const a = new MemoryDriver().hold(...flows(300), countRecord("total", { merge: "sum", value: 7 }));
  const b = new MemoryDriver();
  const { layer, steering, entries } = await make({ a, b });
  const answer = await layer.move({ ...MOVE, fields: parseFields("tcp 10.1.0.0/24") });
  assert.ok(answer.ok, JSON.stringify(answer));
  assert.equal(b.records.size, 256);
  assert.equal(a.records.size, 300 - 256 + 1, "shared state is no flow's to take along");
  assert.deepEqual(steering.table.map(({ box }) => box), ["box-b"]);
  assert.deepEqual(entries.map(({ mark }) => mark), ["op", "clean", "route", "delete", "end"]);
  assert.equal(layer.moves()[0]!.end, "moved");
  assert.ok(a.batchMax === 0 && b.batchMax <= BATCH);
});

Deno.test("Layer.move() goes back whole when the destination refuses a record", async () => {
  const a = new MemoryDriver().hold(...flows(10)), b = new MemoryDriver();
  b.refuse = flowRecord(4).key;
  const { layer, steering } = await make({ a, b });
  const answer = await layer.move(MOVE);
  assert.ok(!answer.ok);
  assert.match(answer.text, /went back: b refused tcp 10\.1\.0\.4 1028 .*: no/);
  assert.deepEqual([a.records.size, b.records.size, steering.table.length], [10, 0, 0]);
});

Deno.test("Layer.move() refuses in words that name what is missing", async () => {
  const grey = new MemoryDriver({ ...CAN_ALL, get: ["reporting"] });
  const other = new MemoryDriver({ ...CAN_ALL, codecs: ["other/2"] });
  const { layer, steering } = await make({
    a: new MemoryDriver(),
    b: new MemoryDriver(),
    grey,
    other,
    gone: null,
  });
  const refusal = async (request: Partial<Parameters<Layer["move"]>[0]>) => {
    const answer = await layer.move({ ...MOVE, ...request });
    return answer.ok ? "done" : answer.text;
  };
  assert.match(await refusal({ source: "x" }), /no driver "x"; there are a, b, grey, other, gone/);
  assert.match(await refusal({ destination: "a" }), /both source and destination/);
  assert.match(await refusal({ source: "grey" }), /grey \(memory\) cannot get supporting state/);
  assert.match(await refusal({ destination: "other" }), /other takes other\/2, and a has memory\/1/);
  assert.match(await refusal({ destination: "gone" }), /driver gone is not running/);
  assert.match(await refusal({ source: "b", destination: "a" }), /served by box-a, not by box-b alone/);
  steering.table = [{ id: "r", fields: parseFields("udp"), box: "box-c" }];
  assert.match(await refusal({}), /served by box-c, not by box-a alone/);
  assert.equal(await refusal({ fields: parseFields("tcp") }), "done");
  const none = await make({});
  assert.match(JSON.stringify(await none.layer.move(MOVE)), /no driver: none is configured/);
  const still = await make({ a: new MemoryDriver(), b: new MemoryDriver() }, { noSteering: true });
  assert.match(JSON.stringify(await still.layer.move(MOVE)), /nothing here can lead single flows/);
});

Deno.test("Layer tells what was left in the middle before it goes on with it, and begins nothing else until then", async () => {
  const order = { id: "m9", ...MOVE, roles: ["supporting"] } as const;
  const left: Entry[] = [{ id: "m9", mark: "op", round: 0, atMs: 900, order }];
  const a = new MemoryDriver().hold(...flows(3));
  const { layer } = begun({ a, b: new MemoryDriver() }, { left });
  assert.deepEqual(layer.moves().map(({ id, end }) => [id, end]), [["m9", null]]);
  const early = await layer.move(MOVE);
  assert.match(early.ok ? "" : early.text, /what it left in the middle/);
  await layer.recover();
  await layer.idle();
  assert.deepEqual(layer.moves().map(({ id, end }) => [id, end !== null]), [["m9", true]]);
});

Deno.test("Layer takes up its journal when there are drivers, however often it was asked before", async () => {
  const order = { id: "m9", ...MOVE, roles: ["supporting"] } as const;
  const left: Entry[] = [{ id: "m9", mark: "op", round: 0, atMs: 900, order }];
  const drivers: Record<string, StateDriver> = {};
  const { layer } = begun(drivers, { left });
  assert.deepEqual(layer.moves(), []);
  await layer.recover();
  assert.deepEqual(layer.moves(), []);
  drivers["a"] = new MemoryDriver().hold(...flows(3));
  drivers["b"] = new MemoryDriver();
  assert.deepEqual(layer.moves().map(({ end }) => end), [null]);
  await layer.recover();
  await layer.recover();
  await layer.idle();
  assert.deepEqual(layer.moves().map(({ id, end }) => [id, end]), [["m9", "back"]]);
});

Deno.test("Layer.clone() of 5,000 flows has no more than a batch in hand", async () => {
  const a = new MemoryDriver().hold(...flows(5000)), b = new MemoryDriver();
  let most = 0;
  const put = b.put.bind(b);
  b.put = (records) => {
    most = Math.max(most, a.handedOut);
    a.handedOut = 0;
    return put(records);
  };
  const { layer } = await make({ a, b });
  const answer = await layer.clone("a", "b");
  assert.ok(answer.ok);
  assert.equal(answer.view.counts.taken, 5000);
  assert.ok(most <= BATCH, `${most} records were read ahead`);
  const again = await layer.clone("a", "b");
  assert.ok(again.ok && again.view.counts.known === 5000 && again.view.counts.taken === 0);
  assert.equal(a.records.size, 5000);
});

Deno.test("Layer.merge() adds sums once however often it is run, and empties the source", async () => {
  const a = new MemoryDriver().hold(
    countRecord("packets", { merge: "sum", value: 10, version: 4 }),
    countRecord("longest", { merge: "max", value: 3 }),
    countRecord("seen", { merge: "union", value: ["x"] }),
  );
  const b = new MemoryDriver().hold(
    countRecord("packets", { merge: "sum", value: 5, version: 9 }),
    countRecord("longest", { merge: "max", value: 8 }),
    countRecord("seen", { merge: "union", value: ["y"] }),
    flowRecord(1),
  );
  const { layer } = await make({ a, b });
  const first = await layer.merge("b", "a");
  assert.ok(first.ok && first.view.conflicts.length === 0, JSON.stringify(first));
  const values = () => ["packets", "longest", "seen"].map((key) => a.value("reporting", key));
  assert.deepEqual(values(), [15, 8, ["x", "y"]]);
  await layer.merge("b", "a");
  assert.deepEqual(values(), [15, 8, ["x", "y"]]);
  assert.equal(b.value("reporting", "packets"), undefined);
  assert.equal(a.value("supporting", flowRecord(1).key), 1);
});

Deno.test("Layer.merge() names what it cannot decide and leaves it", async () => {
  const cannot = { ...CAN_ALL, del: [] };
  const a = new MemoryDriver().hold(flowRecord(1, { version: 2 }), flowRecord(2, { version: 2 }));
  const b = new MemoryDriver(cannot).hold(
    countRecord("packets", { merge: "sum", value: 5 }),
    flowRecord(1, { version: 2, value: new Uint8Array([57]) }),
    flowRecord(2, { version: 1, value: new Uint8Array([57]) }),
  );
  const { layer } = await make({ a, b });
  const first = await layer.merge("b", "a");
  assert.ok(first.ok);
  assert.deepEqual(first.view.conflicts.map(({ reason }) => reason), [
    "both have version 2, with different values",
  ]);
  b.hold(countRecord("packets", { merge: "sum", value: 6, version: 2 }));
  const second = await layer.merge("b", "a");
  assert.ok(second.ok);
  assert.match(JSON.stringify(second.view.conflicts), /version 2 after version 1 was added/);
  assert.equal(a.value("reporting", "packets"), 5);
  const serving = await layer.merge("a", "b");
  assert.ok(!serving.ok && /serves all flows/.test(serving.text));
});

Deno.test("scale-out and scale-in leave one box with what a single one would have", async () => {
  const a = new MemoryDriver().hold(...flows(50), countRecord("packets", { merge: "sum", value: 10 }));
  const b = new MemoryDriver();
  const { layer, steering } = await make({ a, b });
  const half = parseFields("* 10.1.0.0/27");
  const out = await layer.apply("scale-out", { ...MOVE, fields: half });
  assert.ok(out.ok, JSON.stringify(out));
  assert.match(out.view.lines.join("\n"), /^cloned: 50 records.*\nmoved \* 10\.1\.0\.0\/27 .*32 records/);
  b.hold(countRecord("packets", { merge: "sum", value: 4 }));
  const back = await layer.apply("scale-in", { ...MOVE, source: "b", destination: "a" });
  assert.ok(back.ok, JSON.stringify(back));
  assert.equal(a.value("reporting", "packets"), 14);
  assert.equal([...a.records.values()].filter(({ role }) => role === "supporting").length, 50);
  assert.deepEqual(steering.table, [], "box-a serves by default");
});

Deno.test("migrate has the path move at the end, and leaves no rule that pins flows there", async () => {
  const world = () => ({ a: new MemoryDriver().hold(...flows(5)), b: new MemoryDriver() });
  const { layer, steering, entries } = await make(world());
  const there = await layer.apply("migrate", MOVE);
  assert.ok(there.ok, JSON.stringify(there));
  assert.equal(there.view.lines.at(-1), "traffic goes by box-b");
  assert.deepEqual([steering.table, readIntents(entries.map(entryLine).join("")).rules], [[], []]);
  const back = await layer.apply("migrate", { ...MOVE, source: "b", destination: "a" });
  assert.ok(back.ok, JSON.stringify(back));
  assert.deepEqual(steering.table, []);
  const still = await make(world(), { stays: "the redundant is not known to be alive: no link" });
  const refused = await still.layer.apply("migrate", MOVE);
  assert.match(
    refused.ok ? "" : refused.text,
    /^all flows are with b, but the path stays: the redundant is not known .*done before: cloned: .*; moved \* /,
  );
  assert.deepEqual(still.steering.table.map(({ box }) => box), ["box-b"]);
});

Deno.test("judgeMerge() puts again under the same version what is in doubt", () => {
  const record = countRecord("packets", { merge: "sum", value: 5, version: 3 });
  const first = judgeMerge(record, { version: 8, digest: "" }, null);
  assert.ok(first.kind === "put" && first.merged !== null);
  const { merged } = first;
  const doubt = judgeMerge(record, { version: 12, digest: "" }, merged);
  assert.ok(doubt.kind === "put" && doubt.record.version === first.record.version);
  assert.equal(judgeMerge(record, null, { ...merged, done: true }).kind, "known");
  // Deleted at the source and begun anew.
  assert.equal(judgeMerge({ ...record, version: 1 }, null, { ...merged, done: true }).kind, "put");
});
