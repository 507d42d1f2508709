/**
 * Announcements: boxes with one address on two MAC addresses. The test is the network and both boxes; a host of the
 * network is the kernel where the matter is what it believes.
 */
import assert from "node:assert/strict";
import type { NodeStatus } from "../../appliance/view.ts";
import { ethernet, icmp, ip } from "../../filter/frame.ts";
import { PROTO } from "../../filter/packet.ts";
import { sleep } from "../../scripts/lab/process.ts";
import type { Bench } from "../support/bench.ts";
import { giveAddresses } from "../support/bfd_peers.ts";
import { TestNode } from "../support/node.ts";
import { Wire, WORLD, worldEnd } from "../support/wire.ts";

const ADDRESS = [10, 1, 0, 1], HOST = [10, 1, 0, 11];
const PRIMARY = [2, 0, 0, 0, 1, 1], REDUNDANT = [2, 0, 0, 0, 9, 1], HOST_MAC = [2, 0, 0, 0, 0, 11];
const BROADCAST = [255, 255, 255, 255, 255, 255];

interface Words {
  readonly to: readonly number[];
  readonly kind: 1 | 2;
  readonly sender: readonly [mac: readonly number[], ip: readonly number[]];
  readonly target: readonly [mac: readonly number[], ip: readonly number[]];
}

function arp({ to, kind, sender, target }: Words): Uint8Array<ArrayBuffer> {
  const body = [0, 1, 8, 0, 6, 4, 0, kind, ...sender[0], ...sender[1], ...target[0], ...target[1]];
  return Uint8Array.from([...to, ...sender[0], 8, 6, ...body, ...new Array(18).fill(0)]);
}

const reply = (mac: readonly number[]) =>
  arp({ to: HOST_MAC, kind: 2, sender: [mac, ADDRESS], target: [HOST_MAC, HOST] });
const word = (mac: readonly number[]) =>
  arp({ to: BROADCAST, kind: 1, sender: [mac, ADDRESS], target: [[0, 0, 0, 0, 0, 0], ADDRESS] }).toHex();

const ADDRESS6 = [0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 1],
  ALL_NODES = [255, 2, ...new Array(13).fill(0), 1];
const ALL_NODES_MAC = [0x33, 0x33, 0, 0, 0, 1];
const HOP_LIMIT_AT = 21;

/** RFC 4861, 7.2.6: an advertisement nobody asked for, to all nodes, that overrides. */
function advertisement(mac: readonly number[]): Uint8Array<ArrayBuffer> {
  const ends = [{ mac, ip: ADDRESS6, port: 0 }, { mac: ALL_NODES_MAC, ip: ALL_NODES, port: 0 }] as const;
  const option = [2, 1, ...mac];
  const { type, body } = ip(
    ends,
    PROTO.icmpv6,
    icmp(ends, [136, 0, 0x20000000], Uint8Array.from([...ADDRESS6, ...option])),
  );
  const frame = ethernet(ends, type, body);
  frame[HOP_LIMIT_AT] = 255;
  return frame;
}

/** The primary has said that it has the address; the node asks the standby, whose answer is `said`. */
async function bothKnown(
  bench: Bench,
  claim: (mac: readonly number[]) => Uint8Array,
  isQuestion: (bytes: Uint8Array) => boolean,
) {
  await bench.send("primary-in", claim(PRIMARY));
  const asked = ({ role, bytes }: { role: string; bytes: Uint8Array }) =>
    role === "redundant-in" && isQuestion(bytes);
  await bench.until(() => bench.arrivals.some(asked), "a question to the standby");
  const question = bench.arrivals.find(asked)!.bytes;
  await bench.send("redundant-in", claim(REDUNDANT));
  return question;
}

const isSolicitation = (bytes: Uint8Array) => bytes[12] === 0x86 && bytes[54] === 135;
const isArp = (bytes: Uint8Array) => bytes.toHex().startsWith("ffffffffffff") && bytes[13] === 6;

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;

for (const cores of [1, 2]) {
  Deno.test(`after a switch the network is told the new box's MAC address, on ${cores} cores`, async () => {
    await using wire = await Wire.up();
    const bench = await wire.bench();
    const node = await TestNode.start(wire, { cores, failover: ["silence_ms = 0", 'announce = "auto"'] });
    const question = await bothKnown(bench, reply, isArp);
    assert.deepEqual([...question.subarray(28, 32)], [0, 0, 0, 0], "from nobody");
    assert.deepEqual([...question.subarray(38, 42)], ADDRESS);
    await node.until("its answer", (status) => counter(status, "shadow") > 0);
    bench.taken();
    assert.ok((await node.order("switchover")).ok);
    const told = await node.until("all words", (status) => counter(status, "announced") === 3);
    assert.equal(told.path, "redundant");
    await bench.until(() => bench.arrivals.filter(({ role }) => role === "upstream").length >= 3, "words");
    const words = bench.taken().map(({ role, bytes }) => `${role} ${bytes.toHex()}`);
    assert.deepEqual(words, new Array(3).fill(`upstream ${word(REDUNDANT)}`));
    assert.ok((await node.order("failback", true)).ok);
    await bench.until(
      () => bench.arrivals.some(({ bytes }) => bytes.toHex() === word(PRIMARY)),
      "the way back",
    );
  });
}

Deno.test("of an IPv6 address the network is told by advertisements that override, and the standby is asked", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0", 'announce = "auto"'] });
  const question = await bothKnown(bench, advertisement, isSolicitation);
  assert.equal(question.subarray(0, 6).toHex(), "3333ff000001", "the group of who may have it");
  assert.deepEqual([...question.subarray(22, 38)], new Array(16).fill(0), "from nobody");
  assert.deepEqual([...question.subarray(62, 78)], ADDRESS6);
  await node.until("its answer", (status) => counter(status, "shadow") > 0);
  bench.taken();
  assert.ok((await node.order("switchover")).ok);
  await node.until("all words", (status) => counter(status, "announced") === 3);
  await bench.until(() => bench.arrivals.filter(({ role }) => role === "upstream").length >= 3, "words");
  const words = bench.taken().map(({ role, bytes }) => `${role} ${bytes.toHex()}`);
  assert.deepEqual(words, new Array(3).fill(`upstream ${advertisement(REDUNDANT).toHex()}`));
});

Deno.test("a host of the network goes by the new box's MAC address after a switch, for IPv4 and IPv6", async () => {
  await using wire = await Wire.up();
  const dev = worldEnd("upstream");
  await giveAddresses(wire, "upstream", ["10.1.0.11/24", "2001:db8::11/64"]);
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0", 'announce = "auto"'] });
  const text = (mac: readonly number[]) => mac.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  const known = async () => {
    const lines = await Promise.all(
      ["10.1.0.1", "2001:db8::1"].map((to) => wire.lab.exec(WORLD, ["ip", "neigh", "show", to, "dev", dev])),
    );
    return lines.map((line) => / lladdr (\S+)/.exec(line)?.[1]);
  };
  for (const to of ["10.1.0.1", "2001:db8::1"]) {
    await wire.lab.exec(WORLD, [
      "ip",
      "neigh",
      "replace",
      to,
      "lladdr",
      text(PRIMARY),
      "dev",
      dev,
      "nud",
      "stale",
    ]);
  }
  await bothKnown(bench, reply, isArp);
  await bothKnown(bench, advertisement, isSolicitation);
  await node.until("both answers", (status) => counter(status, "shadow") > 1);
  assert.deepEqual(await known(), [text(PRIMARY), text(PRIMARY)]);
  assert.ok((await node.order("switchover")).ok);
  await node.until("all words", (status) => counter(status, "announced") === 6);
  const after = [text(REDUNDANT), text(REDUNDANT)];
  // They are on their way to the host's kernel when the node has counted them.
  for (let look = 0; look < 300 && String(await known()) !== String(after); look++) await sleep(50);
  assert.deepEqual(await known(), after);
});

Deno.test("boxes with equal MAC addresses are not announced, and nobody is with announce = off", async () => {
  for (const [mac, announce] of [[PRIMARY, "auto"], [REDUNDANT, "off"]] as const) {
    await using wire = await Wire.up();
    const bench = await wire.bench();
    const node = await TestNode.start(wire, { failover: ["silence_ms = 0", `announce = "${announce}"`] });
    await bench.send("primary-in", reply(PRIMARY));
    await bench.send("redundant-in", reply(mac));
    await node.until("both claims", (status) => counter(status, "shadow") > 0);
    assert.ok((await node.order("switchover")).ok);
    await node.until("the switch", ({ path }) => path === "redundant");
    bench.taken();
    await sleep(1_500);
    assert.deepEqual(bench.taken().filter(({ role }) => role === "upstream"), []);
    assert.equal(counter(await node.status(), "announced"), 0);
  }
});
