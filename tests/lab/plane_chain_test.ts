/**
 * A chain: two stages with a primary and a redundant box each. Every stage fails over by itself, and knows of no other.
 *
 * The second stage has the ends of the wire that further boxes would have.
 */
import assert from "node:assert/strict";
import type { EventView, NodeStatus } from "../../appliance/view.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { TestNode } from "../support/node.ts";
import { machineDrops, nodeEnd, Wire } from "../support/wire.ts";
import type { RemoteNode } from "../../ui/client.ts";

const PER_SECOND = 3_000;
const PATIENT = ["silence_ms = 1000", "drain_ms = 200", "hold_up_ms = 300"];
/** Late enough that a box which the machine does not let run is not taken for dead. */
const SOON = ["silence_ms = 300", "hold_up_ms = 200"];
const LOOKS = 1_500;

const port = (role: Parameters<typeof nodeEnd>[0]) => `"af_packet:${nodeEnd(role)}"`;
const STAGES = [
  "[[stage]]",
  'name = "ids"',
  `primary_in = ${port("redundant-2-in")}`,
  `primary_out = ${port("redundant-2-out")}`,
  `redundant_in = ${port("redundant-3-in")}`,
  `redundant_out = ${port("redundant-3-out")}`,
];

const moves = (events: readonly EventView[]) =>
  events.filter(({ kind }) => kind === "switch").map(({ after, cause }) => `${after} ${cause}`);
const eventsOf = (stage: RemoteNode) => stage.events({ after: 0, limit: 1000 });

async function until(stage: RemoteNode, what: string, is: (status: NodeStatus) => boolean): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    if (is(await stage.status())) return;
    await sleep(20);
  }
  throw new Error(`Cannot see ${what}: ${JSON.stringify((await stage.status()).boxes)}`);
}

async function chain(wire: Wire, failover: readonly string[], cores: number) {
  const boxes = [
    await wire.box("primary"),
    await wire.box("redundant"),
    await wire.box("redundant-2"),
    await wire.box("redundant-3"),
  ];
  const node = await TestNode.start(wire, { cores, failover, preset: "nat", stages: STAGES });
  const ids = node.stage("ids");
  const running = ({ plane, ports, light }: NodeStatus) =>
    plane.state === "running" && light === "green" && ports.every(({ link }) => link === "up");
  await until(ids, "the second stage running", running);
  await node.until("the first stage running", running);
  return { node, ids, boxes };
}

for (const cores of [1, 2]) {
  Deno.test(`each stage of a chain fails over alone, on ${cores} cores`, async () => {
    await using wire = await Wire.up(4);
    const { node, ids, boxes } = await chain(wire, SOON, cores);
    const load = await wire.load(PER_SECOND);
    await load.more(500);
    await wire.link("redundant-2-in", "down");
    await until(ids, "the second stage's redundant box serving", ({ path }) => path === "redundant");
    await load.more(500);
    assert.equal((await node.status()).path, "primary");
    await boxes[0]!.mode("drop");
    await node.until("the first stage's redundant box serving", ({ path }) => path === "redundant");
    await load.more(500);
    assert.deepEqual(moves(await node.events()), ["redundant silence"]);
    assert.deepEqual(moves(await eventsOf(ids)), ["redundant link"]);
    const { lost, sent, duplicated, foreign } = await load.stop();
    assert.deepEqual({ duplicated, foreign }, { duplicated: 0, foreign: 0 });
    console.log(`a death in each stage: ${lost} of ${sent} lost`);
  });

  Deno.test(`orders to each stage move traffic without a frame lost, on ${cores} cores`, async () => {
    await using wire = await Wire.up(4);
    const { node, ids } = await chain(wire, PATIENT, cores);
    const drops = machineDrops();
    const load = await wire.load(PER_SECOND, { flows: 16 });
    for (const order of ["switchover", "failback"] as const) {
      await load.more(300);
      assert.ok((await ids.order(order, { force: false })).ok);
      await load.more(300);
      assert.ok((await node.order(order)).ok);
    }
    await load.more(300);
    await node.endControl("SIGTERM");
    await load.more(300);
    await node.startControl();
    await until(ids, "the second stage taken over", ({ plane }) => plane.state === "running");
    const { lost, duplicated, foreign, sent } = await load.stop();
    const ours = Math.max(0, lost - (machineDrops() - drops));
    console.log(`${lost} of ${sent} lost`);
    assert.deepEqual({ ours, duplicated, foreign }, { ours: 0, duplicated: 0, foreign: 0 });
  });
}

Deno.test("a stage whose plane dies joins the chain again", async () => {
  await using wire = await Wire.up(4);
  const { node, ids } = await chain(wire, PATIENT, 1);
  const load = await wire.load(PER_SECOND);
  const pid = async (of: { status(): Promise<NodeStatus> }) => (await of.status()).plane.pid;
  for (const stage of [node, ids, node]) {
    const before = await pid(stage);
    Deno.kill(before, "SIGKILL");
    for (let look = 0; look < LOOKS && await pid(stage) === before; look++) await sleep(20);
    await load.more(500);
  }
  await load.stop();
  // A neighbour in shared memory that goes takes nobody with it.
  const restarts = async (of: { status(): Promise<NodeStatus> }) => (await of.status()).plane.restarts;
  assert.deepEqual([await restarts(node), await restarts(ids)], [2, 1]);
});
