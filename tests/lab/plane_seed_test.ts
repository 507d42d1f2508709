/**
 * Seeding, byte for byte: after a switch the first frame of a connection makes the node play a handshake with the current
 * sequence numbers into the box that serves now, from both sides, and nothing of it reaches an end host.
 *
 * The test is the client, the server and both boxes. The box translates the client's address as a NAT does.
 */
import assert from "node:assert/strict";
import type { Role } from "../../appliance/view.ts";
import { type End, ethernet, ip, tcp, type TcpFields } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from "../support/cast.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const BOX_IN = [2, 0, 0, 0, 1, 1], BOX_OUT = [2, 0, 0, 0, 2, 1];
const DONT_FRAGMENT = 0x4000;
const CLIENT_SCALE = 7, SERVER_SCALE = 5;
const MSS = [2, 4, 0x05, 0xb4], NOP = 1;

/** The ends of one connection, as each side of the box sees them. */
interface Scene {
  readonly client: End;
  readonly server: End;
  /** The client as the server sees it. */
  readonly outside: End;
  readonly tags: readonly number[];
}

function scene(client: End, server: End, tags: readonly number[] = []): Scene {
  const address = [...client.ip];
  address[address.length - 1] = 200;
  return { client, server, outside: { mac: BOX_OUT, ip: address, port: 61_000 }, tags };
}

type Direction = "up" | "down";
const PLAIN = new Uint8Array(0);

/** A segment on the client side of the box ("in") or on its server side ("out"), sent by client or server. */
function segment(
  scene: Scene,
  [place, by]: readonly ["in" | "out", "client" | "server"],
  fields: TcpFields,
  payload = PLAIN,
): Uint8Array<ArrayBuffer> {
  const client = place === "in" ? scene.client : scene.outside;
  const server = place === "in" ? { ...scene.server, mac: BOX_IN } : scene.server;
  const ends: [End, End] = by === "client" ? [client, server] : [server, client];
  const fragment = scene.client.ip.length === 4 ? { fragment: DONT_FRAGMENT } : {};
  const { type, body } = ip(ends, PROTO.tcp, tcp(ends, fields, payload), fragment);
  return ethernet(ends, type, body, { tags: scene.tags, pad: false });
}

function synOptions(scale: number): number[] {
  return [...MSS, 4, 2, NOP, 3, 3, scale, NOP, NOP];
}

/** One frame and where the test puts it in. */
type Step = readonly [Role, Uint8Array];

/** A connection of 100 bytes up and 500 down, and 50 more up that the box takes in and never hands on. */
function conversation(scene: Scene): Step[] {
  const up = (fields: TcpFields, payload = PLAIN): Step[] => [
    ["upstream", segment(scene, ["in", "client"], fields, payload)],
    ["primary-out", segment(scene, ["out", "client"], fields, payload)],
  ];
  const down = (fields: TcpFields, payload = PLAIN): Step[] => [
    ["downstream", segment(scene, ["out", "server"], fields, payload)],
    ["primary-in", segment(scene, ["in", "server"], fields, payload)],
  ];
  const ack = TCP.ack;
  return [
    ...up({ seq: 1000, flags: TCP.syn, window: 64_000, options: synOptions(CLIENT_SCALE) }),
    ...down({
      seq: 9000,
      ack: 1001,
      flags: TCP.syn | ack,
      window: 65_000,
      options: synOptions(SERVER_SCALE),
    }),
    ...up({ seq: 1001, ack: 9001, flags: ack, window: 500 }),
    ...up({ seq: 1001, ack: 9001, flags: ack, window: 501 }, new Uint8Array(100)),
    ...down({ seq: 9001, ack: 1101, flags: ack, window: 600 }, new Uint8Array(500)),
    up({ seq: 1101, ack: 9501, flags: ack, window: 502 }, new Uint8Array(50))[0]!,
  ];
}

/** What the node has to play, by the port it enters the redundant box by, in its order. */
function seeds(scene: Scene): Record<"redundant-in" | "redundant-out", Uint8Array[]> {
  const client = (fields: TcpFields) => segment(scene, ["in", "client"], { window: 65_535, ...fields });
  const server = (fields: TcpFields) => segment(scene, ["out", "server"], { window: 65_535, ...fields });
  return {
    "redundant-in": [
      client({ seq: 1100, flags: TCP.syn, options: synOptions(CLIENT_SCALE) }),
      client({ seq: 1101, ack: 9501, flags: TCP.ack, window: 502 }),
    ],
    "redundant-out": [
      server({ seq: 9500, ack: 1101, flags: TCP.syn | TCP.ack, options: synOptions(SERVER_SCALE) }),
      server({ seq: 9501, ack: 1101, flags: TCP.ack, window: 600 }),
    ],
  };
}

/** What the box makes of the seeds, by the port it leaves by. */
function translated(scene: Scene): Step[] {
  const syn = { seq: 1100, flags: TCP.syn, options: synOptions(CLIENT_SCALE) };
  const synAck = { seq: 9500, ack: 1101, flags: TCP.syn | TCP.ack, options: synOptions(SERVER_SCALE) };
  return [
    ["redundant-out", segment(scene, ["out", "client"], syn)],
    ["redundant-in", segment(scene, ["in", "server"], synAck)],
    [
      "redundant-out",
      segment(scene, ["out", "client"], { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 }),
    ],
    ["redundant-in", segment(scene, ["in", "server"], { seq: 9501, ack: 1101, flags: TCP.ack, window: 600 })],
  ];
}

const settleAll = (bench: Bench, box: "primary" | "redundant") =>
  bench.settle([
    ["upstream", `${box}-in`],
    ["downstream", `${box}-out`],
    [`${box}-in`, "upstream"],
    [`${box}-out`, "downstream"],
  ]);

async function play(bench: Bench, box: "primary" | "redundant", steps: readonly Step[]): Promise<void> {
  for (const [role, frame] of steps) {
    await bench.send(role, frame);
    await settleAll(bench, box);
  }
}

function at(bench: Bench, roles: readonly Role[]): Record<string, Uint8Array[]> {
  const arrivals = bench.taken();
  return Object.fromEntries(roles.map((role) => [
    role,
    arrivals.filter((one) => one.role === role).map(({ bytes }) => bytes),
  ]));
}

async function checkSeed(scene: Scene, first: Direction): Promise<void> {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { preset: "nat", failover: ["silence_ms = 0", "drain_ms = 0"] });
  await play(bench, "primary", conversation(scene));
  assert.ok((await node.order("switchover")).ok);
  await settleAll(bench, "redundant");
  bench.taken();

  const trigger: Step = first === "up"
    ? [
      "upstream",
      segment(
        scene,
        ["in", "client"],
        { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 },
        new Uint8Array(50),
      ),
    ]
    : [
      "downstream",
      segment(
        scene,
        ["out", "server"],
        { seq: 9501, ack: 1101, flags: TCP.ack, window: 600 },
        new Uint8Array(9),
      ),
    ];
  const through = first === "up" ? "redundant-in" : "redundant-out";
  await play(bench, "redundant", [trigger, trigger]);
  const expected = seeds(scene);
  expected[through].push(trigger[1], trigger[1]);
  assert.deepEqual(at(bench, ["redundant-in", "redundant-out"]), expected, "seeded once, before the frame");

  await play(bench, "redundant", translated(scene));
  assert.deepEqual(at(bench, ["upstream", "downstream"]), { upstream: [], downstream: [] }, "swallowed");
  const real = segment(scene, ["out", "client"], { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 });
  await play(bench, "redundant", [["redundant-out", real]]);
  assert.deepEqual(at(bench, ["downstream"]), { downstream: [real] }, "each is swallowed only once");
  const { counters } = await node.status();
  const counted = (name: string) => counters.find((counter) => counter.name === name)?.packets;
  assert.deepEqual([counted("seeded"), counted("seed_swallowed"), counted("seed_unpaired")], [1, 4, 0]);
}

Deno.test("a connection is seeded again when the old box hands over what the serving one was not told", async () => {
  const it = scene(CLIENT4, SERVER4);
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    preset: "nat",
    failover: ["silence_ms = 0", "drain_ms = 1000"],
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
  await play(bench, "redundant", [["upstream", again], ["primary-in", late]]);
  const first = at(bench, ["upstream", "redundant-in", "redundant-out"]);
  const { "redundant-in": up, "redundant-out": down } = seeds(it);
  assert.deepEqual(first, { "upstream": [late], "redundant-in": [...up, again], "redundant-out": down });

  const acknowledges = segment(
    it,
    ["in", "client"],
    { seq: 1151, ack: 9701, flags: TCP.ack, window: 503 },
  );
  await play(bench, "redundant", [["upstream", acknowledges], ["upstream", acknowledges]]);
  const server = (fields: TcpFields) => segment(it, ["out", "server"], { ack: 1101, ...fields });
  assert.deepEqual(at(bench, ["redundant-in", "redundant-out"]), {
    "redundant-in": [
      up[0],
      segment(it, ["in", "client"], { seq: 1101, ack: 9701, flags: TCP.ack, window: 503 }),
      acknowledges,
      acknowledges,
    ],
    "redundant-out": [
      server({ seq: 9700, flags: TCP.syn | TCP.ack, window: 65_535, options: synOptions(SERVER_SCALE) }),
      server({ seq: 9701, flags: TCP.ack, window: 600 }),
    ],
  }, "with the late bytes, once");

  // The first SYN was played twice before either came out.
  const [syn] = translated(it);
  await play(bench, "redundant", [syn!, syn!]);
  assert.deepEqual(at(bench, ["downstream"]), { downstream: [] }, "both are swallowed");
  await play(bench, "redundant", [syn!]);
  assert.deepEqual(at(bench, ["downstream"]), { downstream: [syn![1]] }, "but not a third");
});

Deno.test("a connection is seeded with its current numbers when the client speaks first", () =>
  checkSeed(scene(CLIENT4, SERVER4), "up"));

Deno.test("a connection is seeded with its current numbers when the server speaks first", () =>
  checkSeed(scene(CLIENT4, SERVER4), "down"));

Deno.test("a connection of IPv6 is seeded", () => checkSeed(scene(CLIENT6, SERVER6), "up"));

Deno.test("a connection inside a VLAN is seeded inside it", () =>
  checkSeed(scene(CLIENT4, SERVER4, [0x2064]), "down"));
