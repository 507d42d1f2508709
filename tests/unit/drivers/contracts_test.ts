/** The declared contracts of gNMI and P4Runtime, each held against a peer in memory that answers as the specification says. */
import assert from "node:assert/strict";
import {
  GnmiDriver,
  gnmiPathText,
  type GnmiPeer,
  type GnmiUpdate,
  parseGnmiPath,
} from "../../../drivers/contracts/gnmi.ts";
import {
  P4Driver,
  type P4Entry,
  p4Fields,
  p4Key,
  type P4Mapping,
  type P4Peer,
} from "../../../drivers/contracts/p4runtime.ts";
import type { StateDriver } from "../../../drivers/driver.ts";
import { ALL } from "../../../drivers/fields.ts";
import type { StateRole } from "../../../drivers/record.ts";
import { context } from "../../support/openflow_lab.ts";

const never = new AbortController().signal;
const all = (driver: StateDriver, role: StateRole) => Array.fromAsync(driver.get(role, ALL, never));

/** A box with OpenConfig: a transaction is taken whole or not at all. */
class FakeGnmi implements GnmiPeer {
  timestamp = 1_700_000_000_000_000_000n;
  constructor(readonly tree: Map<string, string>) {}

  get(paths: readonly string[]): Promise<GnmiUpdate[]> {
    const own = [...this.tree].filter(([path]) =>
      paths.some((one) => path === one || path.startsWith(`${one}/`))
    );
    return Promise.resolve(own.map(([path, json]) => ({ path, json, timestamp: this.timestamp })));
  }

  set(replace: readonly { path: string; json: string }[], remove: readonly string[]): Promise<void> {
    if (replace.some(({ json }) => json === "null")) {
      return Promise.reject(new Error("INVALID_ARGUMENT: no value"));
    }
    for (const path of remove) this.tree.delete(path);
    for (const { path, json } of replace) this.tree.set(path, json);
    return Promise.resolve();
  }

  async *subscribe(): AsyncGenerator<{ path: string; json: string | null; timestamp: bigint }> {
    await Promise.resolve();
    yield { path: "/acl/entry[id=1]", json: "{}", timestamp: this.timestamp };
    yield { path: "/acl/entry[id=1]", json: null, timestamp: this.timestamp + 1000n };
    yield { path: "/elsewhere", json: "{}", timestamp: this.timestamp };
  }
}

const gnmi = (tree: [string, string][]) => {
  const peer = new FakeGnmi(new Map(tree));
  const paths = { configuration: ["/acl"], supporting: ["/sessions"], reporting: [] };
  return { peer, driver: new GnmiDriver({ peer, paths, context: context("gnmi") }) };
};

Deno.test("GnmiDriver carries configuration from box to box, and a refused transaction takes nothing", async () => {
  const a = gnmi([["/acl/entry[id=1]", '{"action":"DROP"}'], ["/sessions/s[id=9]", "{}"]]), b = gnmi([]);
  const records = await all(a.driver, "configuration");
  assert.deepEqual(await b.driver.put(records), { taken: 1, known: 0, refused: [] });
  assert.deepEqual(await b.driver.put(records), { taken: 0, known: 1, refused: [] });
  assert.equal(b.peer.tree.get("/acl/entry[id=1]"), '{"action":"DROP"}');
  const [first] = records;
  const bad = { ...first!, key: "/acl/entry[id=2]", value: new TextEncoder().encode("null") };
  const refused = await b.driver.put([bad, { ...first!, version: first!.version + 1 }]);
  assert.deepEqual(refused.refused.map(({ reason }) => reason), Array(2).fill("INVALID_ARGUMENT: no value"));
  const [session] = await all(a.driver, "supporting");
  assert.match(
    (await b.driver.put([session!])).refused[0]!.reason,
    /supporting state, which gNMI cannot set/,
  );
  const other = { ...first!, key: "/system/login", version: 9 };
  assert.match((await b.driver.put([other])).refused[0]!.reason, /none of those/);
  const events = await Array.fromAsync(a.driver.watch(never));
  assert.deepEqual(events.map((event) => event.kind === "record" && event.record.ended), [false, true]);
  assert.equal(await b.driver.del("configuration", ALL), 1);
});

Deno.test("gNMI paths are read as they are written, keys in any order", () => {
  const text = "/interfaces/interface[name=eth0/1\\]]/a[x=1][b=2]";
  assert.equal(gnmiPathText(parseGnmiPath(text)), "/interfaces/interface[name=eth0/1\\]]/a[b=2][x=1]");
  for (const bad of ["", "acl", "/a[b]", "/a//b", "/a[b=c"]) {
    assert.throws(() => parseGnmiPath(bad), /is no gNMI path/);
  }
});

const MAPPING: P4Mapping = {
  7: { 1: "source", 2: "destination", 3: "protocol", 4: "sourcePort", 5: "destinationPort" },
};
const entry = (change: Partial<P4Entry> = {}): P4Entry => ({
  ...{ table: 7, priority: 0, idleTimeoutNs: "0", action: { id: 3, params: [{ id: 1, value: "02" }] } },
  match: [
    ...[{ field: 1, value: "0a01000b" }, { field: 2, value: "0a01000c" }, { field: 3, value: "06" }],
    ...[{ field: 4, value: "9c40" }, { field: 5, value: "50" }],
  ],
  ...change,
});

/** A P4 box: each update has a status of its own. */
class FakeP4 implements P4Peer {
  readonly entries = new Map<string, P4Entry>();

  read(tables: readonly number[]): Promise<P4Entry[]> {
    return Promise.resolve([...this.entries.values()].filter(({ table }) => tables.includes(table)));
  }

  write(updates: Parameters<P4Peer["write"]>[0]) {
    return Promise.resolve(updates.map(({ type, entry: one }) => {
      const key = p4Key(one), there = this.entries.has(key);
      if (type === "INSERT" && there) return { code: "ALREADY_EXISTS", message: key };
      if (type !== "INSERT" && !there) return { code: "NOT_FOUND", message: key };
      if (type === "DELETE") this.entries.delete(key);
      else this.entries.set(key, one);
      return null;
    }));
  }
}

Deno.test("P4Driver puts, changes and deletes table entries, and names what the box refuses", async () => {
  const [a, b] = [new FakeP4(), new FakeP4()];
  await a.write([{ type: "INSERT", entry: entry() }, {
    type: "INSERT",
    entry: entry({ match: [], priority: 1 }),
  }]);
  let nowMs = 1000;
  const [from, to] = [a, b].map((peer) => new P4Driver(peer, MAPPING, () => nowMs));
  const records = await all(from!, "supporting");
  assert.deepEqual(records.map(({ partition }) => partition), ["flow", "shared"]);
  assert.match(records[0]!.key, /^tcp 10\.1\.0\.11 40000 > 10\.1\.0\.12 80, table 7 0 /);
  assert.deepEqual(await to!.put(records), { taken: 2, known: 0, refused: [] });
  assert.deepEqual(await to!.put(records), { taken: 0, known: 2, refused: [] });
  assert.deepEqual([...b.entries], [...a.entries]);
  nowMs = 2000;
  await a.write([{ type: "MODIFY", entry: entry({ idleTimeoutNs: "5" }) }]);
  const [changed] = await all(from!, "supporting");
  assert.equal((await to!.put([changed!])).taken, 1);
  const end = { ...changed!, ended: true, value: new Uint8Array(0), version: 3000 };
  assert.equal((await to!.put([end])).taken, 1);
  assert.match((await to!.put([{ ...end, version: 4000 }])).refused[0]!.reason, /never put here/);
  await b.write([{ type: "INSERT", entry: entry() }]);
  const late = await to!.put([{ ...changed!, version: 5000 }]);
  assert.match(late.refused[0]!.reason, /the box says: ALREADY_EXISTS/);
  assert.match(
    (await to!.put([{ ...changed!, version: 6000, value: new Uint8Array([123, 125]) }])).refused[0]!.reason,
    /no table entry/,
  );
  assert.equal(await from!.del("supporting", { source: "10.1.0.0/16" }), 1);
  assert.deepEqual(p4Fields(entry({ match: [{ field: 1, value: "0a000000", mask: 8 }] }), MAPPING), {
    source: "10.0.0.0/8",
  });
});
