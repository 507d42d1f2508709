/** The bench of the plane: what slices amount to, what it is set up with, what it feeds. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { readCapture } from "../../../filter/capture.ts";
import { parsePacket } from "../../../filter/packet.ts";
import { benchCapture } from "../../../scripts/bench/plane_capture.ts";
import { caseToml, LATENCY, PLANE_CASES } from "../../../scripts/bench/plane_cases.ts";
import { type Bar, percentile, speedOf, standing, worstBar } from "../../../scripts/bench/statistics.ts";
import { sentPackets } from "../../../scripts/bench/testpmd.ts";

Deno.test("speedOf() takes the best slice and the median, per packet", () => {
  const slices = [{ packets: 10, cpuNs: 300 }, { packets: 20, cpuNs: 400 }, { packets: 10, cpuNs: 900 }];
  assert.deepEqual(speedOf(slices), { bestNs: 20, medianNs: 30 });
  assert.throws(() => speedOf([]), /no slices/);
  assert.throws(() => speedOf([{ packets: 0, cpuNs: 1 }]), /slice of 0 packets/);
});

Deno.test("percentile() names the upper edge of the step, and cannot see beyond the last", () => {
  assert.equal(percentile([5, 4, 1, 0], 0.5), 1);
  assert.equal(percentile([5, 4, 1, 0], 0.51), 2);
  assert.equal(percentile([5, 4, 1, 0], 1), 3);
  assert.equal(percentile([1, 0, 0, 9], 0.5), Infinity);
  assert.ok(Number.isNaN(percentile([0, 0], 0.5)));
});

Deno.test("worstBar() names what misses by most, in either direction, and a missing value before all", () => {
  const bar = (what: string, value: number, more: Partial<Bar> = {}): Bar => ({
    what,
    unit: "",
    value,
    bar: 10,
    goal: 20,
    ...more,
  });
  const good = bar("good", 15), slow = bar("slow", 8), large = bar("large", 20, { lessIsBetter: true });
  assert.equal(worstBar([good, slow])?.what, "slow");
  assert.equal(worstBar([good, slow, large])?.what, "large");
  assert.equal(worstBar([good, slow, large, bar("none", NaN)])?.what, "none");
  assert.equal(worstBar([]), undefined);
  assert.ok(standing(good) > 1 && standing(large) === 0.5);
});

Deno.test("caseToml() is a configuration that the product takes, with room for the case's flows", () => {
  for (const one of [...PLANE_CASES, LATENCY]) {
    const { config, problems } = parseConfig(caseToml(one, "/run/x"), one.name);
    assert.deepEqual(problems, [], one.name);
    assert.ok(config!.plane.flowSlots >= 2 * one.flowsMax, one.name);
  }
});

Deno.test("benchCapture() holds frames of 64 bytes, each of a flow, and the same ones again", () => {
  const file = benchCapture(500);
  assert.deepEqual(file, benchCapture(500));
  const packets = [...readCapture(file)].map(({ bytes }) => ({ bytes, packet: parsePacket(bytes) }));
  assert.equal(packets.length, 500);
  assert.deepEqual(new Set(packets.map(({ bytes, packet }) => `${bytes.length} ${packet.verdict}`)).size, 1);
  assert.equal(packets[0]!.bytes.length, 64);
  assert.equal(packets[0]!.packet.verdict, "flow");
  assert.equal(packets.filter(({ packet }) => packet.flow?.tcp?.flags === 2).length, 10);
});

Deno.test("sentPackets() reads the last whole answer of testpmd", () => {
  const block = (port: number, sent: number) =>
    `### NIC statistics for port ${port}\n RX-packets: 7\n TX-packets: ${sent}  TX-errors: 0\n`;
  assert.equal(sentPackets(block(0, 5) + block(1, 6) + block(1, 9), 1), 9);
  assert.equal(sentPackets(block(0, 5), 1), undefined);
});
