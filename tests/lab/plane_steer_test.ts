/**
 * Steering, byte for byte: rules lead single flows into a box of their own, moves hold, release and replay their frames, and
 * control may die in the middle of it.
 *
 * The test is the clients, the server and both boxes, which translate the client's address as a NAT does: what comes back has
 * other ends than the rules name.
 */
import assert from "node:assert/strict";
import type { Role } from "../../appliance/view.ts";
import { LiveSteering } from "../../appliance/live_steering.ts";
import type { SteeringMove } from "../../appliance/layer/steering.ts";
import { parseFields } from "../../drivers/fields.ts";
import { type Native, openNative } from "../../filter/dpdk.ts";
import { TCP } from "../../filter/packet.ts";
import { sleep } from "../../scripts/lab/process.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, SERVER4 } from "../support/cast.ts";
import {
  awake,
  BY_ORDER,
  conversation,
  PATIENT_SEEDS,
  play,
  type Scene,
  scene,
  seeds,
  segment,
  speak,
  type Step,
  translated,
} from "../support/conversation.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const native = openNative();
const FIELDS = parseFields("tcp 10.1.0.11 40000");

function sceneOf(port: number): Scene {
  const it = scene({ ...CLIENT4, port }, SERVER4, [], port);
  return { ...it, outside: { ...it.outside, port: port + 10_000 } };
}
const ONE = sceneOf(40_000), OTHER = sceneOf(40_001);

/** The same steps, by way of the other box. */
const byRedundant = (steps: readonly Step[]): Step[] =>
  steps.map(([role, frame]) => [role.replace("primary", "redundant") as Role, frame]);

const data = (it: Scene, n: number): Uint8Array<ArrayBuffer> =>
  segment(
    it,
    ["in", "client"],
    { seq: 1101 + n, ack: 9501, flags: TCP.ack, window: 502 },
    new Uint8Array([n]),
  );

const numbers = (bench: Bench, role: Role) =>
  bench.arrivals.filter((one) => one.role === role).map(({ bytes }) => bytes.at(-1));

function move(more: Partial<SteeringMove> = {}): SteeringMove {
  return {
    id: "m1",
    fields: FIELDS,
    source: "primary",
    destination: "redundant",
    guarantee: "order-preserving",
    framesMax: 100,
    holdMsMax: 20_000,
    ...more,
  };
}

interface Scenery {
  readonly bench: Bench;
  readonly node: TestNode;
  readonly native: Native;
  readonly steering: LiveSteering;
  readonly wire: Wire;
}

async function steered(work: (scenery: Scenery) => Promise<void>): Promise<void> {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { cores: 1, failover: ["silence_ms = 0", "drain_ms = 100"] });
  await awake(bench, "primary");
  const map = node.board(native);
  const steering = new LiveSteering({ map: () => map, nowMs: Date.now, sleep });
  await work({ bench, node, native, steering, wire });
}

/** Sends frames of the flow from outside and waits for what comes before them. */
async function say(bench: Bench, it: Scene, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) await bench.send("upstream", data(it, n));
  await awake(bench, "primary");
}

Deno.test("a rule leads one flow through another box, both ways, and what the path's box says of it stays", async () => {
  await steered(async ({ bench, steering }) => {
    await steering.add({ id: "r1", fields: FIELDS, box: "redundant" });
    assert.deepEqual(await steering.rules(), [{ id: "r1", fields: FIELDS, box: "redundant" }]);
    await play(bench, "redundant", byRedundant(conversation(ONE)));
    await play(bench, "primary", conversation(OTHER));
    bench.taken();
    // Each box says a word of the other's flow.
    await bench.send(
      "primary-out",
      segment(ONE, ["out", "client"], { seq: 1101, ack: 9501, flags: TCP.ack }),
    );
    await bench.send(
      "redundant-in",
      segment(OTHER, ["in", "server"], { seq: 9501, ack: 1101, flags: TCP.ack }),
    );
    await awake(bench, "primary");
    assert.deepEqual(bench.taken(), []);
    await steering.remove("r1");
    await say(bench, ONE, 0, 2);
    assert.deepEqual(numbers(bench, "primary-in"), [0, 1]);
  });
});

Deno.test("a move holds the frames of its flows alone, and releases them in their order", async () => {
  await steered(async ({ bench, steering, node }) => {
    await play(bench, "primary", conversation(ONE));
    await play(bench, "primary", conversation(OTHER));
    await steering.begin(move());
    await steering.begin(move());
    await say(bench, ONE, 0, 5);
    bench.taken();
    assert.equal((await steering.hold("m1")).drained, true);
    await say(bench, ONE, 10, 20);
    await say(bench, OTHER, 40, 1);
    assert.deepEqual(numbers(bench, "primary-in"), [40]);
    assert.deepEqual(await steering.look("m1"), { routed: false, hold: "intact" });
    // The destination has the last two that the source got once more, and what it makes of them stays.
    assert.equal(await steering.reprocess("m1", { ...FIELDS, destinationPort: 80 }, 2), 2);
    await bench.until(() => numbers(bench, "redundant-in").length === 2, "frames once more");
    assert.deepEqual(numbers(bench, "redundant-in"), [3, 4]);
    for (const n of [3, 4]) {
      const out = { seq: 1101 + n, ack: 9501, flags: TCP.ack, window: 502 };
      await bench.send("redundant-out", segment(ONE, ["out", "client"], out, new Uint8Array([n])));
    }
    await awake(bench, "primary");
    assert.deepEqual(numbers(bench, "downstream"), []);
    assert.equal(await steering.route("m1"), true);
    assert.equal(await steering.route("m1"), true);
    await say(bench, ONE, 50, 3);
    // Nothing comes out of the destination: the first of them are alone for a moment.
    await bench.until(() => numbers(bench, "redundant-in").length === 25, "all that was held");
    const held = Array.from({ length: 20 }, (_, i) => 10 + i);
    assert.deepEqual(numbers(bench, "redundant-in"), [3, 4, ...held, 50, 51, 52]);
    // The source is a moment late, and the destination speaks.
    const late = segment(
      ONE,
      ["out", "client"],
      { seq: 1105, ack: 9501, flags: TCP.ack },
      new Uint8Array([77]),
    );
    await bench.send("redundant-out", late);
    await bench.until(() => numbers(bench, "downstream").includes(77), "the destination's word");
    await steering.end("m1");
    assert.deepEqual(await steering.rules(), [{ id: "m1", fields: FIELDS, box: "redundant" }]);
    assert.equal(await steering.look("m1"), null);
    // The last three may have waited behind the others.
    const counted = (await node.status()).counters.find(({ name }) => name === "steer_held")?.packets ?? 0;
    assert.ok(counted >= 20 && counted <= 23, `${counted} held`);
  });
});

Deno.test("a hold that is full or takes too long breaks: all goes to the source in its order, and nothing is lost", async () => {
  await steered(async ({ bench, steering }) => {
    await play(bench, "primary", conversation(ONE));
    await steering.begin(move({ framesMax: 5 }));
    await steering.hold("m1");
    bench.taken();
    await say(bench, ONE, 0, 8);
    await bench.until(() => numbers(bench, "primary-in").length === 8, "all of them");
    assert.deepEqual(numbers(bench, "primary-in"), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(await steering.look("m1"), { routed: false, hold: "broken" });
    assert.equal(await steering.route("m1"), false);
    // Held anew, and then given up.
    await steering.hold("m1");
    await say(bench, ONE, 20, 3);
    await steering.cancel("m1");
    await say(bench, ONE, 30, 1);
    await bench.until(() => numbers(bench, "primary-in").length === 12, "all of them");
    assert.deepEqual(numbers(bench, "primary-in").slice(8), [20, 21, 22, 30]);
    await steering.end("m1");
    await steering.begin(move({ id: "m2", holdMsMax: 50 }));
    await steering.hold("m2");
    await say(bench, ONE, 40, 2);
    await bench.until(() => numbers(bench, "primary-in").length === 14, "all of them");
    assert.equal(await steering.route("m2"), false);
    await steering.end("m2");
    assert.deepEqual(await steering.rules(), []);
  });
});

Deno.test("rules and a hold outlive control; flows of a box that dies go by the path, which is an event", async () => {
  await steered(async ({ bench, steering, node, wire }) => {
    await play(bench, "primary", conversation(ONE));
    await steering.add({ id: "r1", fields: parseFields("udp"), box: "redundant" });
    await steering.begin(move());
    await steering.hold("m1");
    await node.endControl("SIGKILL");
    await say(bench, ONE, 0, 2);
    await node.startControl();
    assert.deepEqual(await steering.look("m1"), { routed: false, hold: "intact" });
    assert.equal(await steering.route("m1"), true);
    await bench.until(() => numbers(bench, "redundant-in").length === 2, "what was held");
    await steering.end("m1");
    assert.deepEqual((await steering.rules()).map(({ id }) => id), ["r1", "m1"]);
    bench.taken();
    await wire.link("redundant-in", "down");
    const [told] = await node.untilEvents(1, ({ kind }) => kind === "steer");
    assert.equal(told!.text, "flows that rules led to redundant go to primary (link)");
    await say(bench, ONE, 5, 2);
    assert.deepEqual(numbers(bench, "primary-in"), [5, 6]);
    assert.deepEqual(await steering.rules(), []);
  });
});

/** The same steps, by way of the box that serves by default. */
const byPrimary = ([role, frame]: Step): Step => [role.replace("redundant", "primary") as Role, frame];

Deno.test("flows whose steered box died are told to the box that serves, once, by a seed before their next frame", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const settings = { cores: 1, preset: "nat", failover: BY_ORDER, more: PATIENT_SEEDS } as const;
  const node = await TestNode.start(wire, settings);
  await awake(bench, "primary");
  const map = node.board(native);
  const steering = new LiveSteering({ map: () => map, nowMs: Date.now, sleep });
  await steering.add({ id: "r1", fields: FIELDS, box: "redundant" });
  await play(bench, "redundant", byRedundant(conversation(ONE)));
  await play(bench, "primary", conversation(OTHER));
  await wire.link("redundant-in", "down");
  await node.untilEvents(1, ({ kind }) => kind === "steer");
  bench.taken();

  const [role, frame] = speak(ONE, "up"),
    told = seeds(ONE),
    into = () => bench.arrivals.filter((one) => one.role === "primary-in");
  await bench.send(role, frame);
  await bench.until(() => into().length > 0, "the SYN of a seed");
  assert.deepEqual(into().map(({ bytes }) => bytes), [told["redundant-in"][0]], "the frame waits behind it");
  const [syn, ...rest] = translated(ONE).map(byPrimary);
  await bench.send(...syn!);
  await bench.until(() => into().length === 3, "what waited");
  assert.deepEqual(into().map(({ bytes }) => bytes), [...told["redundant-in"], frame]);
  const out = bench.arrivals.filter((one) => one.role === "primary-out").map(({ bytes }) => bytes);
  assert.deepEqual(out, told["redundant-out"]);
  for (const step of rest) await bench.send(...step);
  await node.until(
    "all swallowed",
    ({ counters }) => counters.some((one) => one.name === "seed_swallowed" && one.packets === 4),
  );
  await awake(bench, "primary");
  bench.taken();
  // Neither the flow that was told of nor one that the box has known all the while is told of again.
  await say(bench, OTHER, 60, 1);
  await say(bench, ONE, 61, 1);
  assert.deepEqual(numbers(bench, "primary-in"), [60, 61]);
  const { counters } = await node.status();
  assert.equal(counters.find(({ name }) => name === "seeded")?.packets, 1);
});

Deno.test("a plane with several cores steers no single flows, and says so", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { cores: 2 });
  const map = node.board(native), steering = new LiveSteering({ map: () => map, nowMs: Date.now, sleep });
  assert.match(
    steering.fault() ?? "",
    /the plane has 2 cores, and leads single flows with plane\.cores = 1 alone/,
  );
  assert.equal(await steering.look("m1"), null);
  await steering.cancel("m1");
});
