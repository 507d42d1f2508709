/**
 * Boxes that renumber TCP connections, byte for byte: what the primary adds to the numbers of a connection is learnt when it is
 * opened, what the redundant box adds from the seed, and after the switch both ends go on by the numbers they know.
 *
 * The test is the ends and both boxes.
 */
import assert from "node:assert/strict";
import type { NodeStatus, Role } from "../../appliance/view.ts";
import type { TcpFields } from "../../filter/frame.ts";
import { parsePacket, TCP } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from "../support/cast.ts";
import {
  awake,
  PATIENT_SEEDS,
  play,
  type Scene,
  scene,
  segment,
  type Step,
  synOptions,
} from "../support/conversation.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

/** What a box adds to the numbers of client and server: on its server side beside its client side. */
interface Added {
  readonly client: number;
  readonly server: number;
}
type Place = readonly ["in" | "out", "client" | "server"];

const ack = TCP.ack, syn = TCP.syn;
const FAILOVER = ["silence_ms = 0", "drain_ms = 0", "pause_ms = 0"];
const wrap = (n: number) => n >>> 0;

/** A connection with the same ends on both sides. */
function plain(it: Scene): Scene {
  return { ...it, outside: { ...it.outside, ip: it.client.ip, port: it.client.port } };
}

/** Numbers are those of the client's side. */
function numbered(
  it: Scene,
  [place, by, added]: readonly [...Place, Added],
  fields: TcpFields,
  payload = new Uint8Array(0),
) {
  const own = by === "client" ? added.client : added.server;
  const others = by === "client" ? added.server : added.client;
  if (place === "in") return segment(it, [place, by], fields, payload);
  const moved = { ...fields, seq: wrap((fields.seq ?? 0) + own) };
  const acks = fields.ack === undefined ? {} : { ack: wrap(fields.ack + others) };
  return segment(it, [place, by], { ...moved, ...acks }, payload);
}

const CLIENT_OPTIONS = synOptions(7), SERVER_OPTIONS = synOptions(5);

/** Opened through a box that adds so much; 100 bytes up, 500 down. */
function opening(it: Scene, box: "primary" | "redundant", added: Added): Step[] {
  const up = (fields: TcpFields, bytes = 0): Step[] => [
    ["upstream", numbered(it, ["in", "client", added], fields, new Uint8Array(bytes))],
    [`${box}-out`, numbered(it, ["out", "client", added], fields, new Uint8Array(bytes))],
  ];
  const down = (fields: TcpFields, bytes = 0): Step[] => [
    ["downstream", numbered(it, ["out", "server", added], fields, new Uint8Array(bytes))],
    [`${box}-in`, numbered(it, ["in", "server", added], fields, new Uint8Array(bytes))],
  ];
  return [
    ...up({ seq: 1000, flags: syn, window: 64_000, options: CLIENT_OPTIONS }),
    ...down({ seq: 9000, ack: 1001, flags: syn | ack, window: 65_000, options: SERVER_OPTIONS }),
    ...up({ seq: 1001, ack: 9001, flags: ack, window: 500 }),
    ...up({ seq: 1001, ack: 9001, flags: ack, window: 501 }, 100),
    ...down({ seq: 9001, ack: 1101, flags: ack, window: 600 }, 500),
  ];
}

/** Frames that arrived at these roles. */
function at(bench: Bench, roles: readonly Role[]): Record<string, string[]> {
  const arrivals = bench.taken();
  return Object.fromEntries(
    roles.map((
      role,
    ) => [role, arrivals.filter((one) => one.role === role).map(({ bytes }) => bytes.toHex())]),
  );
}

const BOTH = ["redundant-in", "redundant-out"] as const;
const hex = (frames: readonly Uint8Array[]) => frames.map((frame) => frame.toHex());
const counted = (status: NodeStatus, name: string) =>
  status.counters.find((counter) => counter.name === name)?.packets;

/** The client speaks after the switch, and the redundant box deals with the seed by what it adds. */
async function seeded(bench: Bench, it: Scene, first: Added, second: Added): Promise<void> {
  // What the network has on the server's side, as the redundant box numbers it on the client's side.
  const back = first.server - second.server;
  const client = (fields: TcpFields) => segment(it, ["in", "client"], { window: 65_535, ...fields });
  const server = (fields: TcpFields) => segment(it, ["out", "server"], { window: 65_535, ...fields });
  const says = { seq: 1101, ack: 9501, flags: ack, window: 502 };
  const s = wrap(9501 + first.server), c = wrap(1101 + second.client);
  const into = async (frames: number) => {
    await bench.until(
      () => bench.arrivals.filter(({ role }) => role.startsWith("redundant")).length >= frames,
      `${frames} frames into the box`,
    );
    return at(bench, BOTH);
  };

  await bench.send("upstream", segment(it, ["in", "client"], says, new Uint8Array(7)));
  const opens = client({ seq: 1100, flags: syn, options: CLIENT_OPTIONS });
  assert.deepEqual(await into(1), { "redundant-in": hex([opens]), "redundant-out": [] });

  const out = segment(it, ["out", "client"], {
    seq: c - 1,
    flags: syn,
    window: 65_535,
    options: CLIENT_OPTIONS,
  });
  await bench.send("redundant-out", out);
  const answers = server({ seq: s - 1, ack: c, flags: syn | ack, options: SERVER_OPTIONS });
  assert.deepEqual(
    await into(1),
    { "redundant-in": [], "redundant-out": hex([answers]) },
    "by its own number",
  );

  const answered = { seq: wrap(9500 + back), ack: 1101, flags: syn | ack, options: SERVER_OPTIONS };
  await bench.send("redundant-in", segment(it, ["in", "server"], { window: 65_535, ...answered }));
  const moved = wrap(9501 + back);
  assert.deepEqual(await into(2), {
    "redundant-in": hex([client({ seq: 1101, ack: moved, flags: ack, window: 502 })]),
    "redundant-out": hex([server({ seq: s, ack: c, flags: ack, window: 600 })]),
  }, "the rest, and nothing else until the box has let it out");

  await bench.send(
    "redundant-in",
    segment(it, ["in", "server"], { seq: moved, ack: 1101, flags: ack, window: 600 }),
  );
  await bench.send(
    "redundant-out",
    segment(it, ["out", "client"], { seq: c, ack: s, flags: ack, window: 502 }),
  );
  const waited = segment(it, ["in", "client"], { ...says, ack: moved }, new Uint8Array(7));
  assert.deepEqual(await into(1), { "redundant-in": hex([waited]), "redundant-out": [] }, "and what waited");
}

/** Both directions after it. */
async function goesOn(bench: Bench, it: Scene, first: Added, second: Added): Promise<void> {
  const back = first.server - second.server;
  const up = { seq: 1101, ack: 9501, flags: ack, window: 502 },
    seven = new Uint8Array(7),
    nine = new Uint8Array(9);
  await awake(bench, "redundant");
  bench.taken();
  const steps: Step[] = [
    ["redundant-out", numbered(it, ["out", "client", { ...first, client: second.client }], up, seven)],
    ["downstream", numbered(it, ["out", "server", first], { seq: 9501, ack: 1108, flags: ack }, nine)],
    ["redundant-in", segment(it, ["in", "server"], { seq: wrap(9501 + back), ack: 1108, flags: ack }, nine)],
  ];
  for (const [role, frame] of steps) await bench.send(role, frame);
  await awake(bench, "redundant");
  assert.deepEqual(at(bench, ["upstream", "downstream", "redundant-out"]), {
    upstream: hex([segment(it, ["in", "server"], { seq: 9501, ack: 1108, flags: ack }, nine)]),
    downstream: hex([numbered(it, ["out", "client", first], up, seven)]),
    "redundant-out": hex([
      segment(it, ["out", "server"], {
        seq: wrap(9501 + first.server),
        ack: wrap(1108 + second.client),
        flags: ack,
      }, nine),
    ]),
  });
}

const NONE: Added = { client: 0, server: 0 };
const HIGH: Added = { client: 4_000_000_000, server: 3_111_222_333 };
const LOW: Added = { client: 77_777, server: -123_456_789 };

for (
  const [text, first, second] of [
    ["both boxes renumber", HIGH, LOW],
    ["the primary renumbers", HIGH, NONE],
    ["the redundant box renumbers", NONE, LOW],
    ["the primary renumbers what servers send", { client: 0, server: 99_999 }, NONE],
  ] as const
) {
  for (const cores of [1, 2]) {
    Deno.test(`a connection lives on where ${text}, by ${cores} core(s)`, async () => {
      for (const [client, server] of [[CLIENT4, SERVER4], [CLIENT6, SERVER6]] as const) {
        await using wire = await Wire.up();
        const bench = await wire.bench();
        const node = await TestNode.start(wire, {
          cores,
          preset: "nat",
          failover: FAILOVER,
          more: PATIENT_SEEDS,
        });
        const it = plain(scene(client, server));
        await awake(bench, "primary");
        await play(bench, "primary", opening(it, "primary", first));
        assert.ok((await node.order("switchover")).ok);
        await awake(bench, "redundant");
        bench.taken();
        await seeded(bench, it, first, second);
        await node.until("all swallowed", (status) => counted(status, "seed_swallowed") === 4);
        assert.deepEqual(
          at(bench, ["upstream", "downstream"]),
          { upstream: [], downstream: [] },
          "nothing of it gets out",
        );
        await goesOn(bench, it, first, second);
        const now = await node.status();
        const names = ["seeded", "seed_translated", "seed_unpaired", "seed_repeated"];
        assert.deepEqual(names.map((name) => counted(now, name)), [1, 1, 0, 0]);
      }
    });
  }
}

Deno.test("many connections whose answers a box swallows are each denied and begun again", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, {
    failover: FAILOVER,
    more: ["[seed]", "wait_ms = 400", "[[filter.rules]]", 'name = "test"', "seed = true"],
  });
  await awake(bench, "primary");
  // More than could be remembered by their numbers: a denial has none of its own.
  const all = Array.from({ length: 9 }, (_, i) => {
    return plain(scene({ ...CLIENT4, port: CLIENT4.port + i }, SERVER4, [], 10_000 * i));
  });
  const nothing = { client: 0, server: 0 };
  for (const it of all) await play(bench, "primary", opening(it, "primary", nothing));
  assert.ok((await node.order("switchover")).ok);
  await awake(bench, "redundant");
  bench.taken();
  const arrived = (role: Role, flags: number) =>
    bench.arrivals.filter((one) => one.role === role && parsePacket(one.bytes).flow?.tcp?.flags === flags)
      .length;
  const untilAll = (role: Role, flags: number, what: string) =>
    bench.until(() => arrived(role, flags) >= all.length, what);
  for (const it of all) {
    const says = { seq: 1101, ack: 9501, flags: ack, window: 502 };
    await bench.send("upstream", segment(it, ["in", "client"], says, new Uint8Array(7)));
  }
  await untilAll("redundant-in", syn, "an opening of each");
  for (const it of all) {
    const out = { seq: 1100 + 777_000, flags: syn, window: 65_535, options: CLIENT_OPTIONS };
    await bench.send("redundant-out", segment(it, ["out", "client"], out));
  }
  await untilAll("redundant-out", syn | ack, "an answer to each");
  await untilAll("redundant-out", TCP.rst, "a denial of each");
  for (const it of all) {
    await bench.send(
      "redundant-in",
      segment({ ...it, shift: 0 }, ["in", "server"], { flags: TCP.rst, window: 0 }),
    );
  }
  await awake(bench, "redundant");
  assert.equal(arrived("upstream", TCP.rst), 0, "which no client hears");
  assert.equal(counted(await node.status(), "seed_full"), 0);
});
