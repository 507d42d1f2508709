/** The parser of filter/packet.ts on the table of frames, and its flow key. */
import assert from "node:assert/strict";
import { PARSE } from "../../../filter/names.ts";
import { flowKey, type Packet, parsePacket, TCP } from "../../../filter/packet.ts";
import { CLIENT, DOWN, SERVER, tcpFrame, udpFrame, UP, UP6 } from "./ends.ts";
import { type Expected, PACKET_CASES } from "./packet_cases.ts";

/** The facts of a packet that a case names. */
function factsOf(packet: Packet, named: Expected): Expected {
  const { dir, port, proto, payloadBytes, tcp } = packet.flow!;
  const all: Required<Expected> = {
    dir,
    port,
    proto,
    payloadBytes,
    vlan: packet.vlan,
    scale: tcp?.scale,
    sack: tcp?.sack ?? false,
  };
  return Object.fromEntries(Object.keys(named).map((name) => [name, all[name as keyof Expected]]));
}

for (const { says, frame, verdict, flow } of PACKET_CASES) {
  Deno.test(`parsePacket() finds ${verdict}: ${says}`, () => {
    const packet = parsePacket(frame);
    assert.equal(packet.verdict, verdict);
    assert.equal(packet.frameBytes, frame.length);
    assert.equal(packet.flow !== undefined, verdict === "flow");
    if (flow) assert.deepEqual(factsOf(packet, flow), flow);
  });
}

Deno.test("PACKET_CASES meets every verdict", () => {
  assert.deepEqual(PARSE.filter((verdict) => !PACKET_CASES.some((one) => one.verdict === verdict)), []);
});

Deno.test("parsePacket() reads sequence numbers, window and flags of TCP", () => {
  const tcp = parsePacket(tcpFrame(UP, "PA", { seq: 0xfedcba98, ack: 1, window: 513 })).flow!.tcp;
  assert.deepEqual(tcp, { seq: 0xfedcba98, ack: 1, flags: TCP.psh | TCP.ack, window: 513, sack: false });
});

Deno.test("parsePacket() gives IPv4 addresses as mapped ones, lower end first", () => {
  const { addr, transportOffset, payloadOffset } = parsePacket(udpFrame(DOWN, 4)).flow!;
  assert.deepEqual(addr.map((bytes) => [...bytes.subarray(10)]), [[255, 255, ...CLIENT.ip], [
    255,
    255,
    ...SERVER.ip,
  ]]);
  assert.deepEqual({ transportOffset, payloadOffset }, { transportOffset: 34, payloadOffset: 42 });
});

Deno.test("parsePacket() orders equal addresses by port, and equal ends as direction 0", () => {
  const low = { ...CLIENT, port: 1 };
  assert.equal(parsePacket(udpFrame([low, CLIENT])).flow!.dir, 0);
  assert.equal(parsePacket(udpFrame([CLIENT, low])).flow!.dir, 1);
  assert.equal(parsePacket(udpFrame([CLIENT, CLIENT])).flow!.dir, 0);
});

Deno.test("flowKey() is one for both directions and another for every other flow", () => {
  const key = (frame: Uint8Array) => flowKey(parsePacket(frame));
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
  const asV6 = (end: typeof CLIENT) => ({ ...end, ip: [...mapped, ...end.ip] });
  assert.equal(key(udpFrame(UP)), key(udpFrame(DOWN, 9)));
  const others = [
    udpFrame(UP),
    tcpFrame(UP, "S"),
    udpFrame(UP, 0, { tags: [7] }),
    udpFrame([CLIENT, { ...SERVER, port: 81 }]),
    udpFrame([CLIENT, { ...SERVER, ip: [10, 2, 0, 8] }]),
    udpFrame([asV6(CLIENT), asV6(SERVER)]),
    udpFrame(UP6),
  ];
  assert.equal(new Set(others.map(key)).size, others.length);
  assert.throws(
    () => key(new Uint8Array(3)),
    /Cannot name the flow of a packet with verdict "short_ethernet"/,
  );
});
