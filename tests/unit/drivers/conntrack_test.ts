/** The driver of connection tracking by its contract, with a kernel in memory behind its sockets. */
import assert from "node:assert/strict";
import { ConntrackDriver, type ConntrackOptions, SETTINGS } from "../../../drivers/conntrack.ts";
import { flowOfNames } from "../../../drivers/conntrack_named.ts";
import { fieldsOfKey } from "../../../drivers/conntrack_watch.ts";
import { encodeFlow } from "../../../drivers/conntrack_value.ts";
import type { HeaderFields } from "../../../drivers/fields.ts";
import { type Flow, keyOf } from "../../../drivers/netlink/flow.ts";
import { recordFault, type StateRecord } from "../../../drivers/record.ts";
import { digestOf, REMEMBERED_MAX, Versions } from "../../../drivers/versions.ts";
import { Random } from "../../../filter/random.ts";
import { FakeConntrack } from "../../support/fake_conntrack.ts";
import { flowBy } from "../../support/flows.ts";

function driver(kernel: FakeConntrack, options: Partial<ConntrackOptions> = {}): ConntrackDriver {
  return new ConntrackDriver({
    namespace: "",
    existing: "replace",
    liberal: false,
    bufferBytes: 1 << 20,
    refreshMs: 20_000,
    nowMs: () => 1_000,
    open: kernel.open,
    ...options,
  });
}

/** A flow by its ports; `outside`: the port that a NAT gives it. */
function flow(port: number, outside = port, more: Partial<Flow> = {}): Flow {
  const ends = {
    protocol: 6,
    source: "10.1.0.11",
    sourcePort: port,
    destination: "10.2.0.11",
    destinationPort: 80,
  };
  const reply = {
    protocol: 6,
    source: "10.2.0.11",
    sourcePort: 80,
    destination: "10.2.0.1",
    destinationPort: outside,
  };
  const { tcp, ...named } = flowOfNames({ original: ends, reply, state: "established", timeoutMs: 90_000 });
  return { ...named, tcp: { ...tcp!, flags: [0, 0] }, ...more };
}

async function all(from: ConntrackDriver, fields: HeaderFields = {}): Promise<StateRecord[]> {
  return await Array.fromAsync(from.get("supporting", fields, new AbortController().signal));
}

const ended = (record: StateRecord, version: number): StateRecord => ({
  ...record,
  value: new Uint8Array(),
  version,
  ttlMs: null,
  ended: true,
});

Deno.test("ConntrackDriver: what is read is put, is there, and is known the second time", async () => {
  const random = new Random(5);
  const [here, there] = [new FakeConntrack(), new FakeConntrack()];
  for (let i = 0; i < 300; i++) {
    here.add({
      ...flowBy(random),
      helper: "",
      labels: new Uint8Array(),
      adjustments: [null, null],
      sctp: null,
      master: null,
    });
  }
  const [from, to] = [driver(here), driver(there)];
  const records = await all(from);
  assert.equal(records.length, 300);
  assert.deepEqual(records.flatMap((record) => recordFault(record) ?? []), []);
  assert.deepEqual(await to.put(records), { taken: 300, known: 0, refused: [] });
  assert.deepEqual([...there.flows].sort(), [...here.flows].sort());
  assert.deepEqual(await to.put(records), { taken: 0, known: 300, refused: [] });
  const again = await all(to);
  const version = (list: readonly StateRecord[]) => list.map((one) => [one.key, one.version]).sort();
  assert.deepEqual(version(again), version(records), "what arrived keeps its version");
  assert.deepEqual(version(await all(from)), version(records), "what has not changed keeps its version");
  assert.equal(
    (await all(from, { protocol: 17 })).length,
    records.filter((one) => one.fields.protocol === 17).length,
  );
  assert.equal(
    await to.del("supporting", { protocol: 6 }),
    records.filter((one) => one.fields.protocol === 6).length,
  );
  assert.equal((await all(to)).some((one) => one.fields.protocol === 6), false);
  assert.ok((await to.put(records)).taken > 0, "what was taken away by order may come back");
});

Deno.test("ConntrackDriver: what the box has already is brought up to date, made anew, kept, or refused", async () => {
  const kernel = new FakeConntrack();
  kernel.add(flow(1, 1, { mark: 5 }));
  kernel.add(flow(2, 222));
  kernel.add(flow(9, 3));
  const source = new FakeConntrack();
  for (const port of [1, 2, 3]) source.add(flow(port));
  const records = await all(driver(source));
  const keep = await driver(kernel, { existing: "keep" }).put(records.slice(0, 2));
  assert.deepEqual(keep, { taken: 0, known: 2, refused: [] });
  const to = driver(kernel);
  assert.deepEqual(await to.put(records), {
    taken: 2,
    known: 0,
    refused: [{
      key: "tcp 10.1.0.11 3 > 10.2.0.11 80",
      reason: "another flow of the box has its reply direction",
    }],
  });
  assert.deepEqual(kernel.flows.get(keyOf(flow(1))), flow(1));
  assert.deepEqual(kernel.flows.get(keyOf(flow(2))), flow(2));
  const { put_changed, put_replaced, put_refused } = to.counters();
  assert.deepEqual([put_changed, put_replaced, put_refused], [1, 1, 1]);
});

Deno.test("ConntrackDriver: an end is newer than what it ended, and a flow that went by itself can be put again", async () => {
  const kernel = new FakeConntrack();
  const source = new FakeConntrack();
  source.add(flow(1));
  const [record] = await all(driver(source));
  const to = driver(kernel);
  await to.put([record!]);
  kernel.remove(keyOf(flow(1)));
  assert.deepEqual(await to.put([record!]), { taken: 1, known: 0, refused: [] });
  assert.equal((await to.put([ended(record!, record!.version + 1)])).taken, 1);
  assert.equal((await to.put([ended(record!, record!.version + 1)])).known, 1);
  assert.equal((await to.put([record!])).known, 1);
  assert.equal(kernel.flows.size, 0);
  const nameless = { ...ended(record!, 9e15), key: "all", fields: {} };
  assert.match((await to.put([nameless])).refused[0]!.reason, /fields name no single flow/);
});

Deno.test("ConntrackDriver: a kernel that lacks what a flow has gets it without; a wrong value is refused by name", async () => {
  const kernel = new FakeConntrack();
  kernel.lacks = { labels: true };
  const source = new FakeConntrack();
  source.add(flow(1, 1, { labels: Uint8Array.of(8, ...Array(15).fill(0)) }));
  const [record] = await all(driver(source));
  const to = driver(kernel);
  assert.deepEqual(await to.put([record!]), { taken: 1, known: 0, refused: [] });
  assert.equal(to.counters()["put_reduced"], 1);
  const wrong = { ...record!, key: "wrong", value: record!.value.slice(0, 9) };
  const other = { ...record!, key: "other", codec: "flow/7" };
  assert.deepEqual((await to.put([wrong, other])).refused, [
    { key: "wrong", reason: "its value cannot be read: it ends at 9, 4 more bytes are needed" },
    { key: "other", reason: "its codec is flow/7, not conntrack/1 or flow/1" },
  ]);
});

Deno.test("ConntrackDriver: a kernel that filters no dumps is read whole; without the right nothing opens", async () => {
  const kernel = new FakeConntrack();
  kernel.lacks = { filters: true };
  for (const port of [1, 2, 3]) kernel.add(flow(port));
  const one = driver(kernel);
  assert.equal((await all(one, { source: "10.1.0.11", sourcePort: 2, protocol: 6 })).length, 1);
  assert.deepEqual(await all(one, { source: "10.1.0.12" }), []);
  const [record] = await all(one);
  kernel.lacks = { right: true };
  assert.throws(
    () => driver(kernel),
    /Cannot ask for the number of flows: not permitted: it needs CAP_NET_ADMIN/,
  );
  await assert.rejects(
    one.put([{ ...record!, key: "x", value: encodeFlow(flow(7)) }]),
    /Cannot put flows: not permitted/,
  );
});

Deno.test("ConntrackDriver: a watch tells what others do and gaps, with growing versions, and not its own doing", async () => {
  const kernel = new FakeConntrack();
  const one = driver(kernel);
  const end = new AbortController();
  const events = one.watch(end.signal);
  const next = async () => {
    const { value } = await events.next();
    return value?.kind === "record"
      ? [value.record.key.split(" ")[2], value.record.ended, value.record.version]
      : value;
  };
  kernel.add(flow(1));
  kernel.add({ ...flow(1), mark: 3 });
  const source = new FakeConntrack();
  source.add(flow(5));
  await one.put(await all(driver(source)));
  kernel.remove(keyOf(flow(1)));
  kernel.overrun();
  kernel.add(flow(2));
  const [made, changed, gone] = [await next(), await next(), await next()] as [string, boolean, number][];
  assert.deepEqual([made!, changed!, gone!].map(([port, over]) => [port, over]), [
    ["1", false],
    ["1", false],
    ["1", true],
  ]);
  assert.ok(made![2] < changed![2] && changed![2] < gone![2]);
  assert.equal((await next() as unknown[])[0], "2", "what waited behind the gap");
  assert.deepEqual(await next(), {
    kind: "gap",
    reason: "more events waited than buffer_bytes has room for",
  });
  end.abort();
  assert.equal((await events.next()).done, true);
  assert.deepEqual([one.counters()["events"], one.counters()["events_own"], one.counters()["gaps"]], [
    4,
    1,
    1,
  ]);
});

Deno.test("ConntrackDriver: a watch tells that a flow lives on, and the end of one that was there before", async () => {
  const kernel = new FakeConntrack();
  let nowMs = 1_000;
  const one = driver(kernel, { nowMs: () => nowMs });
  for (const [port, timeoutS] of [[1, 30], [2, 600], [3, 600]] as const) {
    kernel.add({ ...flow(port), timeoutS });
  }
  const end = new AbortController();
  const told: string[] = [];
  const done = (async () => {
    for await (const event of one.watch(end.signal)) {
      if (event.kind === "record") {
        told.push(`${event.record.key.split(" ")[2]}${event.record.ended ? " ended" : ""}`);
      }
    }
  })();
  const soon = () => new Promise((resolve) => setTimeout(resolve, 20));
  await soon();
  assert.deepEqual(told, [], "what is there already is read by whoever listens");
  kernel.flows.delete(keyOf(flow(2)));
  const key = keyOf(flow(4));
  kernel.flows.set(key, flow(4));
  nowMs += 20_000;
  await soon();
  assert.deepEqual(told.splice(0).sort(), ["1", "2 ended", "4"]);
  nowMs += 1;
  await soon();
  end.abort();
  await done;
  assert.deepEqual(told, []);
  const { refreshed, ends_missed } = one.counters();
  assert.deepEqual([refreshed, ends_missed], [2, 1]);
  assert.deepEqual(fieldsOfKey("icmp 10.0.0.1 7 > 10.0.0.2 * type 3328 zone 9"), {
    protocol: 1,
    source: "10.0.0.1",
    sourcePort: 7,
    destination: "10.0.0.2",
  });
});

Deno.test("flowOfNames() makes a flow of what a log says, without windows", () => {
  const ends = (source: string, destination: string) => ({
    protocol: 1,
    source,
    sourcePort: 7,
    destination,
    destinationPort: 7,
  });
  const echo = flowOfNames({
    original: ends("10.0.0.1", "10.0.0.2"),
    reply: ends("10.0.0.2", "9.9.9.9"),
    state: "none",
    timeoutMs: null,
  });
  assert.equal(keyOf(echo), "icmp 10.0.0.1 7 > 10.0.0.2 *");
  assert.deepEqual([echo.reply.second, echo.timeoutS, echo.tcp], [0, 60, null]);
  const named = { original: { ...ends("10.0.0.1", "10.0.0.2"), protocol: 6 }, timeoutMs: 1500 };
  const tcp = flowOfNames({
    ...named,
    reply: { ...ends("10.0.0.2", "10.0.0.1"), protocol: 6 },
    state: "none",
  });
  assert.deepEqual([tcp.tcp, tcp.timeoutS], [{ state: 3, scales: [0, 0], flags: [8, 8] }, 2]);
  assert.throws(
    () => flowOfNames({ ...named, reply: ends("fd00::1", "fd00::2"), state: "none" }),
    /two families/,
  );
});

Deno.test("Versions: times that only grow, and what is too much is forgotten", () => {
  let now = 5;
  const versions = new Versions(() => now);
  assert.equal(versions.next(), 5_000);
  now = 4;
  assert.equal(versions.next(), 5_001, "a clock that was put back");
  assert.equal(versions.of("a", 1, 10), 10);
  assert.equal(versions.of("a", 1, 20), 10);
  assert.equal(versions.of("a", 2, 7), 11);
  assert.equal(versions.has("a", 1), null, "the box made it by itself");
  versions.put("a", 30, 2);
  assert.deepEqual([versions.has("a", 30), versions.has("a", 31)], ["value", null]);
  assert.equal(versions.end("a", 8), 31);
  assert.equal(versions.has("a", 30), "ended");
  for (let i = 0; i < REMEMBERED_MAX; i++) versions.put(`k${i}`, 1, digestOf(Uint8Array.of(i & 255)));
  assert.equal(versions.has("a", 1), null);
  assert.equal(versions.has("k0", 1), "value");
});

Deno.test("settings of conntrack: a namespace is a name or a path", () => {
  const fault = SETTINGS["namespace"]!.fault!;
  for (const good of ["", "box", "/proc/12/ns/net"]) assert.equal(fault(good), null);
  for (const bad of ["a/b", ".", "/", "../x"]) assert.match(fault(bad) ?? "", /no name of a namespace/);
});
