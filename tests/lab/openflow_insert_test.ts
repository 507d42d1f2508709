/**
 * Open vSwitch as a place of state: what is put is there, what it refuses comes back with its record and its reason,
 * groups before their flows, entries that stand by outlive their idle timeout, and counters add up.
 */
import assert from "node:assert/strict";
import type { StateDriver } from "../../drivers/driver.ts";
import { ALL } from "../../drivers/fields.ts";
import { type Action, output } from "../../drivers/openflow/actions.ts";
import type { Field } from "../../drivers/openflow/match.ts";
import type { FlowMod, GroupMod } from "../../drivers/openflow/messages.ts";
import { GROUP_ANY, NO_BUFFER, PORT } from "../../drivers/openflow/names.ts";
import type { PieceBody } from "../../drivers/openflow/piece.ts";
import { decodeCounts, mergeCounts, pieceRecord } from "../../drivers/openflow/records.ts";
import type { StateRecord } from "../../drivers/record.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { DummySwitch } from "../support/dummy_switch.ts";
import { normal, openSwitch, PORTS } from "../support/openflow_lab.ts";
import { missingSwitch } from "../support/switch_lab.ts";

const missing = missingSwitch();
const never = new AbortController().signal;

function test(claim: string, fn: (driver: StateDriver, ovs: DummySwitch) => Promise<void>): void {
  Deno.test({
    name: `${claim}${missing && ` (needs ${missing})`}`,
    ignore: missing !== "",
    fn: async () => {
      await using ovs = await DummySwitch.up(PORTS);
      const settings = { address: `tcp:127.0.0.1:${ovs.port}`, datapath: "00000000000000aa", poll_ms: 100 };
      const driver = await openSwitch(settings);
      try {
        await fn(driver, ovs);
      } finally {
        await driver.close();
      }
    },
  });
}

const field = (name: string, value: number): Field => ({ name, value: BigInt(value), mask: null });

function flow(port: number, actions: readonly Action[], change: Partial<FlowMod> = {}): FlowMod {
  const match = [field("eth_type", 0x800), field("ip_proto", 6), field("ipv4_src", 0x0a01000b)];
  match.push(field("ipv4_dst", 0x0a01000c), field("tcp_src", 40_000), field("tcp_dst", port));
  return {
    ...{
      kind: "flow-mod",
      command: 0,
      cookie: 0n,
      cookieMask: 0n,
      table: 0,
      priority: 5,
      idleS: 0,
      hardS: 0,
    },
    ...{ buffer: NO_BUFFER, outPort: PORT.any, outGroup: GROUP_ANY, flags: 0, match },
    ...{ instructions: [{ kind: "apply", actions }], ...change },
  };
}

function group(number: number, action: Action): GroupMod {
  const bucket = { weight: 0, watchPort: PORT.any, watchGroup: GROUP_ANY, actions: [action] };
  return { kind: "group-mod", command: 0, type: 0, group: number, buckets: [bucket] };
}

let version = 0;
function record(body: PieceBody, ended = false): StateRecord {
  return pieceRecord({ body, origin: 4, version: ++version, ttlMs: null, ended }, []);
}

async function got(
  driver: StateDriver,
  role: "supporting" | "reporting",
  fields = ALL,
): Promise<StateRecord[]> {
  return await Array.fromAsync(driver.get(role, fields, never));
}

test(
  "groups come before what uses them, whatever the order of the records, and go after it",
  async (driver, ovs) => {
    const records = [
      record(flow(80, [{ kind: "group", group: 2 }])),
      record(group(2, { kind: "group", group: 1 })),
      record(group(1, output(2))),
    ];
    assert.deepEqual(await driver.put(records), { taken: 3, known: 0, refused: [] });
    assert.deepEqual(
      await driver.put(records),
      { taken: 0, known: 3, refused: [] },
      "the second time changes nothing",
    );
    const changed = record(group(1, output(3)));
    assert.equal((await driver.put([changed])).taken, 1);
    assert.match(await ovs.dump("groups"), /group_id=1,type=all,bucket=actions=output:3/);
    const ends = [record(group(1, output(3)), true), record(group(2, output(1)), true)];
    const result = await driver.put([...ends, record(flow(80, []), true)]);
    assert.deepEqual(result, { taken: 3, known: 0, refused: [] });
    assert.deepEqual([normal(await ovs.dump("flows")), normal(await ovs.dump("groups"))], [[], []]);
    assert.equal((await driver.put([records[0]!])).known, 1, "it ended since");
  },
);

test("what the switch refuses comes back with its record and its reason", async (driver, ovs) => {
  const bad = record(flow(81, [{ kind: "group", group: 9 }]));
  const foreign = { ...record(flow(82, [])), codec: "conntrack/1" };
  const counted = { ...record(flow(83, [])), role: "reporting" as const };
  const result = await driver.put([bad, foreign, counted, record(flow(84, [output(1)]))]);
  assert.equal(result.taken, 1);
  assert.deepEqual(
    new Map(result.refused.map(({ key, reason }) => [key, reason])),
    new Map([
      [foreign.key, 'its codec is "conntrack/1", not "openflow/1"'],
      [counted.key, "it is reporting state, and a switch takes only supporting state"],
      [bad.key, "the switch says: bad action, bad output group"],
    ]),
  );
  assert.equal(normal(await ovs.dump("flows")).length, 1);
  const wrong = openSwitch({ address: `tcp:127.0.0.1:${ovs.port}`, datapath: "00000000000000bb" });
  await assert.rejects(wrong, /it has datapath 00000000000000aa, not 00000000000000bb/);
});

test("an entry that stands by has no idle timeout, and one with packets has its own", async (driver, ovs) => {
  const timed = { idleS: 2, flags: 4 };
  await driver.put([record(flow(80, [output(2)], timed)), record(flow(81, [output(2)], timed))]);
  const eth = "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800)";
  const ip = "ipv4(src=10.1.0.11,dst=10.1.0.12,proto=6,tos=0,ttl=64,frag=no)";
  await ovs.receive("p1", `${eth},${ip},tcp(src=40000,dst=81),tcp_flags(ack)`);
  const deadline = Date.now() + 15_000;
  while (normal(await ovs.dump("flows")).length > 1 && Date.now() < deadline) await sleep(200);
  const left = normal(await ovs.dump("flows"));
  assert.equal(left.length, 1, left.join("\n"));
  assert.match(left[0]!, /tp_dst=80/);
  assert.equal(driver.counters()["timed"], 1);
});

test(
  "state is read by header fields, told as it changes, deleted, and counters add up",
  async (driver, ovs) => {
    const stop = new AbortController();
    const told: StateRecord[] = [];
    const watching = (async () => {
      for await (const event of driver.watch(stop.signal)) {
        if (event.kind === "record") {
          told.push(event.record);
        }
      }
    })();
    await driver.put([record(flow(80, [output(2)])), record(group(1, output(1)))]);
    await ovs.openflow("add-flow", "priority=7,tcp,nw_src=10.1.0.0/24,actions=output:3");
    for (let waited = 0; told.length === 0 && waited < 30_000; waited += 50) await sleep(50);
    assert.deepEqual(
      told.map(({ fields }) => fields),
      [{ protocol: 6, source: "10.1.0.0/24" }],
      "not of what was put",
    );
    await ovs.openflow("del-flows", "--strict", "priority=7,tcp,nw_src=10.1.0.0/24");
    for (let waited = 0; told.length < 2 && waited < 30_000; waited += 50) await sleep(50);
    stop.abort();
    await watching;
    assert.equal((await got(driver, "supporting", { protocol: 6, destination: "10.1.0.12" })).length, 2);
    const other = await got(driver, "supporting", { destination: "10.9.0.0/16" });
    assert.deepEqual(other.map(({ partition }) => partition), ["shared"]);
    const [counts] = await got(driver, "reporting");
    assert.deepEqual([counts?.merge, decodeCounts(counts!.value).packets], ["sum", 0n]);
    assert.equal(decodeCounts(mergeCounts(counts!.value, counts!.value)).bytes, 0n);
    assert.equal(await driver.del("supporting", { source: "10.1.0.11" }), 1);
    assert.equal(await driver.del("supporting", ALL), 1);
    await assert.rejects(driver.del("reporting", ALL), /Cannot delete reporting state of a switch/);
  },
);
