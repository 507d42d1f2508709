/**
 * Fix-up, byte for byte: the redundant box knows a flow by another name than the primary gave it. Before the switch it gets
 * copies under its own name; after it, both ends go on under the old one.
 *
 * The test is the ends and both boxes. Checksums are made from nothing here, so a frame that is as expected has right ones.
 */
import assert from "node:assert/strict";
import type { Role } from "../../appliance/view.ts";
import { type End, ethernet, icmp, ip, type TcpFields, udp } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from "../support/cast.ts";
import { awake, type Scene, scene, segment, type Step } from "../support/conversation.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const RULES = [
  "[[filter.rules]]",
  'name = "test"',
  "handshake = true",
  "teardown = true",
];
const FAILOVER = ["silence_ms = 0", "drain_ms = 0", "pause_ms = 0"];
const ack = TCP.ack, syn = TCP.syn;

/** The same connection as the redundant box has it. */
function renamed(it: Scene, change: { readonly port?: number; readonly last?: number }): Scene {
  const address = [...it.outside.ip];
  if (change.last !== undefined) address[address.length - 1] = change.last;
  return { ...it, outside: { ...it.outside, ip: address, port: change.port ?? it.outside.port } };
}

/** What arrives at each role for some frames that are put in. */
async function put(
  bench: Bench,
  box: "primary" | "redundant",
  steps: readonly Step[],
  roles: readonly Role[],
) {
  await awake(bench, box);
  bench.taken();
  for (const [role, frame] of steps) await bench.send(role, frame);
  await awake(bench, box);
  const arrivals = bench.taken();
  return Object.fromEntries(
    roles.map((role) => [role, arrivals.filter((one) => one.role === role).map((one) => one.bytes)]),
  );
}

async function up(cores: number, stack: AsyncDisposableStack) {
  const wire = stack.use(await Wire.up());
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { cores, preset: "none", filter: RULES, failover: FAILOVER });
  await awake(bench, "primary");
  const followed = (flows: number) =>
    node.until(
      `${flows} flows followed`,
      ({ boxes }) => boxes.find(({ box }) => box === "redundant")?.match?.followed === flows,
    );
  const counted = async (name: string) => {
    const { counters } = await node.status();
    return counters.find((counter) => counter.name === name)?.packets;
  };
  return { bench, node, followed, counted };
}

const SYN: TcpFields = { seq: 1000, flags: syn, window: 64_000 };
const SYN_ACK: TcpFields = { seq: 9000, ack: 1001, flags: syn | ack, window: 65_000 };

/** The opening goes through the primary as `first`, and the redundant box makes `second` of its copy. */
async function open(bench: Bench, first: Scene, second: Scene) {
  await put(bench, "primary", [
    ["upstream", segment(first, ["in", "client"], SYN)],
    ["primary-out", segment(first, ["out", "client"], SYN)],
    ["redundant-out", segment(second, ["out", "client"], SYN)],
  ], []);
}

for (const [text, client, server] of [["IPv4", CLIENT4, SERVER4], ["IPv6", CLIENT6, SERVER6]] as const) {
  for (const cores of [1, 2]) {
    Deno.test(`a connection lives on that the redundant box knows by another port, ${text}, by ${cores} core(s)`, async () => {
      await using stack = new AsyncDisposableStack();
      const { bench, node, followed } = await up(cores, stack);
      const first = scene(client, server), second = renamed(first, { port: 52_000 });
      await open(bench, first, second);
      await followed(1);
      const answer = segment(first, ["out", "server"], SYN_ACK);
      assert.deepEqual(
        await put(bench, "primary", [["downstream", answer]], ["primary-out", "redundant-out"]),
        { "primary-out": [answer], "redundant-out": [segment(second, ["out", "server"], SYN_ACK)] },
        "a copy under its own name",
      );
      await put(bench, "primary", [["primary-in", segment(first, ["in", "server"], SYN_ACK)]], []);
      assert.ok((await node.order("switchover")).ok);

      const says: TcpFields = { seq: 9001, ack: 1001, flags: ack, window: 600 }, payload = new Uint8Array(77);
      const data = (it: Scene) => segment(it, ["out", "server"], says, payload);
      const reply: TcpFields = { seq: 1001, ack: 9078, flags: ack, window: 500 };
      const sent = (it: Scene) => segment(it, ["out", "client"], reply, payload);
      assert.deepEqual(
        await put(bench, "redundant", [["downstream", data(first)], ["redundant-out", sent(second)]], [
          "redundant-out",
          "downstream",
        ]),
        { "redundant-out": [data(second)], "downstream": [sent(first)] },
        "after the switch",
      );
      assert.ok((await node.order("failback")).ok);
      assert.deepEqual(
        await put(bench, "primary", [["downstream", data(first)], ["primary-out", sent(first)]], [
          "primary-out",
          "downstream",
        ]),
        { "primary-out": [data(first)], "downstream": [sent(first)] },
        "and back",
      );
    });
  }
}

const ROUTER: End = { mac: [2, 0, 0, 0, 2, 99], ip: [10, 2, 0, 99], port: 0 };
const UNREACHABLE = 3, TIME_EXCEEDED = 11;

/** An error about a packet, from a router or from an end. */
function error(
  ends: readonly [End, End],
  type: number,
  about: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const quoted = about.subarray(14, 14 + 28);
  const { type: ether, body } = ip(ends, PROTO.icmp, icmp(ends, [type, 0, 0], quoted));
  return ethernet(ends, ether, body, { pad: false });
}

Deno.test("an ICMP error about a translated packet names the packet as the box or the network has it", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, node, followed } = await up(1, stack);
  const first = scene(CLIENT4, SERVER4), second = renamed(first, { port: 52_000, last: 201 });
  await open(bench, first, second);
  await followed(1);
  assert.ok((await node.order("switchover")).ok);
  const bytes: TcpFields = { seq: 1001, ack: 9001, flags: ack };
  const about = (it: Scene) => segment(it, ["out", "client"], bytes, new Uint8Array(9));
  const heard = (it: Scene) => error([ROUTER, it.outside], TIME_EXCEEDED, about(it));
  assert.deepEqual(
    await put(bench, "redundant", [["downstream", heard(first)]], ["redundant-out"]),
    { "redundant-out": [heard(second)] },
  );
  const back = (it: Scene) => segment(it, ["out", "server"], { ...bytes, seq: 9001 }, new Uint8Array(9));
  const told = (it: Scene) => error([it.outside, it.server], UNREACHABLE, back(it));
  // What the guard holds back is another matter: this connection was never answered.
  assert.deepEqual(
    await put(bench, "redundant", [["redundant-out", told(second)]], ["downstream"]),
    { "downstream": [told(first)] },
  );
});

Deno.test("a load balancer's other choice of server is undone, and the server is reached by its own address", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, node, followed } = await up(1, stack);
  const first = scene(CLIENT4, SERVER4);
  const spare: End = { mac: [2, 0, 0, 0, 2, 12], ip: [10, 2, 0, 12], port: 8080 };
  const second = { ...first, server: spare };
  await open(bench, first, second);
  await followed(1);
  await put(bench, "primary", [
    ["downstream", segment(first, ["out", "server"], SYN_ACK)],
    ["primary-in", segment(first, ["in", "server"], SYN_ACK)],
  ], []);
  assert.ok((await node.order("switchover")).ok);
  const says: TcpFields = { seq: 9001, ack: 1001, flags: ack, window: 600 };
  // To the box it is the server of its choice that speaks; whose MAC address it comes from is not asked.
  const asIfSpare = { ...second, server: { ...spare, mac: SERVER4.mac } };
  const reply: TcpFields = { seq: 1001, ack: 9001, flags: ack, window: 500 };
  assert.deepEqual(
    await put(bench, "redundant", [
      ["downstream", segment(first, ["out", "server"], says)],
      ["redundant-out", segment(second, ["out", "client"], reply)],
    ], ["redundant-out", "downstream"]),
    {
      "redundant-out": [segment(asIfSpare, ["out", "server"], says)],
      "downstream": [segment(first, ["out", "client"], reply)],
    },
  );
});

const SERVER_DNS: End = { ...SERVER4, port: 53 };

function datagram(ends: readonly [End, End], payload: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { type, body } = ip(ends, PROTO.udp, udp(ends, payload));
  return ethernet(ends, type, body, { pad: false });
}

/** A UDP packet in two pieces of `cut` and the rest. */
function pieces(
  ends: readonly [End, End],
  payload: Uint8Array<ArrayBuffer>,
  cut: number,
): Uint8Array<ArrayBuffer>[] {
  const whole = udp(ends, payload);
  return [[whole.subarray(0, cut), 0x2000], [whole.subarray(cut), cut / 8] as const].map(
    ([part, fragment]) => {
      const { type, body } = ip(ends, PROTO.udp, part as Uint8Array, {
        fragment: fragment as number,
        id: 4711,
      });
      return ethernet(ends, type, body, { pad: false });
    },
  );
}

Deno.test("datagrams, their fragments and echoes are translated as well", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, node, followed } = await up(1, stack);
  const outside: End = { ...scene(CLIENT4, SERVER_DNS).outside };
  const other: End = { ...outside, ip: [10, 2, 0, 201], port: 52_000 };
  const query = new TextEncoder().encode("which?"), payload = new Uint8Array(61).fill(7);
  const echo = (ends: readonly [End, End], type: number, id: number) => {
    const { type: ether, body } = ip(ends, PROTO.icmp, icmp(ends, [type, 0, id * 65_536 + 1], payload));
    return ethernet(ends, ether, body, { pad: false });
  };
  await put(bench, "primary", [
    ["upstream", datagram([CLIENT4, SERVER_DNS], query)],
    ["primary-out", datagram([outside, SERVER_DNS], query)],
    ["redundant-out", datagram([other, SERVER_DNS], query)],
    ["upstream", echo([CLIENT4, SERVER4], 8, 5)],
    ["primary-out", echo([outside, SERVER4], 8, 700)],
    ["redundant-out", echo([outside, SERVER4], 8, 800)],
  ], []);
  await followed(2);
  assert.ok((await node.order("switchover")).ok);
  const inward = await put(bench, "redundant", [
    ...pieces([SERVER_DNS, outside], payload, 32).map((frame): Step => ["downstream", frame]),
    ["downstream", echo([SERVER4, outside], 0, 700)],
  ], ["redundant-out"]);
  assert.deepEqual(inward, {
    "redundant-out": [...pieces([SERVER_DNS, other], payload, 32), echo([SERVER4, outside], 0, 800)],
  });
  const outward = await put(bench, "redundant", [
    ...pieces([other, SERVER_DNS], payload, 24).map((frame): Step => ["redundant-out", frame]),
    ["redundant-out", echo([outside, SERVER4], 8, 800)],
  ], ["downstream"]);
  assert.deepEqual(outward, {
    "downstream": [...pieces([outside, SERVER_DNS], payload, 24), echo([outside, SERVER4], 8, 700)],
  });
});

for (const cores of [1, 2]) {
  Deno.test(`a box that never heard of a flow is understood by the first packet it hands over, by ${cores} core(s)`, async () => {
    await using stack = new AsyncDisposableStack();
    const { bench, node } = await up(cores, stack);
    const text = (words: string) => new TextEncoder().encode(words);
    const outside: End = { ...scene(CLIENT4, SERVER_DNS).outside };
    const cold: End = { ...outside, port: 33_000 };
    const nth = (end: End, n: number): End => ({ ...end, port: end.port + n });
    // The second and the third say the same later, the fourth says the same as one that is new.
    for (const n of [0, 1, 2, 3]) {
      await put(
        bench,
        "primary",
        [["upstream", datagram([nth(CLIENT4, n), SERVER_DNS], text(`I am ${n}`))]],
        [],
      );
      await put(bench, "primary", [[
        "primary-out",
        datagram([nth(outside, n), SERVER_DNS], text(`I am ${n}`)),
      ]], []);
    }
    assert.ok((await node.order("switchover", true)).ok);
    const says = (n: number) => text(n === 0 ? "and this?" : n < 3 ? "alike" : "as new");
    const all = [0, 1, 2, 3, 4];
    await awake(bench, "redundant");
    bench.taken();
    for (const n of all) await bench.send("upstream", datagram([nth(CLIENT4, n), SERVER_DNS], says(n)));
    const got = () => bench.arrivals.filter(({ role }) => role === "redundant-in").length;
    await bench.until(() => got() === all.length, "what the box gets");
    const { downstream } = await put(
      bench,
      "redundant",
      all.map((n): Step => ["redundant-out", datagram([nth(cold, n), SERVER_DNS], says(n))]),
      ["downstream"],
    );
    const expected = all.map((n) => datagram([nth(n === 0 ? outside : cold, n), SERVER_DNS], says(n)));
    assert.deepEqual(downstream, expected, "whose packet it is has to be sure");
    assert.deepEqual(
      await put(bench, "redundant", [["downstream", datagram([SERVER_DNS, outside], text("it is"))]], [
        "redundant-out",
      ]),
      { "redundant-out": [datagram([SERVER_DNS, cold], text("it is"))] },
    );
  });
}

Deno.test("a new connection gets another name when the box gives it that of an old one", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, node, followed, counted } = await up(1, stack);
  const first = scene(CLIENT4, SERVER4), second = renamed(first, { port: 52_000 });
  await open(bench, first, second);
  await followed(1);
  assert.ok((await node.order("switchover")).ok);
  const newcomer = scene({ ...CLIENT4, port: 40_001 }, SERVER4, [], 777);
  const { downstream } = await put(bench, "redundant", [
    ["upstream", segment(newcomer, ["in", "client"], SYN)],
    ["redundant-out", segment(newcomer, ["out", "client"], SYN)],
  ], ["downstream"]);
  const frame = downstream![0]!;
  const port = new DataView(frame.buffer, frame.byteOffset).getUint16(14 + 20);
  assert.ok(port >= 1024 && port !== first.outside.port, `${port}`);
  const named = renamed(newcomer, { port });
  assert.deepEqual(downstream, [segment(named, ["out", "client"], SYN)]);
  assert.equal(await counted("fixup_collision"), 1);
  // Each of the two goes its own way.
  const says: TcpFields = { seq: 1001, ack: 9001, flags: ack };
  assert.deepEqual(
    await put(bench, "redundant", [
      ["downstream", segment(named, ["out", "server"], SYN_ACK)],
      ["redundant-out", segment(newcomer, ["out", "client"], says)],
      ["downstream", segment(first, ["out", "server"], SYN_ACK)],
      ["redundant-out", segment(second, ["out", "client"], says)],
    ], ["redundant-out", "downstream"]),
    {
      "redundant-out": [
        segment(newcomer, ["out", "server"], SYN_ACK),
        segment(second, ["out", "server"], SYN_ACK),
      ],
      "downstream": [segment(named, ["out", "client"], says), segment(first, ["out", "client"], says)],
    },
  );
});

Deno.test("without fix-up a box gets everything as it came", async () => {
  await using stack = new AsyncDisposableStack();
  const wire = stack.use(await Wire.up());
  const bench = await wire.bench();
  const failover = [...FAILOVER, "fixup = false"];
  const node = await TestNode.start(wire, { preset: "none", filter: RULES, failover });
  await awake(bench, "primary");
  const first = scene(CLIENT4, SERVER4), second = renamed(first, { port: 52_000 });
  await open(bench, first, second);
  await node.until("a flow that differs", ({ boxes }) => boxes[1]!.match?.different === 1);
  assert.equal((await node.status()).boxes[1]!.match!.followed, 0);
  const answer = segment(first, ["out", "server"], SYN_ACK);
  assert.deepEqual(
    await put(bench, "primary", [["downstream", answer]], ["primary-out", "redundant-out"]),
    { "primary-out": [answer], "redundant-out": [answer] },
  );
});
