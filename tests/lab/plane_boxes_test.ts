/**
 * More than two boxes: each standby gets its own copies, the next in order takes over, boxes come and go under load.
 *
 * Boxes are transparent here, or a bench plays them; real ones with state stand in lab_boxes_test.ts.
 */
import assert from "node:assert/strict";
import type { EventView, Role } from "../../appliance/view.ts";
import { FROM_CLIENT } from "../support/cast.ts";
import { TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

const PER_SECOND = 5_000;
/** A box that a busy machine does not let run is late, and none of that is what is tested here. */
const PATIENT = ["silence_ms = 1000", "drain_ms = 200", "hold_up_ms = 300"];
/** Late enough that a box which the machine does not let run is not taken for dead. */
const SOON = ["silence_ms = 300", "drain_ms = 5", "hold_up_ms = 100"];

const told = (events: readonly EventView[], kind: EventView["kind"]) =>
  events.filter((event) => event.kind === kind);
const moves = (events: readonly EventView[]) =>
  told(events, "switch").map(({ before, after, cause }) => `${before} > ${after} (${cause})`);

async function threeBoxes(wire: Wire) {
  const [primary, redundant] = [await wire.box("primary"), await wire.box("redundant")];
  return { primary, redundant, third: await wire.box("redundant-2") };
}

Deno.test("each standby gets copies of its own, one that has left gets none, and one that joins again does", async () => {
  await using wire = await Wire.up(3);
  const node = await TestNode.start(wire, { further: [['name = "fw-c"']] });
  const bench = await wire.bench();
  const arp = FROM_CLIENT["ARP request"]!;
  const seenAt = async (standbys: readonly Role[]) => {
    await bench.settle([["upstream", "primary-in", ...standbys]]);
    bench.taken();
    await bench.send("upstream", arp);
    await bench.settle([["upstream", "primary-in", ...standbys]]);
    return bench.taken().map(({ role }) => role).sort();
  };
  const both = ["primary-in", "redundant-2-in", "redundant-in"];
  assert.deepEqual(await seenAt(["redundant-in", "redundant-2-in"]), both);
  assert.match((await node.member("leave", "fw-c")).text, /^the redundant-2 left/);
  const without = await node.until("copies for one", ({ boxes }) => boxes[2]?.member === false);
  assert.equal(without.light, "yellow");
  await bench.send("upstream", arp); // whatever is still copied by a worker that has not heard
  await seenAt(["redundant-in"]);
  assert.deepEqual(await seenAt(["redundant-in"]), ["primary-in", "redundant-in"]);
  assert.ok((await node.member("join", "redundant-2")).ok);
  await node.until("all good", ({ light }) => light === "green");
  assert.deepEqual(await seenAt(["redundant-in", "redundant-2-in"]), both);
  const { ports } = await node.status();
  assert.ok(ports.find(({ role }) => role === "redundant-2-in")!.mirroredPackets > 0);
  const members = told(await node.events(), "member").map(({ subject, after }) => `${subject} ${after}`);
  assert.deepEqual(members, ["redundant-2 left", "redundant-2 joined"]);
});

for (const cores of [1, 2]) {
  Deno.test(`the primary dies, then the box that took over: traffic ends up with the third, on ${cores} cores`, async () => {
    await using wire = await Wire.up(3);
    const boxes = await threeBoxes(wire);
    const node = await TestNode.start(wire, { cores, failover: SOON, further: [[]] });
    const load = await wire.load(PER_SECOND);
    await load.more(500);
    await wire.link("primary-in", "down");
    await node.until("the redundant box serving", ({ path }) => path === "redundant");
    await load.more(500);
    await boxes.redundant.mode("drop");
    const last = await node.until("the third box serving", ({ path }) => path === "redundant-2");
    await load.more(500);
    assert.equal(last.boxes[2]!.serving, true);
    assert.deepEqual(moves(await node.events()), [
      "primary > redundant (link)",
      "redundant > redundant-2 (silence)",
    ]);
    const report = await load.stop();
    assert.deepEqual([report.duplicated, report.foreign], [0, 0]);
    console.log(
      `two deaths: ${report.lost} of ${report.sent} lost, gap ${(report.gapUs / 1000).toFixed(1)} ms`,
    );
  });

  Deno.test(`boxes join, leave and take turns under load without a frame lost, on ${cores} cores`, async () => {
    await using wire = await Wire.up(3);
    await threeBoxes(wire);
    const node = await TestNode.start(wire, { cores, preset: "nat", failover: PATIENT, further: [[]] });
    const drops = machineDrops();
    const load = await wire.load(PER_SECOND, { flows: 16 });
    for (let round = 0; round < 3; round++) {
      await load.more(300);
      assert.ok((await node.member("leave", "redundant")).ok);
      const past = await node.order("switchover");
      assert.deepEqual([past.ok, past.path], [true, "redundant-2"], past.text);
      await load.more(300);
      assert.ok((await node.member("join", "redundant")).ok);
      await node.until("the redundant box warm", ({ boxes }) => boxes[1]!.light === "green");
      const back = await node.order("switchover", false, "redundant");
      assert.deepEqual([back.ok, back.path], [true, "redundant"], back.text);
      await load.more(300);
      assert.ok((await node.order("failback")).ok);
    }
    const { lost, reordered, duplicated, foreign, sent } = await load.stop();
    const ours = Math.max(0, lost - (machineDrops() - drops));
    console.log(`${lost} lost, ${reordered} reordered, ${duplicated} doubled of ${sent}`);
    assert.deepEqual({ ours, duplicated, foreign }, { ours: 0, duplicated: 0, foreign: 0 });
  });
}

Deno.test("order says who takes over: the third box before the second", async () => {
  await using wire = await Wire.up(3);
  const node = await TestNode.start(wire, { failover: ["hold_up_ms = 100"], further: [["order = 50"]] });
  await wire.link("primary-out", "down");
  // The path is on the board at once, events reach the journal a moment later.
  await node.until("the switch in the journal", ({ lastSwitch }) => lastSwitch !== null);
  assert.equal((await node.status()).path, "redundant-2");
  assert.deepEqual(moves(await node.events()), ["primary > redundant-2 (link)"]);
});

Deno.test("by weight the heaviest spare takes over, and the line stays over a reload", async () => {
  await using wire = await Wire.up(3);
  const node = await TestNode.start(wire, {
    failover: ["hold_up_ms = 100", 'choose = "weight"'],
    further: [["weight = 200"]],
  });
  const { boxes } = await node.until("the heavy one next", (status) => status.boxes[2]!.turn === 1);
  assert.deepEqual(boxes.map(({ turn }) => turn), [null, 2, 1]);
  await node.edit((toml) => toml.replace("hold_up_ms = 100", "hold_up_ms = 110"));
  assert.ok((await node.reload()).ok);
  await wire.link("primary-out", "down");
  await node.until("the switch in the journal", ({ lastSwitch }) => lastSwitch !== null);
  assert.equal((await node.status()).path, "redundant-2");
  const lines = told(await node.events(), "match").filter(({ cause }) => cause === "preferred");
  assert.deepEqual(lines.map(({ text }) => text.split(": ")[1]), ["redundant-2 (200), then redundant (100)"]);
});

Deno.test("who has left stays away over restarts of control and of the plane, and does not take over", async () => {
  await using wire = await Wire.up(3);
  const node = await TestNode.start(wire, { failover: ["hold_up_ms = 100"], further: [[]] });
  const serving = await node.member("leave", "primary");
  assert.deepEqual([serving.ok, /serves: move the traffic first/.test(serving.text)], [false, true]);
  const unknown = await node.member("leave", "fw-d");
  assert.match(unknown.text, /there is no box "fw-d": there are primary, redundant, redundant-2/);
  assert.ok((await node.member("leave", "redundant")).ok);
  await node.endControl("SIGTERM");
  await node.startControl();
  assert.equal((await node.status()).boxes[1]!.member, false);
  await node.endControl("SIGINT");
  await node.startControl();
  assert.equal((await node.status()).boxes[1]!.member, false);
  const refused = await node.order("switchover", false, "redundant");
  assert.match(refused.text, /redundant is not known to be alive: has left/);
  await wire.link("primary-in", "down");
  await node.until("the third box serving", ({ path }) => path === "redundant-2");
});

Deno.test("maintenance relieves a box under load without a frame lost, and keeps it out over a restart", async () => {
  await using wire = await Wire.up(2);
  await wire.box("primary");
  await wire.box("redundant");
  const node = await TestNode.start(wire, { preset: "nat", failover: PATIENT });
  const drops = machineDrops();
  const load = await wire.load(PER_SECOND, { flows: 16 });
  await load.more(300);
  const on = await node.maintain("primary", true);
  assert.deepEqual([on.ok, on.path], [true, "redundant"], on.text);
  assert.match(on.text, /^traffic goes by the redundant box; the primary left/);
  await node.endControl("SIGTERM");
  await node.startControl();
  assert.deepEqual((await node.status()).boxes.map(({ member }) => member), [false, true]);
  assert.match((await node.maintain("redundant", true)).text, /no other box is alive and warm to relieve it/);
  assert.ok((await node.maintain("primary", false)).ok);
  await node.until("the primary warm", ({ boxes }) => boxes[0]!.light === "green");
  const back = await node.maintain("redundant", true);
  assert.deepEqual([back.ok, back.path], [true, "primary"], back.text);
  await load.more(300);
  const { lost, duplicated, foreign, sent } = await load.stop();
  console.log(`maintenance of both boxes: ${lost} of ${sent} lost`);
  const ours = Math.max(0, lost - (machineDrops() - drops));
  assert.deepEqual({ ours, duplicated, foreign }, { ours: 0, duplicated: 0, foreign: 0 });
});

/** "02:00-03:00", so many hours from now. */
function hoursFromNow(from: number, to: number): string {
  const at = (hours: number) => {
    const time = new Date(Date.now() + hours * 3_600_000);
    return [time.getHours(), time.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  };
  return `${at(from)}-${at(to)}`;
}

Deno.test("after maintenance traffic comes back by itself, in its hours; what was moved for good does not", async () => {
  await using wire = await Wire.up(2);
  await wire.box("primary");
  await wire.box("redundant");
  const window = `failback_window = "${hoursFromNow(2, 3)}"`;
  const node = await TestNode.start(wire, {
    failover: [...PATIENT, 'failback = "automatic"', "failback_after_s = 1", window],
  });
  assert.deepEqual([(await node.maintain("primary", true)).path], ["redundant"]);
  await node.endControl("SIGTERM");
  await node.startControl();
  assert.ok((await node.maintain("primary", false)).ok);
  const waits = await node.until("a time at which it goes back", ({ failback }) => failback !== null);
  assert.ok(waits.failback!.atMs > Date.now() + 3_600_000, "not before its hours");
  assert.equal(waits.path, "redundant");
  await node.edit((toml) => toml.replace(window, `failback_window = "${hoursFromNow(-1, 1)}"`));
  assert.ok((await node.reload()).ok);
  await node.until("the primary serving", ({ path }) => path === "primary");
  assert.ok((await node.order("switchover")).ok);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const { path, failback } = await node.status();
  assert.deepEqual([path, failback], ["redundant", null]);
  assert.deepEqual(moves(await node.events()), [
    "primary > redundant (order)",
    "redundant > primary (order)",
    "primary > redundant (order)",
  ]);
});

for (const cores of [1, 2]) {
  Deno.test(`a further box comes by reload under load, without a frame lost, on ${cores} cores`, async () => {
    await using wire = await Wire.up(3);
    await threeBoxes(wire);
    const settings = { cores, preset: "nat", failover: PATIENT };
    const node = await TestNode.start(wire, settings);
    const drops = machineDrops();
    const load = await wire.load(PER_SECOND, { flows: 16 });
    await load.more(300);
    const nothing = { ports: { "redundant-2-in": "null", "redundant-2-out": "null" } };
    const refused = await node.reconfigure({ ...settings, ...nothing, further: [[]] });
    assert.match(
      refused.stderr,
      /redundant\[0\].in, redundant\[0\].out cannot be opened while the node runs/,
    );
    const missing = { ports: { "redundant-2-out": "af_packet:nobody" } };
    const failed = await node.reconfigure({ ...settings, ...missing, further: [[]] });
    assert.match(
      failed.stderr,
      /Cannot open port redundant-2-out \(af_packet:nobody\): there is no interface nobody/,
    );
    assert.equal((await node.status()).boxes.length, 2);
    const taken = await node.reconfigure({ ...settings, further: [['name = "fw-c"']] });
    assert.equal(taken.code, 0, taken.stderr);
    const grown = await node.until(
      "three good boxes",
      ({ boxes, light }) => boxes.length === 3 && light === "green",
    );
    assert.equal(grown.boxes[2]!.name, "fw-c");
    const moved = await node.order("switchover", false, "redundant-2");
    assert.deepEqual([moved.ok, moved.path], [true, "redundant-2"], moved.text);
    await load.more(300);
    const { lost, duplicated, foreign, sent } = await load.stop();
    const ours = Math.max(0, lost - (machineDrops() - drops));
    console.log(`a box more: ${lost} of ${sent} lost`);
    assert.deepEqual({ ours, duplicated, foreign }, { ours: 0, duplicated: 0, foreign: 0 });
  });
}
