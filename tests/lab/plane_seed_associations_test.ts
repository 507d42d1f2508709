/**
 * Seeding of SCTP: after a switch a box that has never heard of an association is shown a heartbeat and its answer under the tags
 * that the ends drew, and neither reaches an end.
 *
 * The test is the client, the server and both boxes, which translate the client's address as a NAT does. What a box has not let out
 * tells the node no tag: whoever sends a packet with another one from outside changes nothing.
 */
import assert from "node:assert/strict";
import { type End, ethernet, ip } from "../../filter/frame.ts";
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
  type Step,
} from "../support/conversation.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const BOX_IN = [2, 0, 0, 0, 1, 1];
const CLIENT_TAG = 0xc11e47, SERVER_TAG = 0x5e47e4, FOREIGN_TAG = 0xbad;
const CHUNK = { data: 0, init: 1, initAck: 2, heartbeat: 4, heartbeatAck: 5, cookieEcho: 10, cookieAck: 11 };
const INFO_BYTES = 16, PARAMETER = [0, 1, 0, 20];

/** CRC32c by its definition (RFC 9260 appendix A), as it lies in a packet. */
function crc32c(bytes: Uint8Array): number[] {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  const sum = ~crc >>> 0;
  return [0, 8, 16, 24].map((shift) => sum >>> shift & 0xff);
}

const words = (...values: number[]) =>
  values.flatMap((v) => [v >>> 24, v >>> 16 & 0xff, v >>> 8 & 0xff, v & 0xff]);

/** A packet of one chunk, checksum and all. */
function packet(
  [from, to]: readonly [End, End],
  tag: number,
  type: number,
  value: readonly number[],
): Uint8Array {
  const ports = words(from.port * 65_536 + to.port);
  const chunk = [type, type === CHUNK.data ? 3 : 0, 0, 4 + value.length, ...value];
  const bare = Uint8Array.from([...ports, ...words(tag), 0, 0, 0, 0, ...chunk]);
  bare.set(crc32c(bare), 8);
  return bare;
}

/** On the client side of the box ("in") or on its server side, by client or server. */
function frame(
  { client, server, outside }: Scene,
  [place, by]: readonly ["in" | "out", "client" | "server"],
  [tag, type, value]: readonly [number, number, readonly number[]],
): Uint8Array<ArrayBuffer> {
  const near = place === "in" ? client : { ...outside, port: client.port };
  const far = place === "in" ? { ...server, mac: BOX_IN } : server;
  const ends: [End, End] = by === "client" ? [near, far] : [far, near];
  const { type: ether, body } = ip(ends, PROTO.sctp, packet(ends, tag, type, value));
  return ethernet(ends, ether, body, { pad: false });
}

/** The SCTP packet in a frame. */
function within(bytes: Uint8Array): Uint8Array {
  const { transportOffset } = parsePacket(bytes).flow!;
  return bytes.subarray(transportOffset);
}

type Said = readonly [tag: number, type: number, value: readonly number[]];
const DATA = (text: string): readonly number[] => [...words(1, 0, 0), ...new TextEncoder().encode(text)];
const OPENING: readonly (readonly ["client" | "server", Said])[] = [
  ["client", [0, CHUNK.init, words(CLIENT_TAG, 65_536, 65_537, 1)]],
  ["server", [CLIENT_TAG, CHUNK.initAck, [...words(SERVER_TAG, 65_536, 65_537, 1), 0, 7, 0, 8, 1, 2, 3, 4]]],
  ["client", [SERVER_TAG, CHUNK.cookieEcho, [1, 2, 3, 4]]],
  ["server", [CLIENT_TAG, CHUNK.cookieAck, []]],
];

async function check(it: Scene, cores: number, first: "client" | "server"): Promise<void> {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    cores,
    failover: BY_ORDER,
    more: [...PATIENT_SEEDS, ...ONLY_SEEDS],
  });
  await awake(bench, "primary");
  await play(
    bench,
    "primary",
    OPENING.flatMap(([by, said]): Step[] =>
      by === "client"
        ? [["upstream", frame(it, ["in", by], said)], ["primary-out", frame(it, ["out", by], said)]]
        : [["downstream", frame(it, ["out", by], said)], ["primary-in", frame(it, ["in", by], said)]]
    ),
  );
  await bench.send("upstream", frame(it, ["in", "client"], [FOREIGN_TAG, CHUNK.data, DATA("evil")]));
  await awake(bench, "primary");
  assert.ok((await node.order("switchover")).ok);
  await awake(bench, "redundant");
  bench.taken();

  const says: Said = [first === "client" ? SERVER_TAG : CLIENT_TAG, CHUNK.data, DATA("late")];
  const [from, to] = first === "client"
    ? ["upstream", "redundant-in"] as const
    : ["downstream", "redundant-out"] as const;
  const late = frame(it, [first === "client" ? "in" : "out", first], says);
  await bench.send(from, late);
  await bench.until(() => bench.arrivals.length > 0, "a heartbeat");
  const [beat] = bench.taken();
  assert.equal(beat!.role, "redundant-in");
  const info = [...within(beat!.bytes).subarray(-INFO_BYTES)];
  const asked: Said = [SERVER_TAG, CHUNK.heartbeat, [...PARAMETER, ...info]];
  assert.deepEqual(within(beat!.bytes), within(frame(it, ["in", "client"], asked)));

  await bench.send("redundant-out", frame(it, ["out", "client"], asked));
  await bench.until(() => bench.arrivals.length > 1, "the answer in the box, and what waited");
  const arrived = bench.taken();
  const answer = arrived.find(({ role }) => role === "redundant-out");
  const waited = arrived.find((one) => one.role === to && one !== answer);
  const answerInfo = [...within(answer!.bytes).subarray(-INFO_BYTES)];
  const answered: Said = [CLIENT_TAG, CHUNK.heartbeatAck, [...PARAMETER, ...answerInfo]];
  assert.deepEqual(within(answer!.bytes), within(frame(it, ["out", "server"], answered)));
  assert.deepEqual(waited!.bytes, late);

  await bench.send("redundant-in", frame(it, ["in", "server"], answered));
  await awake(bench, "redundant");
  assert.deepEqual(bench.taken(), [], "neither end has heard of it");
  const { counters } = await node.status();
  const counted = (name: string) => counters.find((counter) => counter.name === name)?.packets;
  assert.deepEqual(["seeded", "seed_alike", "seed_swallowed"].map(counted), [1, 1, 2]);
}

for (
  const [what, it, cores, first] of [
    ["the client's data", scene(CLIENT4, SERVER4), 1, "client"],
    ["the server's data on 2 cores", scene(CLIENT4, SERVER4), 2, "server"],
    ["the client's data of IPv6", scene(CLIENT6, SERVER6), 1, "client"],
  ] as const
) {
  Deno.test(`${what} of an SCTP association follow a heartbeat and its answer, which no end hears`, () =>
    check(it, cores, first));
}
