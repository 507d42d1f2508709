/**
 * Every kind of port moves frames unchanged: capture files, AF_XDP, taps, shared memory, and the one that does nothing.
 *
 * What af_packet does is tested frame by frame in plane_transparent_test.ts; the others get the same frames as far as
 * they can carry them.
 */
import assert from "node:assert/strict";
import { ALL_ROLES, type Role, ROLES } from "../../appliance/view.ts";
import { LINK_ETHERNET, pcapHeader, pcapRecord, readCapture } from "../../filter/capture.ts";
import { inNamespace } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { Bench } from "../support/bench.ts";
import { FROM_CLIENT, FROM_SERVER } from "../support/cast.ts";
import { TestNode } from "../support/node.ts";
import { OWN_BPFFS, XDP_FAULT, XDP_FRAME_BYTES_MAX, XDP_NEEDS } from "../support/xdp.ts";
import { hex, isCopied, MARKED, pass, type Way, WAYS } from "../support/transparent.ts";
import { nodeEnd, Wire } from "../support/wire.ts";

const FAILOVER = ["silence_ms = 0"];
const QUIET = { failover: FAILOVER };

async function writePcap(path: string, frames: readonly Uint8Array[]): Promise<void> {
  const records = frames.map((bytes) => pcapRecord({ timeNs: 0n, bytes, wireLength: bytes.length }));
  await Deno.writeFile(path, new Uint8Array(await new Blob([pcapHeader(LINK_ETHERNET), ...records]).bytes()));
}

Deno.test("pcap ports take every kind of frame from a file and write what leaves to another, unchanged", async () => {
  await using wire = await Wire.up();
  const directory = wire.lab.directory;
  const given = new Map<Role, readonly Uint8Array[]>(
    WAYS.map(([from, , , cast]) => [from, Object.values(cast)]),
  );
  // A port's text has its bounds, so the names are short.
  const file = (role: Role, way: "rx" | "tx") => `${directory}/${ALL_ROLES.indexOf(role)}${way}`;
  for (const role of ROLES) await writePcap(file(role, "rx"), given.get(role) ?? []);
  const spec = (role: Role) => [role, `pcap:rx=${file(role, "rx")},tx=${file(role, "tx")}`];
  const node = await TestNode.start(wire, { ...QUIET, ports: Object.fromEntries(ROLES.map(spec)) });
  await node.until(
    "all frames taken",
    ({ ports }) => ports.every(({ role, rxPackets }) => rxPackets >= (given.get(role)?.length ?? 0)),
  );
  assert.equal(await node.endControl("SIGINT"), 0, "the files are complete once the plane has ended");
  for (const role of ROLES) {
    const written = [...readCapture(await Deno.readFile(file(role, "tx")))].map(({ bytes }) => hex(bytes));
    const sent = WAYS.filter(([, to]) => to === role).flatMap(([from]) => given.get(from)!);
    const copied = WAYS.filter(([, , standby]) => standby === role).flatMap(([from]) => given.get(from)!)
      .filter(isCopied);
    assert.deepEqual(written, [...sent, ...copied].map(hex), role);
  }
});

Deno.test({
  name: `af_xdp ports carry every kind of frame that fits a page ${XDP_NEEDS}`,
  ignore: XDP_FAULT !== null,
  fn: async () => {
    await using wire = await Wire.up();
    await wire.setMtu(1500);
    const bench = await wire.bench();
    const ports = Object.fromEntries(
      (["upstream", "downstream", "primary-in", "primary-out"] as const).map((role) => [
        role,
        `af_xdp:${nodeEnd(role)}`,
      ]),
    );
    await TestNode.start(wire, { ...QUIET, ports, wrap: OWN_BPFFS });
    await bench.settle(MARKED);
    for (const [from, to, standby, cast] of WAYS) {
      const fits = Object.entries(cast).filter(([, frame]) => frame.length <= XDP_FRAME_BYTES_MAX);
      const way: Way = [from, to, standby, cast];
      await pass(bench, way, fits);
    }
  },
});

Deno.test("a tap port gives the kernel an interface whose frames go through the node", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  await TestNode.start(wire, { ...QUIET, ports: { upstream: "tap:tapup" } });
  await wire.lab.script(NODE_NS, "ip link set dev tapup up");
  const kernel = new Bench(inNamespace(wire.lab.ns(NODE_NS), [wire.programs.frames, "bench", "tapup"]));
  wire.atEnd(() => kernel.end());
  await kernel.ready();
  const [there, back] = [FROM_CLIENT["QinQ, 0x88a8 outside 0x8100"]!, FROM_SERVER["VLAN"]!];
  await kernel.send("upstream", there);
  await bench.until(() => bench.arrivals.length === 1, "a frame from the tap");
  assert.deepEqual(bench.taken().map(({ role, bytes }) => [role, hex(bytes)]), [["primary-in", hex(there)]]);
  await bench.send("primary-in", back);
  await kernel.until(() => kernel.arrivals.length === 1, "a frame at the tap");
  assert.deepEqual(kernel.taken().map(({ bytes }) => hex(bytes)), [hex(back)]);
});

Deno.test("memif ports join two nodes through shared memory, jumbo frames included", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const socket = (name: string, role: string) => `memif:${wire.lab.directory}/${name}.sock,role=${role}`;
  const spare = { "redundant-in": "null", "redundant-out": "null" };
  const first = await TestNode.start(wire, {
    ...QUIET,
    ports: { "primary-in": socket("a", "server"), "primary-out": socket("b", "server"), ...spare },
  });
  await TestNode.start(wire, {
    ...QUIET,
    ports: {
      upstream: socket("a", "client"),
      downstream: socket("b", "client"),
      "primary-in": `af_packet:${nodeEnd("redundant-in")}`,
      "primary-out": `af_packet:${nodeEnd("redundant-out")}`,
      ...spare,
    },
  });
  // The shared memory is there only when both ends are; the first node began without its primary.
  await first.until("the memif links", ({ boxes }) => boxes[0]!.light === "green");
  assert.ok((await first.order("failback")).ok);
  const ways: readonly Way[] = [
    ["upstream", "redundant-in", null, FROM_CLIENT],
    ["redundant-out", "downstream", null, FROM_CLIENT],
    ["downstream", "redundant-out", null, FROM_SERVER],
    ["redundant-in", "upstream", null, FROM_SERVER],
  ];
  const marked = ways.map(([from, to]) => [from, to] as [Role, Role]);
  for (const way of ways) await pass(bench, way, Object.entries(way[3]), marked);
});

Deno.test("null ports are up, receive nothing and drop what is sent", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const boxes = ["primary-in", "primary-out", "redundant-in", "redundant-out"] as const;
  const ports = Object.fromEntries(boxes.map((role) => [role, "null"]));
  const node = await TestNode.start(wire, { ...QUIET, ports });
  await bench.send("upstream", FROM_CLIENT["IPv4 UDP"]!);
  await node.until(
    "a frame dropped by the null port",
    ({ ports }) => ports.find(({ role }) => role === "primary-in")!.txPackets === 1,
  );
  const status = await node.status();
  for (const port of status.ports.filter(({ spec }) => spec === "null")) {
    assert.deepEqual([port.link, port.rxPackets], ["up", 0], port.role);
  }
  assert.deepEqual(bench.taken(), []);
});
