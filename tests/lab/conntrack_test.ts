/**
 * The conntrack driver with the kernel's own connection tracking, in namespaces: what it reads is put into another box,
 * which then carries on; what it tells while flows open and close is what `conntrack -L` lists.
 */
import assert from "node:assert/strict";
import { decodeFlow, encodeFlow } from "../../drivers/conntrack_value.ts";
import { encodeFlow as encodeNamed, FLOW_CODEC, type FlowTuple } from "../../drivers/flow_value.ts";
import type { StateDriver } from "../../drivers/driver.ts";
import { fieldsText, type HeaderFields } from "../../drivers/fields.ts";
import { addressText, type Tuple } from "../../drivers/netlink/flow.ts";
import type { StateRecord } from "../../drivers/record.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { startBridge } from "../../scripts/lab/node.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { TOP } from "../support/programs.ts";
import { Follower, listed, movePath, openConntrack, readAll } from "../support/state_lab.ts";

/** Each box chooses ports at random, so a flow can only live on the other one if its binding came along. */
async function natLab(clients: number): Promise<{ lab: Lab; built: Programs }> {
  await sweep();
  const lab = await Lab.up(hotReplica({ clients, servers: 1, ports: "fully-random" }));
  try {
    const built = await programs(TOP);
    await startBridge(lab);
    await startServers(lab, built);
    await waitForPath(lab, built, "c1", "s1");
    return { lab, built };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

type Report = { flows: [state: string, gap: number, at: number, bytes: number, alive: boolean][] };

function fetchFlows(lab: Lab, built: Programs, client: string, [count, ms]: readonly [number, number]) {
  const argv = [built.longflows, "fetch", "10.2.0.11", String(LONG_PORT), String(count), "1024", String(ms)];
  return lab.exec(client, argv).then((text) => (JSON.parse(text) as Report).flows);
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(50)) {
    if (await holds()) return;
  }
  assert.fail(`in vain waited until ${what}`);
}

/** Whether the primary has so many long connections that both ends have opened. */
async function allOpen(lab: Lab, count: number): Promise<boolean> {
  const text = await lab.exec("primary", ["conntrack", "-L", "-p", "tcp", "--dport", String(LONG_PORT)]);
  return (text.match(/ ESTABLISHED .*\[ASSURED\]/g)?.length ?? 0) >= count;
}

Deno.test("conntrack: 500 connections through a NAT live on, on the box that their state was put into", async () => {
  const { lab, built } = await natLab(2);
  await using _ = lab;
  const [from, to] = await Promise.all([openConntrack(lab, "primary"), openConntrack(lab, "redundant")]);
  try {
    const done = Promise.all(["c1", "c2"].map((client) => fetchFlows(lab, built, client, [250, 9_000])));
    await sleep(2_000);
    await until("all are open", () => allOpen(lab, 500));
    const records = await readAll(from, {
      protocol: 6,
      destination: "10.2.0.11",
      destinationPort: LONG_PORT,
    });
    assert.equal(records.length, 500);
    assert.ok(
      records.every(({ value }) => value.length <= 160),
      "a value with its seal has at most 200 bytes",
    );
    assert.deepEqual(await to.put(records), { taken: 500, known: 0, refused: [] });
    assert.deepEqual(await to.put(records), { taken: 0, known: 500, refused: [] });
    await movePath(lab);
    const flows = (await done).flat();
    assert.equal(flows.filter(([, , , , alive]) => alive).length, 500);
    assert.deepEqual(new Set(flows.map(([state]) => state)), new Set(["open"]));
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
});

/** What a log would say of a flow: names, and nothing of windows. */
function asNamed(record: StateRecord): StateRecord {
  const { original, reply } = decodeFlow(record.value);
  const ends = ({ protocol, source, destination, first, second }: Tuple): FlowTuple => ({
    protocol,
    source: addressText(source),
    sourcePort: first,
    destination: addressText(destination),
    destinationPort: second,
  });
  const value = encodeNamed({
    original: ends(original),
    reply: ends(reply),
    state: "established",
    timeoutMs: null,
    openedMs: 1,
    changedMs: 1,
  });
  return { ...record, codec: FLOW_CODEC, value };
}

Deno.test("conntrack: connections live on by their names alone, as a log tells them", async () => {
  const { lab, built } = await natLab(1);
  await using _ = lab;
  const [from, to] = await Promise.all([openConntrack(lab, "primary"), openConntrack(lab, "redundant")]);
  try {
    const done = fetchFlows(lab, built, "c1", [40, 6_000]);
    await until("all are open", () => allOpen(lab, 40));
    const records = await readAll(from, { protocol: 6, destinationPort: LONG_PORT });
    assert.deepEqual(await to.put(records.map(asNamed)), { taken: 40, known: 0, refused: [] });
    await movePath(lab);
    assert.equal((await done).filter(([, , , , alive]) => alive).length, 40);
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
});

Deno.test("conntrack: what is told while flows open and close is what the kernel lists", async () => {
  const { lab, built } = await natLab(1);
  await using _ = lab;
  const box = await openConntrack(lab, "primary");
  const before = new Set((await readAll(box)).map(({ key }) => key));
  const follower = new Follower(box);
  try {
    const short = fetchFlows(lab, built, "c1", [40, 700]), long = fetchFlows(lab, built, "c1", [20, 6_000]);
    await short;
    const keys = async () =>
      [...await listed(lab, "primary", "tcp")].filter((key) => !before.has(key)).sort();
    const told = () =>
      [...follower.there()].filter((key) => key.startsWith("tcp") && !before.has(key)).sort();
    await until("60 flows were told", () => told().length === 60);
    assert.deepEqual(told(), await keys());
    const client = (await keys()).slice(0, 10);
    const ports = client.map((key) => key.split(" ")[2]!);
    for (const port of ports) {
      await lab.exec("primary", ["conntrack", "-D", "-p", "tcp", "--orig-port-src", port]);
    }
    await until("their end was told", () => client.every((key) => !follower.there().has(key)));
    await until("both agree", async () => JSON.stringify(told()) === JSON.stringify(await keys()));
    assert.deepEqual(follower.events.filter(({ kind }) => kind !== "record"), []);
    await long;
  } finally {
    await follower.end();
    await box.close();
  }
});

const ended = (record: StateRecord): StateRecord => ({
  ...record,
  value: new Uint8Array(),
  version: record.version + 1,
  ttlMs: null,
  ended: true,
});

const tcp = (port: number, outside: number) =>
  `-p tcp -s 10.1.0.11 -d 10.2.0.11 --sport ${port} --dport 80 -r 10.2.0.11 -q 10.2.0.1 --reply-port-src 80 ` +
  `--reply-port-dst ${outside} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 500 -m 7`;

/** Entries of all kinds. */
const MADE = [
  tcp(4000, 5000),
  tcp(4001, 5001),
  `${tcp(4002, 5002)} -w 9`,
  "-p udp -s 10.1.0.11 -d 10.2.0.53 --sport 53 --dport 53 -r 192.0.2.1 -q 10.1.0.11 --reply-port-src 5353 " +
  "--reply-port-dst 53 -t 40",
  "-p icmp -s 10.1.0.11 -d 10.2.0.11 --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 30",
  "-p tcp -s fd00::1 -d fd00::2 --sport 1 --dport 2 --state ESTABLISHED -u SEEN_REPLY -t 60",
];
/** In the other box: its outside end is that of the first one, and one has another binding there. */
const THERE = [tcp(6000, 5000), tcp(4001, 6001)];
const THERE_KEYS = ["tcp 10.1.0.11 6000 > 10.2.0.11 80", "tcp 10.1.0.11 4001 > 10.2.0.11 80"];

async function make(lab: Lab, box: string, entries: readonly string[]): Promise<void> {
  for (const words of entries) await lab.exec(box, ["conntrack", "-I", ...words.split(" ")]);
}

/** Without the time left. */
const bare = (list: readonly StateRecord[]) =>
  new Map(list.map(({ key, value }) => [key, [...value.subarray(0, 8), ...value.subarray(12)].join()]));

const versions = (list: readonly StateRecord[]) => new Map(list.map(({ key, version }) => [key, version]));

async function putAll(lab: Lab, from: StateDriver, to: StateDriver): Promise<void> {
  const records = await readAll(from);
  assert.equal(records.length, MADE.length);
  const { taken, known, refused } = await to.put(records);
  assert.deepEqual({ taken, known }, { taken: 5, known: 0 });
  const first = "tcp 10.1.0.11 4000 > 10.2.0.11 80";
  assert.deepEqual(refused, [{ key: first, reason: "another flow of the box has its reply direction" }]);
  const there = (await readAll(to)).filter(({ key }) => key !== THERE_KEYS[0]);
  const sent = records.filter(({ key }) => key !== first);
  assert.deepEqual(bare(there), bare(sent));
  assert.deepEqual(versions(there), versions(sent));
  assert.match(
    await lab.exec("redundant", ["conntrack", "-L", "-p", "udp"]),
    /src=192\.0\.2\.1 .* sport=5353/,
  );
  assert.equal(to.counters()["put_replaced"], 1);
}

/** Some of these the kernel filters, some the driver. */
async function ask(from: StateDriver): Promise<void> {
  const cases: readonly [HeaderFields, number][] = [
    [{ source: "10.1.0.11" }, 5],
    [{ source: "10.1.0.12" }, 0],
    [{ destination: "10.2.0.11", protocol: 6, destinationPort: 80 }, 3],
    [{ source: "10.1.0.11", protocol: 6, sourcePort: 4001 }, 1],
    [{ source: "10.1.0.11", protocol: 6, sourcePort: [4001, 4002] }, 2],
    [{ source: "10.1.0.0/16", protocol: 1 }, 1],
    [{ source: "fd00::1" }, 1],
    [{ source: "fd00::9" }, 0],
    [{ destination: "fd00::/16", protocol: 6 }, 1],
  ];
  for (const [fields, count] of cases) {
    assert.equal((await readAll(from, fields)).length, count, fieldsText(fields));
  }
}

async function takeAway(from: StateDriver, to: StateDriver): Promise<void> {
  const one = (await readAll(from, { protocol: 17 }))[0]!;
  assert.deepEqual(await to.put([ended(one)]), { taken: 1, known: 0, refused: [] });
  assert.equal((await to.put([one])).known, 1, "its end is newer");
  assert.equal(
    await to.del("supporting", { protocol: 6, source: "10.1.0.0/24", sourcePort: [4001, 4002] }),
    2,
  );
  assert.deepEqual((await readAll(to)).map(({ key }) => key).sort(), [
    "icmp 10.1.0.11 77 > 10.2.0.11 *",
    "tcp 10.1.0.11 6000 > 10.2.0.11 80",
    "tcp fd00::1 1 > fd00::2 2",
  ]);
  const wrong = { ...one, value: one.value.slice(0, 20), version: one.version + 2, key: "udp wrong" };
  assert.match((await to.put([wrong])).refused[0]?.reason ?? "", /its value cannot be read: it ends at 20/);
}

Deno.test("conntrack: all parts of an entry arrive, what another flow holds is refused, del takes its flows", async () => {
  await sweep();
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const [from, to] = await Promise.all([openConntrack(lab, "primary"), openConntrack(lab, "redundant")]);
  const follower = new Follower(to);
  try {
    await make(lab, "primary", MADE);
    await make(lab, "redundant", THERE);
    await ask(from);
    await putAll(lab, from, to);
    await takeAway(from, to);
    await until("what others did was told", () => THERE_KEYS.every((key) => follower.there().has(key)));
  } finally {
    await follower.end();
    await Promise.all([from.close(), to.close()]);
  }
  // What the driver itself did is not told.
  const keys = follower.events.map((event) => event.kind === "record" ? event.record.key : event.kind);
  assert.deepEqual(new Set(keys), new Set(THERE_KEYS));
});

Deno.test("conntrack: helper and labels arrive where the box has them, and the flow without them where not", async () => {
  await sweep();
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const labels = "table inet labels { chain c { type filter hook forward priority 0; ct label set 3; }; }";
  await lab.exec("primary", ["nft", labels]);
  const [first, second] = await Promise.all([openConntrack(lab, "primary"), openConntrack(lab, "redundant")]);
  try {
    await make(lab, "primary", [tcp(4000, 5000)]);
    const [record] = await readAll(first);
    const flow = decodeFlow(record!.value);
    await first.del("supporting", {});
    const more = { ...flow, helper: "ftp", labels: Uint8Array.of(8, ...Array(15).fill(0)) };
    const put = (driver: StateDriver, value: Uint8Array, version: number) =>
      driver.put([{ ...record!, value, version: record!.version + version }]);
    assert.equal((await put(first, encodeFlow(more), 1)).taken, 1);
    const [read] = await readAll(first);
    const { helper, labels: marks } = decodeFlow(read!.value);
    assert.deepEqual([helper, marks], ["ftp", more.labels]);
    assert.match(await lab.exec("primary", ["conntrack", "-L", "-p", "tcp"]), /helper=ftp/);
    assert.equal(first.counters()["put_reduced"], undefined);
    assert.equal((await second.put([read!])).taken, 1);
    // It has no rule that looks at labels: its kernel keeps none, and says nothing.
    assert.deepEqual(decodeFlow((await readAll(second))[0]!.value).labels, new Uint8Array());
    assert.equal(
      (await put(first, encodeFlow({ ...more, helper: "none-such" }), 3)).taken,
      1,
      "it is there already",
    );
    await first.del("supporting", {});
    assert.equal((await put(first, encodeFlow({ ...more, helper: "none-such" }), 4)).taken, 1);
    assert.deepEqual([first.counters()["put_reduced"], second.counters()["put_reduced"]], [1, undefined]);
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
});

Deno.test("conntrack: when more events wait than there is room for, a gap is told, and then it goes on", async () => {
  await sweep();
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const box = await openConntrack(lab, "primary", { buffer_bytes: 65_536 });
  const end = new AbortController();
  const events = box.watch(end.signal);
  try {
    const lines = Array.from({ length: 1_000 }, (_, i) => `-I ${tcp(10_000 + i, 20_000 + i)}`);
    await Deno.writeTextFile(`${lab.directory}/entries`, lines.join("\n") + "\n");
    await lab.exec("primary", ["conntrack", "--load-file", `${lab.directory}/entries`]);
    const told: string[] = [];
    for await (const event of events) {
      if (event.kind === "gap") await make(lab, "primary", [tcp(4000, 5000)]);
      told.push(event.kind === "record" ? event.record.key : event.kind);
      if (told.at(-1) === "tcp 10.1.0.11 4000 > 10.2.0.11 80") break;
    }
    assert.equal(told.filter((one) => one === "gap").length, 1);
    assert.ok(told.length < 1_000, `${told.length} were told`);
    assert.equal((await readAll(box)).length, 1_001, "whoever listens reads anew");
  } finally {
    end.abort();
    await box.close();
  }
});

Deno.test("conntrack: without the right, and without the namespace, opening says so", async () => {
  await assert.rejects(
    openConntrack({ ns: () => "no-such-box" } as unknown as Lab, "x"),
    /Cannot reach connection tracking of the namespace no-such-box: .*\/run\/netns\/no-such-box: there is no such/,
  );
  const script = `
    import { CONNTRACK } from "${TOP}/drivers/conntrack.ts";
    const context = { name: "x", nowMs: () => 1, say: () => {} };
    await CONNTRACK.open({ namespace: "" }, context).then(() => console.log("open"), (e) => console.log(e.message));`;
  const { stdout } = await new Deno.Command("setpriv", {
    args: ["--inh-caps=-all", "--bounding-set=-all", Deno.execPath(), "eval", "--no-lock", script],
  }).output();
  assert.match(
    new TextDecoder().decode(stdout),
    /Cannot reach connection tracking of this machine: .*not permitted: it needs CAP_NET_ADMIN/,
  );
});
