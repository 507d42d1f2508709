/** Frames of other links become what the plane would have seen. */
import assert from "node:assert/strict";
import { asEthernet, wireBytes } from "../../../appliance/mirror_link.ts";
import { parsePacket } from "../../../filter/packet.ts";
import { type End, ethernet, ip, udp } from "../../../filter/frame.ts";

const ENDS: [End, End] = [
  { mac: [2, 0, 0, 0, 0, 1], ip: [10, 0, 0, 1], port: 1000 },
  { mac: [2, 0, 0, 0, 0, 2], ip: [10, 0, 0, 2], port: 53 },
];
const FRAME = ethernet(ENDS, 0x0800, ip(ENDS, 17, udp(ENDS, new Uint8Array(40).fill(7))).body);
const PACKET = FRAME.subarray(14);
const captured = (link: number, bytes: Uint8Array, wireLength = bytes.length) => ({
  timeNs: 0n,
  link,
  bytes,
  wireLength,
});
const join = (head: readonly number[], body: Uint8Array) => Uint8Array.from([...head, ...body]);

Deno.test("asEthernet() leaves whole Ethernet as it is", () => {
  assert.equal(asEthernet(captured(1, FRAME)), FRAME);
});

Deno.test("asEthernet() gives packets of other links the same flow as over Ethernet", () => {
  const cooked = join([...Array.from({ length: 14 }, () => 9), 8, 0], PACKET);
  const cooked2 = join([8, 0, ...Array.from({ length: 18 }, () => 9)], PACKET);
  const expected = parsePacket(FRAME).flow;
  for (
    const [link, bytes] of [[101, PACKET], [0, join([2, 0, 0, 0], PACKET)], [113, cooked], [
      276,
      cooked2,
    ]] as const
  ) {
    const { verdict, flow } = parsePacket(asEthernet(captured(link, bytes))!);
    assert.equal(verdict, "flow", `link ${link}`);
    assert.deepEqual(flow, expected, `link ${link}`);
  }
});

Deno.test("asEthernet() fills a cut frame up, so that it belongs to its flow", () => {
  const { verdict, flow } = parsePacket(asEthernet(captured(1, FRAME.slice(0, 42), FRAME.length))!);
  assert.equal(verdict, "flow");
  assert.equal(flow!.payloadBytes, 40);
  assert.equal(parsePacket(FRAME.slice(0, 42)).verdict, "bad_ip_length");
});

Deno.test("asEthernet() knows nothing of links without IP, and believes no impossible length", () => {
  assert.equal(asEthernet(captured(127, PACKET)), undefined);
  assert.equal(asEthernet(captured(101, new Uint8Array(0))), undefined);
  assert.equal(asEthernet(captured(1, FRAME, 2 ** 31)), FRAME);
  assert.equal(wireBytes(captured(1, FRAME, 2 ** 31)), FRAME.length);
  assert.equal(wireBytes(captured(1, FRAME, 1500)), 1500);
  assert.equal(wireBytes(captured(1, FRAME, 3)), FRAME.length);
});
