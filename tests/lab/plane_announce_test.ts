/**
 * Announcements: boxes with one address on two MAC addresses. The test is the network and both boxes.
 */
import assert from "node:assert/strict";
import type { NodeStatus } from "../../appliance/view.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

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

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;

for (const cores of [1, 2]) {
  Deno.test(`after a switch the network is told the new box's MAC address, on ${cores} cores`, async () => {
    await using wire = await Wire.up();
    const bench = await wire.bench();
    const node = await TestNode.start(wire, { cores, failover: ["silence_ms = 0", 'announce = "auto"'] });
    await bench.send("primary-in", reply(PRIMARY));
    const asked = (bytes: Uint8Array) => bytes.toHex().startsWith("ffffffffffff") && bytes[13] === 6;
    await bench.until(
      () => bench.arrivals.some(({ role, bytes }) => role === "redundant-in" && asked(bytes)),
      "a question to the standby",
    );
    const question = bench.arrivals.find(({ role, bytes }) => role === "redundant-in" && asked(bytes))!.bytes;
    assert.deepEqual([...question.subarray(28, 32)], [0, 0, 0, 0], "from nobody");
    assert.deepEqual([...question.subarray(38, 42)], ADDRESS);
    await bench.send("redundant-in", reply(REDUNDANT));
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
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.deepEqual(bench.taken().filter(({ role }) => role === "upstream"), []);
    assert.equal(counter(await node.status(), "announced"), 0);
  }
});
