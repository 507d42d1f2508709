/**
 * Reflexes on real links and with real silence: what makes the plane move traffic, what must not, and what it tells.
 *
 * Two transparent boxes and a load whose flows are answered. Times are the node's own; no test waits for a time to be
 * short.
 */
import assert from "node:assert/strict";
import type { EventView, NodeStatus } from "../../appliance/view.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { CLIENT4, datagram, SERVER4 } from "../support/cast.ts";
import { type NodeSettings, TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

const PER_SECOND = 4_000;
/** High enough that a box which the machine does not let run is not taken for dead. */
const SILENCE_MS = 300;
const HOLD_UP_MS = 400;
const FLAPS = 20;

const BASE = [`silence_ms = ${SILENCE_MS}`, `hold_up_ms = ${HOLD_UP_MS}`];

async function scene(failover: readonly string[] = [], plane: Pick<NodeSettings, "cores"> = {}) {
  const wire = await Wire.up();
  try {
    const primary = await wire.box("primary");
    const redundant = await wire.box("redundant");
    const node = await TestNode.start(wire, { ...plane, failover: [...BASE, ...failover] });
    const end = () => wire.down();
    return { wire, primary, redundant, node, [Symbol.asyncDispose]: end };
  } catch (error) {
    await wire.down();
    throw error;
  }
}

function switches(events: readonly EventView[]): EventView[] {
  return events.filter(({ kind }) => kind === "switch");
}

const moves = (events: readonly EventView[]) =>
  switches(events).map(({ before, after, cause }) => `${before} > ${after} (${cause})`);

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;

Deno.test("a lost link of the primary moves traffic to the redundant box and says why", async () => {
  await using s = await scene();
  const load = await s.wire.load(PER_SECOND);
  await load.more(1000);
  await s.wire.link("primary-in", "down");
  const status = await s.node.until("the redundant box serving", ({ path }) => path === "redundant");
  await load.more(1000);
  const report = await load.stop();
  assert.equal(status.light, "yellow");
  assert.match(status.reason, /no spare.*primary-in/);
  const events = await s.node.events();
  assert.deepEqual(moves(events), ["primary > redundant (link)"]);
  const [move] = switches(events);
  assert.ok(move!.silentUs! >= 0 && move!.silentUs! < 1e6, `last seen ${move!.silentUs} us before`);
  assert.ok(move!.lostPackets! >= 0);
  const links = events.filter(({ kind }) => kind === "link").map(({ subject, after }) => [subject, after]);
  assert.deepEqual(links, [["primary-in", "down"]]);
  const boxes = events.filter(({ kind }) => kind === "box").map(({ subject, after, cause }) =>
    `${subject} ${after} (${cause})`
  );
  assert.deepEqual(boxes, ["primary dead (link)"]);
  assert.equal(report.duplicated + report.foreign, 0);
  console.log(`link loss: ${report.lost} of ${report.sent} lost, gap ${(report.gapUs / 1000).toFixed(1)} ms`);
});

Deno.test("a link of the primary that flaps twenty times moves traffic once", async () => {
  await using s = await scene();
  const load = await s.wire.load(PER_SECOND);
  await load.more(500);
  const port = ({ ports }: NodeStatus) => ports.find(({ role }) => role === "primary-out")!;
  for (let change = 0; change < 2 * FLAPS; change++) {
    const state = change % 2 === 0 ? "down" : "up";
    await s.wire.link("primary-out", state);
    // The kernel tells of links now and then, and nothing of a change that was undone by then.
    await s.node.until(`the port ${state}`, (status) => port(status).link === state);
  }
  // Yellow: a box that died so often is suppressed.
  await s.node.until("the primary's links up", ({ boxes }) => boxes[0]!.light === "yellow");
  await sleep(2 * HOLD_UP_MS);
  await load.more(500);
  await load.stop();
  const status = await s.node.status();
  assert.deepEqual(moves(await s.node.events()), ["primary > redundant (link)"]);
  assert.equal(status.path, "redundant");
  assert.equal(status.switches, 1);
  assert.equal(port(status).linkChanges, 2 * FLAPS);
});

Deno.test("a lost link of the standby moves nothing", async () => {
  await using s = await scene();
  const drops = machineDrops();
  const load = await s.wire.load(PER_SECOND);
  await s.wire.link("redundant-out", "down");
  const status = await s.node.until("no spare", ({ light }) => light === "yellow");
  await load.more(500);
  const report = await load.stop();
  assert.equal(status.path, "primary");
  assert.deepEqual(moves(await s.node.events()), []);
  assert.ok(report.lost <= machineDrops() - drops, await s.node.whereabouts());
  assert.deepEqual([report.reordered, report.duplicated], [0, 0]);
});

for (
  const [mode, what, cores] of [
    ["drop", "both ways", null],
    ["dropIn", "from clients", null],
    ["dropOut", "from servers", null],
    // One worker puts in, another sees that nothing comes out, and the first one judges.
    ["dropIn", "from clients", 2],
    ["dropOut", "from servers", 2],
    ["dropOut", "from servers", 4],
  ] as const
) {
  const on = cores === null ? "" : ` by ${cores} cores`;
  Deno.test(`a primary that silently drops ${what} is judged silent${on}, and traffic moves`, async () => {
    await using s = await scene([], cores === null ? {} : { cores });
    const load = await s.wire.load(PER_SECOND);
    await load.more(500);
    await s.primary.mode(mode);
    await s.node.until("the redundant box serving", ({ path }) => path === "redundant");
    await load.more(1000);
    const report = await load.stop();
    const events = await s.node.events();
    assert.deepEqual(moves(events), ["primary > redundant (silence)"]);
    const [move] = switches(events);
    if (mode === "drop") assert.ok(move!.silentUs! >= SILENCE_MS * 1000, `silent for ${move!.silentUs} us`);
    assert.ok(move!.lostPackets! > 0);
    assert.equal(report.duplicated, 0);
    // What still comes out the other way does not prove that this way works again.
    assert.match((await s.node.status()).boxes[0]!.reason, /none came out/);
    console.log(`silence ${what}: ${report.lost} lost, the event says ${move!.lostPackets}`);
  });
}

Deno.test("one blocked flow that retransmits is no dead box", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 20", `hold_up_ms = ${HOLD_UP_MS}`] });
  const up = datagram([CLIENT4, SERVER4]), down = datagram([SERVER4, CLIENT4]);
  // Answered once, both ways: the flow is known to pass.
  await bench.send("upstream", up);
  await bench.send("primary-out", up);
  await bench.send("downstream", down);
  await bench.send("primary-in", down);
  await bench.until(() => bench.arrivals.length === 4, "the flow passing");
  for (let i = 0; i < 25; i++) {
    await bench.send("upstream", up);
    await sleep(20);
  }
  const status = await node.status();
  assert.equal(status.path, "primary");
  assert.deepEqual(moves(await node.events()), []);
  assert.equal(status.boxes[0]!.inPackets, 27);
});

Deno.test("with both boxes dead, forward joins the two sides, and the first good box gets the traffic back", async () => {
  await using s = await scene(['dead_policy = "forward"']);
  const load = await s.wire.load(PER_SECOND);
  await load.more(500);
  await s.wire.link("redundant-in", "down");
  await s.node.until("no spare", ({ light }) => light === "yellow");
  await s.wire.link("primary-in", "down");
  const wireStatus = await s.node.until("the wire", ({ path }) => path === "wire");
  assert.equal(wireStatus.light, "red");
  await load.more(1000);
  const upMs = Date.now();
  await s.wire.link("redundant-in", "up");
  const back = await s.node.until("the redundant box serving", ({ path }) => path === "redundant");
  assert.ok(back.pathSinceMs - upMs >= HOLD_UP_MS, `it served ${back.pathSinceMs - upMs} ms after its link`);
  await load.more(500);
  const report = await load.stop();
  assert.deepEqual(moves(await s.node.events()), ["primary > wire (link)", "wire > redundant (return)"]);
  assert.equal(report.duplicated + report.foreign, 0);
});

Deno.test("with both boxes dead, block drops everything and counts it", async () => {
  await using s = await scene(['dead_policy = "block"']);
  const load = await s.wire.load(PER_SECOND);
  await load.more(500);
  await s.wire.link("redundant-in", "down");
  // The kernel tells of both in the order it likes.
  await s.node.until("no spare", ({ light }) => light === "yellow");
  await s.wire.link("primary-in", "down");
  await s.node.until("the block", ({ path }) => path === "block");
  // Those that were under way have arrived by the time that so many later ones were dropped.
  const first = await s.node.until("blocked frames", (status) => counter(status, "blocked") > 500);
  assert.match(first.reason, /blocked/);
  const before = await load.report();
  const more = counter(await s.node.status(), "blocked") + 500;
  await s.node.until("more blocked frames", (status) => counter(status, "blocked") > more);
  const report = await load.stop();
  const after = await s.node.status();
  assert.equal(report.received, before.received, "nothing comes through any more");
  assert.ok(counter(after, "blocked") <= report.lost);
  assert.deepEqual(moves(await s.node.events()), ["primary > block (link)"]);
});

Deno.test("with automatic = false a dead box is told and nothing is moved", async () => {
  await using s = await scene(["automatic = false"]);
  const load = await s.wire.load(PER_SECOND);
  await load.more(200);
  await s.wire.link("primary-in", "down");
  const status = await s.node.until("a red primary", ({ boxes }) => boxes[0]!.light === "red");
  assert.equal(status.path, "primary");
  const moved = await s.node.order("switchover");
  assert.ok(moved.ok, moved.text);
  await load.more(200);
  await load.stop();
  const events = await s.node.events();
  assert.deepEqual(moves(events), ["primary > redundant (order)"]);
  assert.ok(
    events.some(({ kind, subject, after }) => kind === "box" && subject === "primary" && after === "dead"),
  );
});
