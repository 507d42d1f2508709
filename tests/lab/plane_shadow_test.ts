/**
 * The box that does not serve is heard by nobody: whatever it sends is held back, except that the node itself
 * answers its questions for neighbours.
 */
import assert from "node:assert/strict";
import type { NodeStatus, Role } from "../../appliance/view.ts";
import { ethernet, icmp, internetChecksum } from "../../filter/frame.ts";
import { PROTO } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import {
  arp,
  CLIENT4,
  CLIENT6,
  type Ends,
  FROM_CLIENT,
  FROM_SERVER,
  packet,
  SERVER4,
} from "../support/cast.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const BROADCAST = Array<number>(6).fill(0xff);
/** The redundant box's own addresses, on either side. */
const BOX4 = { mac: [2, 0, 0, 0, 9, 1], ip: [10, 1, 0, 1], port: 0 };
const BOX6 = { mac: [2, 0, 0, 0, 9, 1], ip: [0x20, 1, 0x0d, 0xb8, ...Array<number>(11).fill(0), 9], port: 0 };
/** Few enough for one burst of the plane, so that a marker behind them speaks for all. */
const AT_ONCE = 30;

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;
const settle = (bench: Bench) =>
  bench.settle([["upstream", "primary-in", "redundant-in"], ["downstream", "primary-out", "redundant-out"]]);

async function arrivalsAfter(bench: Bench, role: Role, frames: readonly Uint8Array[]) {
  for (let first = 0; first < frames.length; first += AT_ONCE) {
    for (const frame of frames.slice(first, first + AT_ONCE)) await bench.send(role, frame);
    await settle(bench);
  }
  return bench.taken();
}

Deno.test("nothing that the redundant box sends goes anywhere while the primary serves", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  await settle(bench);
  const before = await node.status();
  const fromClients = Object.values(FROM_CLIENT), fromServers = Object.values(FROM_SERVER);
  assert.deepEqual(await arrivalsAfter(bench, "redundant-out", fromClients), []);
  assert.deepEqual(await arrivalsAfter(bench, "redundant-in", fromServers), []);
  const after = await node.status();
  const held = counter(after, "shadow") - counter(before, "shadow");
  assert.equal(held, fromClients.length + fromServers.length);
  const shadowed = (status: NodeStatus) => status.ports.filter(({ role }) => /stream$/.test(role));
  assert.deepEqual(
    shadowed(after).map(({ role, txPackets }) => [role, txPackets]),
    shadowed(before).map(({ role, txPackets }) => [role, txPackets]),
  );
});

Deno.test("the primary's output is held back as well once the redundant box serves", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0", "drain_ms = 0"] });
  assert.ok((await node.order("switchover")).ok);
  await settle(bench);
  assert.deepEqual(await arrivalsAfter(bench, "primary-out", Object.values(FROM_CLIENT)), []);
  assert.deepEqual(await arrivalsAfter(bench, "primary-in", Object.values(FROM_SERVER)), []);
  for (const frame of Object.values(FROM_CLIENT).slice(0, AT_ONCE)) await bench.send("redundant-out", frame);
  await bench.settle([["redundant-out", "downstream"]]);
  assert.equal(bench.taken().filter(({ role }) => role === "downstream").length, AT_ONCE);
});

Deno.test("the node answers the standby's ARP requests from what it has seen, and nobody else hears them", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  const ask = ethernet([BOX4, { ...CLIENT4, mac: BROADCAST }], 0x0806, arp(1, [BOX4, CLIENT4]));
  assert.deepEqual(await arrivalsAfter(bench, "redundant-in", [ask]), [], "nothing is known yet");
  assert.equal(counter(await node.status(), "arp_unknown"), 1);
  await bench.send("upstream", ethernet([CLIENT4, BOX4], 0x0806, arp(2, [CLIENT4, BOX4])));
  await settle(bench);
  bench.taken();
  const tagged = ethernet([BOX4, { ...CLIENT4, mac: BROADCAST }], 0x0806, arp(1, [BOX4, CLIENT4]), {
    tags: [5],
  });
  const answers = await arrivalsAfter(bench, "redundant-in", [ask, tagged]);
  const body = [0, 1, 8, 0, 6, 4, 0, 2, ...CLIENT4.mac, ...CLIENT4.ip, ...BOX4.mac, ...BOX4.ip];
  const back: Ends = [CLIENT4, BOX4];
  assert.deepEqual(answers.map(({ role, bytes }) => [role, [...bytes]]), [
    ["redundant-in", [...ethernet(back, 0x0806, body)]],
    ["redundant-in", [...ethernet(back, 0x0806, body, { tags: [5] })]],
  ]);
  const other = ethernet([BOX4, { ...CLIENT4, mac: BROADCAST }], 0x0806, arp(1, [BOX4, CLIENT4]));
  assert.deepEqual(
    await arrivalsAfter(bench, "redundant-out", [other]),
    [],
    "the other side does not know it",
  );
  assert.equal(counter(await node.status(), "arp_answered"), 2);
});

Deno.test("the node answers for every host of a network, also where they differ in the last byte alone", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  const hosts = Array.from({ length: 250 }, (_, i) => ({
    ...CLIENT4,
    mac: [2, 0, 0, 9, 0, i + 2],
    ip: [...CLIENT4.ip.slice(0, 3), i + 2],
  }));
  for (let at = 0; at < hosts.length; at += AT_ONCE) {
    for (const host of hosts.slice(at, at + AT_ONCE)) {
      await bench.send("upstream", ethernet([host, BOX4], 0x0806, arp(2, [host, BOX4])));
    }
    await settle(bench);
  }
  bench.taken();
  const answered = new Set<number>();
  for (let at = 0; at < hosts.length; at += AT_ONCE) {
    const asked = hosts.slice(at, at + AT_ONCE).map((host) =>
      ethernet([BOX4, { ...host, mac: BROADCAST }], 0x0806, arp(1, [BOX4, host]))
    );
    for (const { bytes } of await arrivalsAfter(bench, "redundant-in", asked)) answered.add(bytes[31]!);
  }
  assert.deepEqual([...answered].sort((a, b) => a - b), hosts.map(({ ip }) => ip[3]));
  assert.equal(counter(await node.status(), "arp_unknown"), 0);
});

Deno.test("the node knows a neighbour from its first packet where no ARP was seen", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  await bench.send("downstream", FROM_SERVER["IPv4 UDP"]!);
  await settle(bench);
  bench.taken();
  const ask = ethernet([BOX4, { ...SERVER4, mac: BROADCAST }], 0x0806, arp(1, [BOX4, SERVER4]));
  const [answer] = await arrivalsAfter(bench, "redundant-out", [ask]);
  assert.deepEqual([...answer!.bytes.subarray(22, 32)], [...SERVER4.mac, ...SERVER4.ip]);
});

/** A neighbour solicitation or advertisement (RFC 4861) with one link-layer address option. */
function discovery(
  ends: Ends,
  type: 135 | 136,
  target: readonly number[],
  mac: readonly number[],
): Uint8Array {
  const flags = type === 136 ? 0x60000000 : 0;
  const option = [type === 136 ? 2 : 1, 1, ...mac];
  const frame = packet(ends, PROTO.icmpv6, icmp(ends, [type, 0, flags], Uint8Array.of(...target, ...option)));
  frame[21] = 255;
  return frame;
}

Deno.test("the node answers the standby's neighbour solicitations as RFC 4861 wants it", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  const solicited = {
    ...CLIENT6,
    mac: [0x33, 0x33, 0xff, 0, 0, 1],
    ip: [0xff, 2, ...Array<number>(13).fill(0), 1],
  };
  const ask = discovery([BOX6, solicited], 135, CLIENT6.ip, BOX6.mac);
  assert.deepEqual(await arrivalsAfter(bench, "redundant-in", [ask]), [], "nothing is known yet");
  await bench.send("upstream", discovery([CLIENT6, BOX6], 136, CLIENT6.ip, CLIENT6.mac));
  await settle(bench);
  bench.taken();
  const answers = await arrivalsAfter(bench, "redundant-in", [ask]);
  const expected = discovery([CLIENT6, BOX6], 136, CLIENT6.ip, CLIENT6.mac);
  assert.deepEqual(answers.map(({ role, bytes }) => [role, [...bytes]]), [["redundant-in", [...expected]]]);
  const pseudo = [...expected.subarray(22, 54), 0, 0, 0, 32, 0, 0, 0, 58];
  assert.equal(internetChecksum(pseudo, answers[0]!.bytes.subarray(54)), 0, "its checksum is right");
  const { counters } = await node.status();
  assert.equal(counters.find(({ name }) => name === "arp_answered")!.packets, 1);
});

Deno.test("duplicate address detection and announcements of the standby are not answered", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  await bench.send("upstream", ethernet([CLIENT4, BOX4], 0x0806, arp(2, [CLIENT4, BOX4])));
  await bench.send("upstream", discovery([CLIENT6, BOX6], 136, CLIENT6.ip, CLIENT6.mac));
  await settle(bench);
  bench.taken();
  const everybody = { ...BOX4, mac: BROADCAST };
  const nobody = { ...CLIENT6, mac: BOX6.mac, ip: Array<number>(16).fill(0) };
  const frames = [
    ethernet([BOX4, everybody], 0x0806, arp(1, [BOX4, BOX4])),
    ethernet([BOX4, everybody], 0x0806, arp(2, [BOX4, BOX4])),
    discovery([nobody, { ...BOX6, mac: [0x33, 0x33, 0, 0, 0, 1] }], 135, CLIENT6.ip, BOX6.mac),
  ];
  assert.deepEqual(await arrivalsAfter(bench, "redundant-in", frames), []);
  assert.equal(counter(await node.status(), "arp_answered"), 0);
});
