/**
 * Seeding of datagrams: after a switch an answer from the server's side is let in by a box that has never heard of the question,
 * because the node asks once more in the client's name, and what it asks reaches nobody.
 *
 * The test is the client, the server and both boxes, which translate the client's address as a NAT does.
 */
import assert from "node:assert/strict";
import { type End, ethernet, icmp, ip, udp } from "../../filter/frame.ts";
import { parsePacket, PROTO } from "../../filter/packet.ts";
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from "../support/cast.ts";
import {
  awake,
  BY_ORDER,
  ONLY_SEEDS,
  PATIENT_SEEDS,
  play,
  type Scene,
  scene,
} from "../support/conversation.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const BOX_IN = [2, 0, 0, 0, 1, 1];
const TOKEN_BYTES = 16;
/** Of an echo request in IPv4 and IPv6, and what answers it. */
const ECHO = { 4: [8, 0], 16: [128, 129] } as const;

interface Talk {
  readonly scene: Scene;
  readonly proto: "udp" | "echo";
}

/** One datagram on the client side of the box ("in") or on its server side, by client or server. */
function datagram(
  { scene: { client, server, outside, tags }, proto }: Talk,
  place: "in" | "out",
  by: "client" | "server",
  payload: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const near = place === "in" ? client : outside;
  const far = place === "in" ? { ...server, mac: BOX_IN } : server;
  // An echo has an identifier in place of ports; a NAT may change it as well.
  const identifier = place === "in" ? 7 : 9;
  const ends: [End, End] = by === "client" ? [near, far] : [far, near];
  if (proto === "udp") {
    const { type, body } = ip(ends, PROTO.udp, udp(ends, payload));
    return ethernet(ends, type, body, { tags, pad: false });
  }
  const kind = ECHO[client.ip.length as 4 | 16][by === "client" ? 0 : 1];
  const number = client.ip.length === 4 ? PROTO.icmp : PROTO.icmpv6;
  const { type, body } = ip(ends, number, icmp(ends, [kind, 0, identifier * 65_536 + 1], payload));
  return ethernet(ends, type, body, { tags, pad: false });
}

const text = (words: string) => Uint8Array.from(new TextEncoder().encode(words));

async function check(talk: Talk, cores: number): Promise<void> {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    cores,
    failover: BY_ORDER,
    more: [...PATIENT_SEEDS, ...ONLY_SEEDS],
  });
  await awake(bench, "primary");
  await play(bench, "primary", [
    ["upstream", datagram(talk, "in", "client", text("a question"))],
    ["primary-out", datagram(talk, "out", "client", text("a question"))],
    ["downstream", datagram(talk, "out", "server", text("an answer"))],
    ["primary-in", datagram(talk, "in", "server", text("an answer"))],
  ]);
  assert.ok((await node.order("switchover")).ok);
  await awake(bench, "redundant");
  bench.taken();

  const late = datagram(talk, "out", "server", text("a late answer"));
  await bench.send("downstream", late);
  await bench.until(() => bench.arrivals.length > 0, "a question of the node's own");
  const [asked] = bench.taken();
  assert.equal(asked!.role, "redundant-in");
  const seen = parsePacket(asked!.bytes).flow!;
  const token = Uint8Array.from(asked!.bytes.subarray(seen.payloadOffset));
  assert.equal(token.length, TOKEN_BYTES, "nothing but what the node knows it by");
  const shape = datagram(talk, "in", "client", token);
  const meant = parsePacket(shape).flow!;
  assert.deepEqual([seen.addr, seen.port, seen.proto], [meant.addr, meant.port, meant.proto]);

  await bench.send("redundant-out", datagram(talk, "out", "client", token));
  await bench.until(() => bench.arrivals.length > 0, "the late answer in the box");
  await play(bench, "redundant", [["redundant-in", datagram(talk, "in", "server", text("a late answer"))]]);
  // Once more, long after it was expected: it is known by what it says.
  await bench.send("redundant-out", datagram(talk, "out", "client", token));
  await awake(bench, "redundant");
  const arrived = bench.taken().map(({ role, bytes }) => [role, bytes.toHex()]);
  assert.deepEqual(arrived, [
    ["redundant-out", late.toHex()],
    ["upstream", datagram(talk, "in", "server", text("a late answer")).toHex()],
  ], "and the server has heard nothing");
  const status = await node.status();
  const counted = (name: string) => status.counters.find((counter) => counter.name === name)?.packets;
  assert.deepEqual(["seeded", "seed_alike", "seed_unpaired"].map(counted), [1, 1, 0]);
}

for (const proto of ["udp", "echo"] as const) {
  for (
    const [what, it, cores] of [
      ["", scene(CLIENT4, SERVER4), 1],
      [" on 2 cores", scene(CLIENT4, SERVER4), 2],
      [" of IPv6", scene(CLIENT6, SERVER6), 1],
      [" inside a VLAN", scene(CLIENT4, SERVER4, [0x2064]), 1],
    ] as const
  ) {
    Deno.test(`an answer of ${proto}${what} follows a question of the node's own`, () =>
      check({ scene: it, proto }, cores));
  }
}
