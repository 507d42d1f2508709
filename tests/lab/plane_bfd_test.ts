/**
 * BFD on a wire whose far ends are all ours: what the node takes for a session, what it answers, and what goes on as
 * traffic although it looks like it.
 */
import assert from "node:assert/strict";
import type { BfdSessionView, NodeStatus } from "../../appliance/view.ts";
import { ethernet, internetChecksum, ip, udp } from "../../filter/frame.ts";
import { PROTO } from "../../filter/packet.ts";
import { type Packet, packetBytes, type Read, readPacket } from "../support/bfd_packet.ts";
import type { Arrival, Bench } from "../support/bench.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const PEER = { mac: [2, 0, 0, 0, 1, 1], ip: [10, 1, 0, 1], port: 49_200 };
const LOCAL = [10, 1, 0, 250];
const NOBODY = [10, 1, 0, 77];
const BROADCAST = Array<number>(6).fill(0xff);
const SESSION = [
  "[[bfd]]",
  'name = "in"',
  'box = "primary"',
  'side = "up"',
  'peer = "10.1.0.1"',
  'local = "10.1.0.250"',
  "min_tx_ms = 10",
  "min_rx_ms = 10",
];
const WAYS = [["primary-in", "upstream"], ["upstream", "primary-in"]] as const;

function arp(op: 1 | 2, from: { mac: number[]; ip: number[] }, to: { mac: number[]; ip: number[] }) {
  const ends = [{ ...from, port: 0 }, { ...to, mac: op === 1 ? BROADCAST : to.mac, port: 0 }] as const;
  const body = [
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    op,
    ...from.mac,
    ...from.ip,
    ...(op === 1 ? [0, 0, 0, 0, 0, 0] : to.mac),
  ];
  return ethernet(ends, 0x0806, [...body, ...to.ip]);
}

interface ControlOptions {
  readonly ttl?: number;
  readonly port?: number;
  readonly to?: number[];
  readonly from?: number[];
}

class Box {
  /** Of the node's port, as its answers say. */
  mac: number[] = [];
  discr = 0;

  constructor(readonly bench: Bench) {}

  control(
    packet: Partial<Packet>,
    { ttl = 255, port = 3784, to = LOCAL, from = PEER.ip }: ControlOptions = {},
  ) {
    const ends = [{ ...PEER, ip: from }, { mac: this.mac, ip: to, port }] as const;
    const payload = packetBytes({ myDiscr: 0x77, desiredTxUs: 300_000, multiplier: 200, ...packet });
    const { type, body } = ip(ends, PROTO.udp, udp(ends, payload));
    body.set([ttl, PROTO.udp, 0, 0], 8);
    new DataView(body.buffer).setUint16(10, internetChecksum(body.subarray(0, 20)));
    return ethernet(ends, type, body);
  }

  say(packet: Partial<Packet>, options?: ControlOptions): Promise<void> {
    return this.bench.send("primary-in", this.control(packet, options));
  }

  /** Waits for the node's question, answers it, and comes up. */
  async comeUp(): Promise<void> {
    const asks = (a: Arrival) => a.role === "primary-in" && a.bytes[12] === 8 && a.bytes[13] === 6;
    await this.bench.until(() => this.bench.arrivals.some(asks), "the node asking for the peer");
    const question = this.bench.arrivals.find(asks)!.bytes;
    assert.deepEqual([...question.subarray(38, 42)], PEER.ip);
    assert.deepEqual([...question.subarray(28, 32)], LOCAL);
    this.mac = [...question.subarray(6, 12)];
    await this.bench.send("primary-in", arp(2, PEER, { mac: this.mac, ip: LOCAL }));
    this.discr = (await this.next("down")).myDiscr;
    await this.say({ state: "down" });
    await this.next("init");
    await this.say({ state: "up", yourDiscr: this.discr });
    await this.next("up");
  }

  /** The next packet of the node with a state. */
  async next(state: string): Promise<Read> {
    let found: Read | undefined;
    const look = () => {
      found = controls(this.bench.arrivals).find((one) => one.state === state);
      return found !== undefined;
    };
    await this.bench.until(look, `a packet that says ${state}`);
    this.bench.taken();
    return found!;
  }
}

/** Control packets among what arrived at the box. */
function controls(arrivals: readonly Arrival[]): Read[] {
  return arrivals.flatMap(({ role, bytes }) => {
    if (role !== "primary-in" || bytes[23] !== PROTO.udp || (bytes[36]! << 8 | bytes[37]!) !== 3784) {
      return [];
    }
    const read = readPacket(bytes.subarray(42));
    return typeof read === "string" ? [] : [read];
  });
}

async function scene(wire: Wire) {
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { more: SESSION });
  return { bench, node, box: new Box(bench) };
}

const session = ({ bfd }: NodeStatus): BfdSessionView => bfd.sessions[0]!;

Deno.test("a session comes up with a box that has nothing but its packets, and tells what was agreed", async () => {
  await using wire = await Wire.up();
  const { node, box } = await scene(wire);
  await box.comeUp();
  const status = await node.until("the session up", (status) => session(status).state === "up");
  const { mac, remoteDiscriminator, detectMs, light } = session(status);
  assert.deepEqual([mac, remoteDiscriminator, detectMs, light], ["02:00:00:00:01:01", 0x77, 60_000, "green"]);
  // What was for the session was no traffic: nothing of it left, nothing counts as the box's work.
  assert.equal(status.boxes[0]!.outPackets, 0);
  assert.equal(status.ports.find(({ role }) => role === "upstream")!.txPackets, 0);
});

Deno.test("the node answers for its local address on that port alone, and other questions pass", async () => {
  await using wire = await Wire.up();
  const { bench, box } = await scene(wire);
  await box.comeUp();
  const nobody = { mac: PEER.mac, ip: NOBODY };
  await bench.send("primary-in", arp(1, PEER, { mac: BROADCAST, ip: LOCAL }));
  await bench.send("primary-in", arp(1, PEER, nobody));
  await bench.send("upstream", arp(1, nobody, { mac: BROADCAST, ip: LOCAL }));
  await bench.settle(WAYS);
  // The standby hears such questions too.
  const arps = bench.taken().filter(({ role, bytes }) =>
    role !== "redundant-in" && bytes[12] === 8 && bytes[13] === 6
  );
  const seen = arps.map(({ role, bytes }) => `${role} ${bytes[21]} ${[...bytes.subarray(38, 42)].join(".")}`);
  assert.deepEqual(seen.sort(), [
    "primary-in 1 10.1.0.250", // from upstream: not ours to answer there
    "primary-in 2 10.1.0.1", // the answer
    "upstream 1 10.1.0.77",
  ]);
  const answer = arps.find(({ bytes }) => bytes[21] === 2)!.bytes;
  assert.deepEqual([...answer.subarray(22, 32)], [...box.mac, ...LOCAL]);
});

Deno.test("what is no good is refused by name, what is for others passes, and the session stays up", async () => {
  await using wire = await Wire.up();
  const { bench, node, box } = await scene(wire);
  await box.comeUp();
  const up = { state: "up", yourDiscr: box.discr } as const;
  const down = { state: "down", yourDiscr: box.discr } as const;
  await box.say(down, { ttl: 254 });
  await box.say({ ...down, yourDiscr: box.discr + 1 });
  await box.say(down, { from: NOBODY });
  await box.say(down, { port: 4784 });
  await box.say({ ...down, version: 2 });
  await box.say({ ...down, auth: { type: 5, keyId: 1, sequence: 1, key: "x" } });
  await box.say(up, { port: 53 });
  const broken = box.control(down);
  await bench.send("primary-in", broken.with(50, broken[50]! ^ 1));
  const elsewhere = box.control(down, { to: NOBODY });
  await bench.send("primary-in", elsewhere);
  await bench.settle(WAYS);
  const passed = bench.taken().filter(({ role }) => role === "upstream").map(({ bytes }) => bytes.toHex());
  assert.deepEqual(passed, [elsewhere.toHex()]);
  const { bfd } = await node.status();
  const told = Object.fromEntries(bfd.discards.map(({ name, packets }) => [name, packets]));
  assert.deepEqual(told, { ttl: 1, no_session: 3, version: 1, auth_unasked: 1, not_bfd: 1, checksum: 1 });
  assert.deepEqual([bfd.sessions[0]!.state, bfd.sessions[0]!.downs], ["up", 0]);
  assert.deepEqual(bfd.sessions[0]!.discards.map(({ name }) => name).sort(), [
    "auth_unasked",
    "no_session",
    "ttl",
    "version",
  ]);
});

Deno.test("a node that ends tells the peer that this is no failure", async () => {
  await using wire = await Wire.up();
  const { node, box } = await scene(wire);
  await box.comeUp();
  await node.endControl("SIGINT");
  const last = await box.next("admin_down");
  assert.equal(last.diag, 7);
});

Deno.test("a session that is configured away says goodbye, and its box is no longer spoken of", async () => {
  await using wire = await Wire.up();
  const { node, box } = await scene(wire);
  await box.comeUp();
  await node.until("a green light", ({ boxes }) => boxes[0]!.detectors.some((one) => one.detector === "bfd"));
  await node.reconfigure({});
  await box.next("admin_down");
  const { boxes, bfd } = await node.status();
  assert.equal(boxes[0]!.detectors.some((one) => one.detector === "bfd"), false);
  assert.deepEqual(bfd.sessions, []);
});
