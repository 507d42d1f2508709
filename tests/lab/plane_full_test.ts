/**
 * Ports that take less than they are given: what is lost is counted under its name, and a full standby costs the traffic
 * nothing.
 *
 * A port is full when the process at the far end of its shared memory stands still.
 */
import assert from "node:assert/strict";
import type { NodeStatus, Role } from "../../appliance/view.ts";
import { TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

const ALL = '[[filter.rules]]\nname = "all"\nall = true\n';
const NULLS = Object.fromEntries(
  (["primary-in", "primary-out", "redundant-in", "redundant-out"] as const).map((role) => [role, "null"]),
);

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;

/** A node whose port of `role` nobody empties, though its link is up. */
async function fullAt(wire: Wire, role: Role): Promise<TestNode> {
  const socket = `memif:${wire.lab.directory}/full.sock`;
  const ports = { [role]: `${socket},role=server` };
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"], more: [ALL], ports });
  const far = await TestNode.start(wire, {
    ports: { ...NULLS, upstream: `${socket},role=client`, downstream: "null" },
  });
  const link = (status: NodeStatus, role: Role) => portOf(status, role).link;
  await node.until("the memif link", (status) => link(status, role) === "up");
  const { pid } = (await far.until("its link", (status) => link(status, "upstream") === "up")).plane;
  assert.ok(pid > 0, "the far plane has ended");
  Deno.kill(pid, "SIGSTOP");
  // It is ended before the node is, and a process that stands still hears nothing.
  wire.atEnd(() => Promise.resolve(Deno.kill(pid, "SIGCONT")));
  return node;
}

function portOf(status: NodeStatus, role: Role) {
  return status.ports.find((port) => port.role === role)!;
}

Deno.test("copies that the standby's port does not take are counted as mirror_full, and no traffic is lost", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await fullAt(wire, "redundant-in");
  const drops = machineDrops();
  const load = await wire.load(4_000);
  await node.until("copies left out", (seen) => counter(seen, "mirror_full") > 100);
  const { lost } = await load.stop();
  assert.ok(lost <= machineDrops() - drops, await node.whereabouts());
  const after = await node.until("every copy accounted for", (seen) => {
    const { txFull, txPackets, mirroredPackets } = portOf(seen, "redundant-in");
    return txFull === counter(seen, "mirror_full") && txPackets + txFull === mirroredPackets;
  });
  assert.equal(counter(after, "tx_full"), 0);
});

Deno.test("traffic that a port does not take is counted as tx_full", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await fullAt(wire, "downstream");
  await wire.load(4_000);
  // What a port says and what a counter says are written at different moments of a turn.
  const left = (status: NodeStatus) =>
    Math.min(portOf(status, "downstream").txFull, counter(status, "tx_full"));
  const after = await node.until("frames left out", (seen) => left(seen) > 100);
  assert.equal(counter(after, "mirror_full"), 0);
  const { txFull } = portOf(after, "downstream");
  await node.until("each of them counted", (seen) => counter(seen, "tx_full") >= txFull);
});
