/**
 * Order and completeness under load: numbered frames of several flows in both directions, through transparent boxes.
 *
 * The rate is far below what the plane can do, so that a loss means a fault and not a full machine. Control dies
 * under the same load, and nobody may notice.
 */
import assert from "node:assert/strict";
import { TestNode } from "../support/node.ts";
import { type LoadReport, machineDrops, Wire } from "../support/wire.ts";

const PER_SECOND = 20_000;
const KILLS = 10;
/** On a busy machine the box itself stands still for tens of milliseconds; that is not what is tested here. */
const SETTINGS = { failover: ["silence_ms = 1000"] };

/** All there, in order, once; but for what the machine itself had no room for, see machineDrops(). */
async function assertWhole(report: LoadReport, node: TestNode, dropsBefore: number): Promise<void> {
  const { lost, reordered, duplicated, foreign } = report;
  const drops = machineDrops() - dropsBefore;
  if (lost > 0 && lost <= drops) console.log(`the machine's own backlog dropped ${drops} frames meanwhile`);
  const ours = Math.max(0, lost - drops);
  const expected = { ours: 0, reordered: 0, duplicated: 0, foreign: 0 };
  assert.deepEqual({ ours, reordered, duplicated, foreign }, expected, await node.whereabouts());
}

Deno.test("the plane keeps the order inside every flow and loses nothing, both ways at once", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await TestNode.start(wire, SETTINGS);
  const drops = machineDrops();
  const load = await wire.load(PER_SECOND, { flows: 16 });
  await load.more(2 * PER_SECOND);
  const report = await load.stop();
  const status = await node.status();
  await assertWhole(report, node, drops);
  assert.ok(report.sent >= 2 * PER_SECOND);
  assert.equal(status.path, "primary");
  assert.equal(status.switches, 0);
  const primary = status.boxes.find(({ box }) => box === "primary")!;
  const room = machineDrops() - drops;
  for (const packets of [primary.inPackets, primary.outPackets]) {
    assert.ok(packets <= report.sent && packets >= report.sent - room, `${packets} of ${report.sent} frames`);
  }
  console.log(`${report.sent} frames, longest gap ${(report.gapUs / 1000).toFixed(1)} ms`);
});

Deno.test("kill -9 of control, ten times under load, loses no packet and leaves the plane alone", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await TestNode.start(wire, SETTINGS);
  const drops = machineDrops();
  const load = await wire.load(PER_SECOND / 2);
  const { pid } = (await node.status()).plane;
  for (let kill = 0; kill < KILLS; kill++) {
    await load.more(500);
    await node.endControl("SIGKILL");
    await load.more(500);
    await node.startControl();
    assert.equal((await node.status()).plane.pid, pid);
  }
  await load.more(500);
  const report = await load.stop();
  const events = await node.events();
  await assertWhole(report, node, drops);
  assert.equal(events.filter(({ cause }) => cause === "attached").length, KILLS);
  assert.equal(events.filter(({ cause }) => cause === "died").length, 0);
  const sequences = events.map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences,
    sequences.map((_, i) => sequences[0]! + i),
    "the journal goes on over restarts",
  );
  console.log(
    `${report.sent} frames over ${KILLS} kills, longest gap ${(report.gapUs / 1000).toFixed(1)} ms`,
  );
});

Deno.test("SIGTERM ends control alone, SIGINT ends the plane as well", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await TestNode.start(wire, SETTINGS);
  const drops = machineDrops();
  const load = await wire.load(2_000);
  const { pid } = (await node.status()).plane;
  assert.equal(await node.endControl("SIGTERM"), 0);
  await load.more(500);
  assert.ok(alive(pid), "the plane lives on");
  await node.startControl();
  assert.equal((await node.status()).plane.pid, pid);
  await assertWhole(await load.stop(), node, drops);
  assert.equal(await node.endControl("SIGINT"), 0);
  assert.ok(!alive(pid), "the plane has ended");
});

Deno.test("a plane that is killed is replaced and counted, and traffic flows again", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await TestNode.start(wire, SETTINGS);
  const load = await wire.load(2_000);
  await load.more(200);
  const before = await node.status();
  Deno.kill(before.plane.pid, "SIGKILL");
  const after = await node.until(
    "another plane",
    ({ plane }) => plane.state === "running" && plane.restarts === 1,
  );
  assert.notEqual(after.plane.pid, before.plane.pid);
  await load.more(500);
  await load.stop();
  const causes = (await node.events()).filter(({ kind }) => kind === "plane").map(({ cause }) => cause);
  assert.deepEqual(causes, ["start", "died", "start"]);
  assert.equal((await node.status()).light, "green");
});

function alive(pid: number): boolean {
  try {
    // A process that has ended but was not waited for is a line in /proc all the same.
    return !/^\d+ \(.*\) Z/.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
