/**
 * Seeding, byte for byte: after a switch the first frame of a connection makes the node play a handshake with the current
 * sequence numbers into the box that serves now, from both sides, and nothing of it reaches an end host.
 *
 * The test is the client, the server and both boxes. The box translates the client's address as a NAT does.
 */
import assert from "node:assert/strict";
import { type NodeStatus, type Role, ROLES } from "../../appliance/view.ts";
import type { TcpFields } from "../../filter/frame.ts";
import { TCP } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from "../support/cast.ts";
import {
  awake,
  BY_ORDER,
  conversation,
  type Direction,
  PATIENT_SEEDS,
  play,
  type Scene,
  scene,
  seeds,
  segment,
  SERVER_SCALE,
  speak,
  type Step,
  synOptions,
  translated,
} from "../support/conversation.ts";
import { type NodeSettings, TestNode } from "../support/node.ts";
import { nodeEnd, Wire } from "../support/wire.ts";
import { OWN_BPFFS, XDP_FAULT, XDP_NEEDS } from "../support/xdp.ts";

/** The box of a test answers as slowly as the machine lets it. */

function at(bench: Bench, roles: readonly Role[]): Record<string, Uint8Array[]> {
  const arrivals = bench.taken();
  return Object.fromEntries(roles.map((role) => [
    role,
    arrivals.filter((one) => one.role === role).map(({ bytes }) => bytes),
  ]));
}

/** These frames and no others have come out of each of the ports, which are read one after the other. */
async function arrived(
  bench: Bench,
  expected: Record<string, readonly Uint8Array[]>,
  why: string,
): Promise<void> {
  const roles = Object.keys(expected) as Role[];
  const enough = () =>
    roles.every((role) => bench.arrivals.filter((one) => one.role === role).length >= expected[role]!.length);
  await bench.until(enough, `all frames: ${why}`);
  assert.deepEqual(at(bench, roles), expected, why);
}

/** Sends steps that wait for a seed: `seed` is its SYN on the way into the box, `syn` what the box makes of it. */
async function playSeeded(
  bench: Bench,
  steps: readonly Step[],
  { seed, syn }: { readonly seed: Uint8Array; readonly syn: Step },
): Promise<void> {
  const into = () =>
    bench.arrivals.filter(({ role }) => role.startsWith("redundant")).map(({ bytes }) => bytes.toHex());
  for (const step of steps) await bench.send(...step);
  await bench.until(() => into().includes(seed.toHex()), "the SYN of a seed");
  assert.deepEqual(into(), [seed.toHex()], "the rest waits for what the box makes of the SYN");
  await bench.send(...syn);
  const waits = steps.map(([, frame]) => frame.toHex());
  await bench.until(() => into().filter((one) => waits.includes(one)).length === steps.length, "what waited");
}

async function checkSeed(scene: Scene, first: Direction, settings: NodeSettings = {}): Promise<void> {
  await using wire = await Wire.up();
  if (settings.ports) await wire.setMtu(1500);
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    ...settings,
    preset: "nat",
    failover: BY_ORDER,
    more: PATIENT_SEEDS,
  });
  await awake(bench, "primary");
  bench.taken();
  await play(bench, "primary", conversation(scene));
  assert.ok((await node.order("switchover")).ok);
  await awake(bench, "redundant");
  bench.taken();

  const trigger = speak(scene, first);
  const through = first === "up" ? "redundant-in" : "redundant-out";
  const expected = seeds(scene);
  expected[through].push(trigger[1], trigger[1]);
  const [syn, ...rest] = translated(scene);
  await playSeeded(bench, [trigger, trigger], { seed: expected["redundant-in"][0]!, syn: syn! });
  await arrived(bench, expected, "seeded once, before the frame");

  for (const [role, frame] of rest) await bench.send(role, frame);
  const counted = (status: NodeStatus, name: string) =>
    status.counters.find((counter) => counter.name === name)?.packets;
  await node.until("all swallowed", (status) => counted(status, "seed_swallowed") === 4);
  await awake(bench, "redundant");
  assert.deepEqual(at(bench, ["upstream", "downstream"]), { upstream: [], downstream: [] }, "swallowed");
  const real = segment(scene, ["out", "client"], { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 });
  await play(bench, "redundant", [["redundant-out", real]]);
  assert.deepEqual(at(bench, ["downstream"]), { downstream: [real] }, "each is swallowed only once");
  const status = await node.status();
  const names = ["seeded", "seed_alike", "seed_swallowed", "seed_repeated", "seed_unpaired"];
  assert.deepEqual(names.map((name) => counted(status, name)), [1, 1, 4, 0, 0]);
}

Deno.test("a connection is seeded again when the old box hands over what the serving one was not told", async () => {
  const it = scene(CLIENT4, SERVER4);
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    preset: "nat",
    failover: ["silence_ms = 0", "drain_ms = 1000"],
    more: PATIENT_SEEDS,
  });
  await play(bench, "primary", conversation(it));
  assert.ok((await node.order("switchover")).ok);
  bench.taken();
  const again = segment(
    it,
    ["in", "client"],
    { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 },
    new Uint8Array(50),
  );
  const late = segment(
    it,
    ["in", "server"],
    { seq: 9501, ack: 1101, flags: TCP.ack, window: 600 },
    new Uint8Array(200),
  );
  const { "redundant-in": up, "redundant-out": down } = seeds(it);
  const [syn] = translated(it);
  await playSeeded(bench, [["upstream", again]], { seed: up[0]!, syn: syn! });
  await play(bench, "redundant", [["primary-in", late]]);
  const first = { "upstream": [late], "redundant-in": [...up, again], "redundant-out": down };
  await arrived(bench, first, "seeded once, before what waited");

  const acknowledges = segment(
    it,
    ["in", "client"],
    { seq: 1151, ack: 9701, flags: TCP.ack, window: 503 },
  );
  const waiting: Step = ["upstream", acknowledges];
  // The box is known by now to open this connection as the old one did: it is waited for no more.
  await play(bench, "redundant", [waiting, waiting]);
  const server = (fields: TcpFields) => segment(it, ["out", "server"], { ack: 1101, ...fields });
  const anew = {
    "redundant-in": [
      up[0]!,
      segment(it, ["in", "client"], { seq: 1101, ack: 9701, flags: TCP.ack, window: 503 }),
      acknowledges,
      acknowledges,
    ],
    "redundant-out": [
      server({ seq: 9700, flags: TCP.syn | TCP.ack, window: 65_535, options: synOptions(SERVER_SCALE) }),
      server({ seq: 9701, flags: TCP.ack, window: 600 }),
    ],
  };
  await arrived(bench, anew, "with the late bytes, once");

  await bench.send(...syn!);
  await awake(bench, "redundant");
  assert.deepEqual(at(bench, ["downstream"]), { downstream: [] }, "the second SYN is swallowed");
  await play(bench, "redundant", [syn!]);
  assert.deepEqual(at(bench, ["downstream"]), { downstream: [syn![1]] }, "but not a third");
});

for (const cores of [1, 2, 4]) {
  const on = cores === 1 ? "" : `, on ${cores} cores`;

  Deno.test(`a connection is seeded with its current numbers when the client speaks first${on}`, () =>
    checkSeed(scene(CLIENT4, SERVER4), "up", { cores }));

  Deno.test(`a connection is seeded with its current numbers when the server speaks first${on}`, () =>
    checkSeed(scene(CLIENT4, SERVER4), "down", { cores }));
}

Deno.test("a connection of IPv6 is seeded", () => checkSeed(scene(CLIENT6, SERVER6), "up"));

Deno.test("a connection inside a VLAN is seeded inside it", () =>
  checkSeed(scene(CLIENT4, SERVER4, [0x2064]), "down"));

Deno.test({
  name:
    `on 2 cores a connection is seeded through ports of one queue, each by the core that has it ${XDP_NEEDS}`,
  ignore: XDP_FAULT !== null,
  fn: () => {
    const ports = Object.fromEntries(ROLES.map((role) => [role, `af_xdp:${nodeEnd(role)}`]));
    return checkSeed(scene(CLIENT4, SERVER4), "up", { cores: 2, ports, wrap: OWN_BPFFS });
  },
});
