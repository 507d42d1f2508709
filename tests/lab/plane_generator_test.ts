/**
 * The port that makes its own traffic: what it makes is sound, as much as was asked for, and the same again.
 */
import assert from "node:assert/strict";
import type { Role } from "../../appliance/view.ts";
import { internetChecksum } from "../../filter/frame.ts";
import { parsePacket, TCP } from "../../filter/packet.ts";
import { TestNode } from "../support/node.ts";
import { hex } from "../support/transparent.ts";
import { Wire } from "../support/wire.ts";

const FAILOVER = ["silence_ms = 0"];
const ENOUGH = 600;

/** A node whose upstream port makes traffic; what comes out of primary-in is seen, the rest is swallowed. */
async function generate(wire: Wire, settings: string): Promise<TestNode> {
  const sinks = ["downstream", "primary-out", "redundant-in", "redundant-out"] as const;
  const ports: Partial<Record<Role, string>> = Object.fromEntries(sinks.map((role) => [role, "gen:flows=0"]));
  return await TestNode.start(wire, {
    ports: { ...ports, upstream: `gen:${settings}` },
    preset: "nat",
    plane: ["frame_bytes_max = 1518"],
    failover: FAILOVER,
  });
}

async function frames(settings: string): Promise<Uint8Array[]> {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  await generate(wire, settings);
  const seen = () => bench.arrivals.filter(({ role }) => role === "primary-in");
  await bench.until(() => seen().length >= ENOUGH, "made frames");
  return seen().slice(0, ENOUGH).map(({ bytes }) => bytes);
}

Deno.test("gen: makes frames that parse, with right IP checksums, in the mix that was asked for", async () => {
  const made = await frames("flows=50,kinds=mix,sizes=imix,new=2,fin=2,rate=2000");
  const packets = made.map((bytes) => parsePacket(bytes));
  assert.deepEqual(new Set(packets.map(({ verdict }) => verdict)), new Set(["flow"]));
  for (const [i, { ipOffset, flow }] of packets.entries()) {
    if (flow!.ipv6) continue;
    assert.equal(internetChecksum(made[i]!.slice(ipOffset, ipOffset + 20)), 0, hex(made[i]!));
  }
  const count = (is: (packet: (typeof packets)[number]) => boolean) => packets.filter(is).length;
  assert.ok(count(({ flow }) => flow!.proto === 17) > ENOUGH / 50, "UDP");
  assert.ok(count(({ flow }) => flow!.ipv6) > ENOUGH / 50, "IPv6");
  assert.ok(count(({ vlan }) => vlan > 0) > ENOUGH / 50, "VLAN");
  assert.ok(count(({ frameBytes }) => frameBytes === 1514) > ENOUGH / 50, "long frames");
  assert.ok(count(({ flow }) => flow!.tcp?.flags === TCP.syn) > 0, "SYN");
});

Deno.test("gen: keeps to the number of flows, leaves none out, and opens one with every fiftieth frame", async () => {
  const keys = (made: readonly Uint8Array[]) =>
    made.map((bytes) => parsePacket(bytes).flow!).map((flow) => `${flow.addr} ${flow.port}`);
  const still = keys(await frames("flows=20,new=0,fin=0,zipf=0,rate=2000"));
  assert.equal(new Set(still).size, 20);
  const moving = await frames("flows=20,new=2,fin=0,zipf=0,rate=2000");
  const opening = moving.filter((bytes) => parsePacket(bytes).flow!.tcp!.flags === TCP.syn);
  assert.equal(opening.length, ENOUGH / 50);
  assert.equal(new Set(keys(opening)).size, opening.length, "each opens another flow");
});

Deno.test("gen: fills the table with its flows, and swallows what is sent to it", async () => {
  await using wire = await Wire.up();
  const sinks = ["downstream", "primary-in", "primary-out", "redundant-in", "redundant-out"] as const;
  const ports: Partial<Record<Role, string>> = Object.fromEntries(sinks.map((role) => [role, "gen:flows=0"]));
  const node = await TestNode.start(wire, {
    ports: { ...ports, upstream: "gen:flows=100,new=0,fin=0,zipf=0,rate=10000" },
    preset: "nat",
    plane: ["frame_bytes_max = 1518"],
    failover: FAILOVER,
  });
  const port = (role: Role) => async () => (await node.status()).ports.find((one) => one.role === role)!;
  await node.until("all flows", ({ flows }) => flows.upstream === 100);
  const status = await node.status();
  assert.equal(status.flows.upstream, 100);
  assert.equal(status.flows.downstream, 0);
  const standby = await port("redundant-in")();
  assert.ok(standby.mirroredPackets >= 100 && standby.rxPackets === 0, "copies were swallowed");
  assert.equal((await port("primary-in")()).txFull, 0);
});

Deno.test("gen: refuses frames larger than the node passes, with both numbers", async () => {
  await using wire = await Wire.up();
  await assert.rejects(
    generate(wire, "sizes=9000"),
    /frames of 9000 bytes are larger than frame_bytes_max, 1518/,
  );
});
