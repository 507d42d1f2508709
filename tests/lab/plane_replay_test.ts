/**
 * The hold ring on real links: what a dying box swallowed comes out of the other one, once, in order.
 *
 * A load whose frames are numbered tells what was lost, doubled or overtaken.
 */
import assert from "node:assert/strict";
import type { NodeStatus, Role } from "../../appliance/view.ts";
import { CLIENT4, datagram, SERVER4 } from "../support/cast.ts";
import { type NodeSettings, TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

/** Of both directions together. */
const PER_SECOND = 10_000;
/** Higher than the default: a box that the machine does not let run for a moment is not to be taken for dead. */
const SILENCE_MS = 100;

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;

async function scene(failover: readonly string[], settings: NodeSettings = {}) {
  const wire = await Wire.up();
  try {
    const primary = await wire.box("primary");
    const redundant = await wire.box("redundant");
    const node = await TestNode.start(wire, {
      ...settings,
      plane: ["memory_mib = 256"],
      failover: [`silence_ms = ${SILENCE_MS}`, ...failover],
    });
    const end = () => wire.down();
    return { wire, primary, redundant, node, [Symbol.asyncDispose]: end };
  } catch (error) {
    await wire.down();
    throw error;
  }
}

for (const cores of [1, 2]) {
  Deno.test(`nothing is lost or doubled when the primary drops everything, on ${cores} cores`, async () => {
    await using s = await scene([], { cores });
    const drops = machineDrops();
    const load = await s.wire.load(PER_SECOND, { flows: 16 });
    await load.more(2000);
    await s.primary.mode("drop");
    await s.node.until("the redundant box serving", ({ path }) => path === "redundant");
    await load.more(2000);
    const report = await load.stop();
    const status = await s.node.status();
    console.log(report, machineDrops() - drops, await s.node.whereabouts());
    assert.ok(report.lost <= machineDrops() - drops, await s.node.whereabouts());
    assert.deepEqual([report.duplicated, report.reordered, report.foreign], [0, 0, 0]);
    assert.ok(counter(status, "replayed") > 0);
  });
}

Deno.test("what went straight through by replay is dropped when the dead box hands it over after all", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, {
    failover: ["silence_ms = 0", "hold_ring_ms = 1000", "drain_ms = 1000", 'dead_policy = "forward"'],
  });
  const bench = await wire.bench();
  const frame = datagram([CLIENT4, SERVER4]);
  const at = (role: Role) =>
    bench.arrivals.filter((one) => one.role === role && one.bytes.toHex() === frame.toHex()).length;
  const arrives = (role: Role) => bench.until(() => at(role) > 0, `the frame at ${role}`);
  await wire.link("redundant-in", "down");
  await node.until("no spare", ({ light }) => light === "yellow");
  await bench.send("upstream", frame);
  await arrives("primary-in");
  await wire.link("primary-in", "down");
  await arrives("downstream");
  await bench.send("primary-out", frame);
  await node.until("the second one dropped", (status) => counter(status, "replay_seen") === 1);
  assert.equal(at("downstream"), 1);
  assert.equal(counter(await node.status(), "replayed"), 1);
});
