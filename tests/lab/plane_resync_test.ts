/**
 * Resync, byte for byte: all live connections are seeded into a box that stands by, the busiest first, and nothing of it
 * reaches an end host, whatever the box makes of it.
 *
 * The test is the clients, the server and both boxes, which translate the client's address as a NAT does.
 */
import assert from "node:assert/strict";
import type { NodeStatus, ResyncView, Role } from "../../appliance/view.ts";
import { TCP } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from "../support/cast.ts";
import {
  awake,
  conversation,
  ONLY_SEEDS,
  PATIENT_SEEDS,
  play,
  type Scene,
  scene,
  seeds,
  segment,
  translated,
} from "../support/conversation.ts";
import { type NodeSettings, TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

/** A connection of its own among others, with so many packets more. */
async function live(bench: Bench, it: Scene, more = 0): Promise<void> {
  await play(bench, "primary", conversation(it));
  for (let n = 0; n < more; n++) {
    const ack = segment(it, ["in", "client"], { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 });
    await play(bench, "primary", [["upstream", ack]]);
  }
}

function sceneOf(port: number): Scene {
  const it = scene({ ...CLIENT4, port }, SERVER4, [], port);
  return { ...it, outside: { ...it.outside, port: port + 10_000 } };
}

const redundantOf = (status: NodeStatus): ResyncView | null =>
  status.boxes.find(({ box }) => box === "redundant")?.resync ?? null;
const counted = (status: NodeStatus, name: string) =>
  status.counters.find((counter) => counter.name === name)?.packets;
const hex = (frames: readonly Uint8Array[]) => frames.map((one) => one.toHex());

function arrivedAt(bench: Bench, role: Role): Uint8Array[] {
  return bench.arrivals.filter((one) => one.role === role).map(({ bytes }) => bytes);
}

async function start(wire: Wire, settings: NodeSettings, seed: readonly string[]) {
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    failover: ["silence_ms = 0"],
    more: [...PATIENT_SEEDS, ...seed, ...ONLY_SEEDS],
    ...settings,
  });
  await awake(bench, "primary");
  return { bench, node };
}

for (
  const [what, it, cores] of [
    ["", scene(CLIENT4, SERVER4), 1],
    [" on 2 cores", scene(CLIENT4, SERVER4), 2],
    [" of IPv6", scene(CLIENT6, SERVER6), 1],
    [" inside a VLAN", scene(CLIENT4, SERVER4, [0x2064]), 1],
  ] as const
) {
  Deno.test(`resync() makes a live connection${what} known to a standby, and nothing leaks`, async () => {
    await using wire = await Wire.up();
    const { bench, node } = await start(wire, { cores }, []);
    await live(bench, it);
    bench.taken();
    assert.ok((await node.resync("redundant")).ok);
    await bench.until(() => bench.arrivals.length > 0, "the SYN of a seed");
    const { "redundant-in": up, "redundant-out": down } = seeds(it);
    assert.deepEqual(hex(bench.arrivals.map(({ bytes }) => bytes)), hex([up[0]!]), "the rest waits");
    const [syn, ...rest] = translated(it);
    await bench.send(...syn!);
    await node.until("an end", (status) => redundantOf(status)?.running === false);
    for (const one of rest) await bench.send(...one);
    const status = await node.until("all swallowed", (now) => counted(now, "seed_swallowed") === 4);
    await awake(bench, "primary");
    assert.deepEqual(hex(arrivedAt(bench, "redundant-in")), hex(up));
    assert.deepEqual(hex(arrivedAt(bench, "redundant-out")), hex(down));
    assert.deepEqual(
      hex([...arrivedAt(bench, "upstream"), ...arrivedAt(bench, "downstream")]),
      [],
      "no leak",
    );
    const { tookMs: _, ...found } = redundantOf(status)!;
    assert.deepEqual(found, {
      running: false,
      refresh: false,
      flows: 1,
      done: 1,
      unlike: 0,
      unheard: 0,
      failed: 0,
      gone: 0,
    });
    assert.deepEqual(["resynced", "seed_alike", "seeded"].map((name) => counted(status, name)), [1, 1, 0]);
    const told = await node.untilEvents(1, ({ cause }) => cause === "resynced");
    assert.match(told[0]!.text, /^redundant was given 1 of 1 flows in \d/);
  });
}

/** A standby has another port for a connection of which it is told. */
async function bindOtherwise(bench: Bench, node: TestNode): Promise<{ it: Scene; other: Scene }> {
  const it = scene(CLIENT4, SERVER4), other = { ...it, outside: { ...it.outside, port: 40_123 } };
  await live(bench, it);
  bench.taken();
  assert.ok((await node.resync()).ok);
  await bench.until(() => bench.arrivals.length > 0, "the SYN of a seed");
  await bench.send(...translated(other)[0]!);
  return { it, other };
}

Deno.test("resync() translates for a standby that binds otherwise", async () => {
  await using wire = await Wire.up();
  const { bench, node } = await start(wire, {}, []);
  const { it, other } = await bindOtherwise(bench, node);
  const status = await node.until("an end", (now) => redundantOf(now)?.running === false);
  await awake(bench, "primary");
  assert.deepEqual(hex(arrivedAt(bench, "redundant-in")), hex(seeds(it)["redundant-in"]));
  assert.deepEqual(hex(arrivedAt(bench, "redundant-out")), hex(seeds(other)["redundant-out"]));
  assert.deepEqual([redundantOf(status)!.done, redundantOf(status)!.unlike], [1, 0]);
  assert.equal(counted(status, "seed_translated"), 1);
});

Deno.test("resync() notes what a standby binds otherwise, and plays no more of that where it cannot translate", async () => {
  await using wire = await Wire.up();
  const { bench, node } = await start(wire, { failover: ["silence_ms = 0", "fixup = false"] }, []);
  const { it } = await bindOtherwise(bench, node);
  const status = await node.until("an end", (now) => redundantOf(now)?.running === false);
  await awake(bench, "primary");
  assert.deepEqual(hex(bench.arrivals.map(({ bytes }) => bytes)), hex([seeds(it)["redundant-in"][0]!]));
  assert.deepEqual([redundantOf(status)!.done, redundantOf(status)!.unlike], [1, 1]);
  const matched = await node.until(
    "the verdict",
    ({ boxes }) => boxes.some(({ match }) => match?.different === 1),
  );
  assert.equal(matched.boxes[1]!.match!.equal, 0);
});

Deno.test("resync() begins with the busiest flows, keeps to its rate and can be stopped", async () => {
  await using wire = await Wire.up();
  const { bench, node } = await start(wire, {}, ["rate = 1"]);
  const scenes = [sceneOf(40_001), sceneOf(40_002), sceneOf(40_003), sceneOf(40_004)];
  for (const [i, it] of scenes.entries()) await live(bench, it, [0, 30, 3, 12][i]);
  bench.taken();
  assert.ok((await node.resync("redundant")).ok);
  const syn = (i: number) => seeds(scenes[i]!)["redundant-in"][0]!;
  await bench.until(() => arrivedAt(bench, "redundant-in").length >= 1, "the first SYN");
  assert.deepEqual(hex(arrivedAt(bench, "redundant-in")), hex([syn(1)]), "the busiest");
  await bench.send(...translated(scenes[1]!)[0]!);
  await bench.until(() => hex(arrivedAt(bench, "redundant-in")).includes(syn(3).toHex()), "the second SYN");
  const stopped = await node.resync("redundant", true);
  assert.ok(stopped.ok, stopped.text);
  const status = await node.until("an end", (now) => redundantOf(now)?.running === false);
  assert.equal(redundantOf(status)!.flows, 4);
  assert.ok(!hex(arrivedAt(bench, "redundant-in")).includes(syn(0).toHex()), "the last was not begun");
  assert.equal((await node.resync("redundant", true)).ok, false, "there is nothing to stop");
});

Deno.test("a standby is given all live connections when it comes back", async () => {
  await using wire = await Wire.up();
  const { bench, node } = await start(wire, { failover: ["silence_ms = 0", "hold_up_ms = 100"] }, []);
  const it = scene(CLIENT4, SERVER4);
  await live(bench, it);
  const redundantIs = (light: string) => (status: NodeStatus) =>
    status.boxes.find(({ box }) => box === "redundant")?.light === light;
  await wire.link("redundant-in", "down");
  await node.until("its link lost", redundantIs("red"));
  bench.taken();
  await wire.link("redundant-in", "up");
  const seed = seeds(it)["redundant-in"][0]!.toHex();
  await bench.until(() => hex(arrivedAt(bench, "redundant-in")).includes(seed), "the SYN of a seed");
  const told = await node.untilEvents(1, ({ cause }) => cause === "resync");
  assert.equal(told[0]!.text, "all live flows are seeded into the redundant box");
});

Deno.test("refresh seeds a silent connection into the standby again and again", async () => {
  await using wire = await Wire.up();
  const { bench } = await start(wire, {}, ["refresh_s = 1"]);
  const it = scene(CLIENT4, SERVER4);
  await live(bench, it);
  bench.taken();
  const last = seeds(it)["redundant-out"][1]!.toHex();
  const rounds = () => hex(arrivedAt(bench, "redundant-out")).filter((one) => one === last).length;
  const [syn] = translated(it);
  await bench.until(() => bench.arrivals.length > 0, "the SYN of a seed");
  await bench.send(...syn!);
  await bench.until(() => rounds() >= 3, "three rounds");
  await awake(bench, "primary");
  assert.deepEqual(hex([...arrivedAt(bench, "upstream"), ...arrivedAt(bench, "downstream")]), [], "no leak");
});
