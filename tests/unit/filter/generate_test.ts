/** The builder of frames makes valid ones, and the generator makes the same ones again. */
import assert from "node:assert/strict";
import { internetChecksum } from "../../../filter/frame.ts";
import { breakFrame, generateTraffic } from "../../../filter/generate.ts";
import { parsePacket, PROTO } from "../../../filter/packet.ts";
import { Random } from "../../../filter/random.ts";
import { DOWN6, icmpFrame, tcpFrame, udpFrame, UP, UP6 } from "./ends.ts";

function take(seed: number, count: number, options?: Parameters<typeof generateTraffic>[1]) {
  const traffic = generateTraffic(seed, options);
  return Array.from({ length: count }, () => traffic.next().value);
}

/** The sum over the transport part with its pseudo-header: 0 if the checksum is right. */
function transportSum(frame: Uint8Array): number {
  const { ipOffset, flow } = parsePacket(frame);
  const { transportOffset, payloadOffset, payloadBytes, ipv6, proto } = flow!;
  const segment = frame.subarray(transportOffset, payloadOffset + payloadBytes);
  const addresses = frame.subarray(ipOffset + (ipv6 ? 8 : 12), ipOffset + (ipv6 ? 40 : 20));
  const pseudo = proto === PROTO.icmp
    ? []
    : [...addresses, segment.length >> 8, segment.length & 255, 0, proto];
  return internetChecksum(pseudo, segment);
}

Deno.test("internetChecksum() is that of RFC 1071", () => {
  assert.equal(internetChecksum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x220d);
  assert.equal(internetChecksum([0x01]), 0xfeff, "an odd byte is the upper half");
});

Deno.test("frame.ts fills in lengths and checksums", () => {
  const frames = [
    tcpFrame(UP, "PA", { seq: 1, ack: 2, payload: 5, tcpOptions: [1, 3, 3, 7] }),
    tcpFrame(DOWN6, "S", {}, { extensions: [[PROTO.hop, [0, 0, 0, 0, 0, 0, 0, 0]]] }),
    udpFrame(UP, 3, { tags: [5], options: [1, 1, 1, 1] }),
    icmpFrame(UP, [8, 0, 1]),
    icmpFrame(UP6, [128, 0, 1]),
  ];
  for (const frame of frames) assert.equal(transportSum(frame), 0);
  assert.equal(internetChecksum(udpFrame(UP).subarray(14, 34)), 0, "IPv4 header");
  assert.equal(udpFrame(UP).length, 60, "filled up");
  assert.equal(udpFrame(UP, 0, { pad: false }).length, 42);
});

Deno.test("generateTraffic() makes the same frames from the same seed and others from another", () => {
  const text = (seed: number) =>
    take(seed, 500).map(({ timeNs, bytes, observed }) => `${timeNs} ${observed} ${bytes.toHex()}`);
  assert.deepEqual(text(7), text(7));
  assert.notDeepEqual(text(7), text(8));
});

Deno.test("generateTraffic() breaks no frame when it is told to break none", () => {
  const sums = new Set<number>();
  for (const { bytes } of take(3, 5_000, { malformed: 0 })) {
    const { verdict, flow } = parsePacket(bytes);
    assert.ok(
      ["flow", "neighbour", "link_local", "not_ip", "fragment", "deep_vlan", "deep_ipv6"].includes(verdict),
      verdict,
    );
    if (flow?.tcp) sums.add(transportSum(bytes));
  }
  assert.deepEqual([...sums], [0]);
});

Deno.test("breakFrame() leaves the frame it is given alone", () => {
  const random = new Random(1);
  const frame = udpFrame(UP, 20);
  const before = frame.toHex();
  const broken = Array.from({ length: 200 }, () => breakFrame(frame, random).toHex());
  assert.equal(frame.toHex(), before);
  assert.ok(new Set(broken).size > 150);
});

Deno.test("Random() repeats itself by seed, stays in bounds and is even", () => {
  const numbers = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 20_000 }, () => random.below(10));
  };
  assert.deepEqual(numbers(5), numbers(5));
  assert.notDeepEqual(numbers(5).slice(0, 50), numbers(2 ** 32 + 5).slice(0, 50), "beyond 32 bits too");
  for (let digit = 0; digit < 10; digit++) {
    const count = numbers(5).filter((number) => number === digit).length;
    assert.ok(count > 1_800 && count < 2_200, `${digit} came ${count} times`);
  }
  const random = new Random(9);
  const yes = Array.from({ length: 10_000 }, () => random.chance(0.25)).filter(Boolean).length;
  assert.ok(yes > 2_300 && yes < 2_700, `${yes}`);
  assert.throws(() => random.pick([]), /Cannot pick from nothing/);
});
