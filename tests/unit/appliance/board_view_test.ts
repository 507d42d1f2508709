/** What people see of a board: status and its one verdict, events, flows; on a board that no plane wrote. */
import assert from "node:assert/strict";
import { addressBytes } from "../../../appliance/address.ts";
import { readEvents, readPath, readStatus, type Surroundings } from "../../../appliance/board_view.ts";
import { hasEnd, readFlows } from "../../../appliance/flow_view.ts";
import { type NodeStatus, PATHS, type Role, ROLES } from "../../../appliance/view.ts";
import { CAUSE, EVENT_KIND, STATE } from "../../../filter/names.ts";
import { FakeBoard } from "../../support/fake_board.ts";

const NOW = { monoNs: 10_000e6, wallMs: 1_700_000_000_000 };
const AROUND: Surroundings = {
  name: "north",
  version: "1.2.3",
  specs: Object.fromEntries(ROLES.map((role) => [role, `af_packet:${role}`])) as Record<Role, string>,
  planeRestarts: 2,
  cpu: [0.25],
  lastSwitch: null,
  failback: null,
  lastDrill: null,
  external: [],
};

/** A running plane with all links up, the primary serving. */
function running(): FakeBoard {
  const fake = new FakeBoard();
  fake.set("header.state", STATE.indexOf("running"));
  fake.set("live.heartbeat_ns", NOW.monoNs - 20e6);
  fake.set("live.path_since_ns", NOW.monoNs - 5_000e6);
  ROLES.forEach((_, i) => fake.set("port.link", 1, i));
  for (const box of [0, 1]) fake.set("box.alive", 1, box).set("box.member", 1, box);
  return fake;
}

const status = (fake: FakeBoard) => readStatus(fake.board, NOW, AROUND);
const verdict = (fake: FakeBoard): [string, string] => {
  const { light, reason } = status(fake);
  return [light, reason];
};

Deno.test("readStatus() gives one verdict, the worst news first", () => {
  const path = (name: (typeof PATHS)[number]) => PATHS.indexOf(name);
  const table: readonly [change: (fake: FakeBoard) => void, light: string, reason: RegExp][] = [
    [() => {}, "green", /^the primary serves, the redundant box stands by$/],
    [
      (f) => f.set("live.path", path("redundant")),
      "green",
      /^the redundant box serves, the primary stands by$/,
    ],
    [(f) => f.set("port.link", 0, 4), "yellow", /^no spare: .*no link on redundant-in$/],
    [
      (f) => f.set("port.link", 0, 4).set("port.link", 0, 5),
      "yellow",
      /no link on redundant-in and redundant-out$/,
    ],
    [(f) => f.set("box.silent", 1, 1), "yellow", /^no spare: .*none came out$/],
    [(f) => f.set("box.alive", 0, 1), "yellow", /^no spare: .*not proven/],
    [(f) => f.set("live.heartbeat_ns", NOW.monoNs - 2_500e6), "yellow", /not been seen for 2\.5 s/],
    [(f) => f.set("live.path", path("wire")), "red", /traffic passes around them/],
    [(f) => f.set("live.path", path("block")), "red", /traffic is blocked/],
    [(f) => f.set("header.state", STATE.indexOf("failed")), "red", /^the plane is failed$/],
    [(f) => f.set("header.state", STATE.indexOf("starting")), "red", /^the plane is starting$/],
  ];
  for (const [change, light, reason] of table) {
    const fake = running();
    change(fake);
    const [foundLight, foundReason] = verdict(fake);
    assert.equal(foundLight, light, foundReason);
    assert.match(foundReason, reason);
  }
});

Deno.test("readStatus() tells of three boxes which spare is missing, and names a box as it is configured", () => {
  const further = { "redundant-2-in": "af_packet:a", "redundant-2-out": "af_packet:b" };
  const around = {
    ...AROUND,
    specs: { ...AROUND.specs, ...further },
    names: { "redundant-2": "fw-c" },
  } as const;
  const fake = running().set("port.link", 1, 6).set("port.link", 1, 7).set("box.alive", 1, 2).set(
    "box.member",
    1,
    2,
  );
  const read = () => readStatus(fake.board, NOW, around);
  const { light, reason, boxes, ports } = read();
  assert.deepEqual([light, reason], [
    "green",
    "the primary serves, the redundant box and redundant-2 stand by",
  ]);
  assert.deepEqual([boxes.map(({ name }) => name), ports.length], [["primary", "redundant", "fw-c"], 8]);
  fake.set("box.member", 0, 2).set("box.alive", 0, 2);
  assert.match(read().reason, /^a spare is missing: redundant-2 has left: no copies/);
  fake.set("box.member", 1, 2).set("port.link", 0, 7).set("port.link", 0, 4);
  assert.match(read().reason, /^no spare: .*no link on redundant-in; .*no link on redundant-2-out$/);
});

Deno.test("readStatus() tells which box serves and why a box is not green", () => {
  const fake = running().set("live.path", 1).set("port.link", 0, 3).set("box.in_packets", 7, 1);
  const { boxes } = status(fake);
  assert.deepEqual(boxes.map(({ box, light, serving }) => [box, light, serving]), [
    ["primary", "red", false],
    ["redundant", "green", true],
  ]);
  assert.equal(boxes[0]!.reason, "no link on primary-out");
  assert.equal(boxes[1]!.inPackets, 7);
});

Deno.test("readStatus() shows ports, times in milliseconds, and shares of what came from outside", () => {
  const fake = running();
  fake.setBytes("port.mac", [2, 0, 0xab, 0, 0, 0xcd], 0).setText("port.driver", "af_packet", 0);
  fake.set("port.mtu", 9000, 0).set("port.rx_packets", 60, 0).set("port.rx_bytes", 6000, 0);
  fake.set("port.rx_packets", 40, 1).set("port.rx_bytes", 4000, 1).set("port.rx_packets", 999, 2);
  fake.set("port.mirrored_packets", 5, 4).set("port.mirrored_bytes", 100, 4).set(
    "port.mirrored_packets",
    5,
    5,
  );
  fake.set("header.started_wall_ns", 1_600_000_000_000e6).set("live.loop_ns_max", 1500);
  const view = status(fake);
  const { role, spec, mac, mtu, link, driver } = view.ports[0]!;
  assert.deepEqual({ role, spec, mac, mtu, link, driver }, {
    role: "upstream",
    spec: "af_packet:upstream",
    mac: "02:00:ab:00:00:cd",
    mtu: 9000,
    link: "up",
    driver: "af_packet",
  });
  assert.deepEqual([view.mirror.share, view.mirror.shareBytes], [0.1, 0.01]);
  assert.equal(view.pathSinceMs, NOW.wallMs - 5000);
  assert.equal(view.freshMs, 20);
  assert.equal(view.plane.startedMs, 1_600_000_000_000);
  assert.equal(view.plane.loopMaxUs, 1.5);
  assert.deepEqual([view.plane.restarts, view.plane.cpu, view.name], [2, 0.25, "north"]);
});

Deno.test("readStatus() has no share where nothing came in, and names only rules that exist", () => {
  const fake = running().setText("copied.name", "sip", 0).set("copied.packets", 3, 0);
  const { mirror, parse, counters } = status(fake);
  assert.deepEqual([mirror.share, mirror.shareBytes], [0, 0]);
  assert.deepEqual(mirror.rules, [{ name: "sip", packets: 3, bytes: 0 }]);
  assert.ok(parse.length > 10 && counters.length > 10);
});

Deno.test("readStatus() lists the workers of the plane, with the ports of each", () => {
  const fake = running().set("live.workers", 2).set("worker.cpu", 3, 0).set("worker.cpu", 0xffffffff, 1);
  fake.set("worker.ports", 0b010101, 0).set("worker.ports", 0b101010, 1).set("worker.queue", 1, 1);
  fake.set("worker.loop_ns_max", 2500, 1).set("worker.rx_packets", 7, 1).set("worker.tx_packets", 6, 1);
  const [first, second] = status(fake).plane.workers;
  assert.deepEqual([first?.cpu, first?.ports, first?.share], [
    3,
    ["upstream", "primary-in", "redundant-in"],
    0.25,
  ]);
  assert.deepEqual(second, {
    cpu: null,
    ports: ["downstream", "primary-out", "redundant-out"],
    queue: 1,
    polling: "busy",
    share: 0,
    loopMaxUs: 2.5,
    rxPackets: 7,
    txPackets: 6,
  });
});

Deno.test("readPath() takes a word it does not know for block, the one that promises nothing", () => {
  assert.equal(readPath(running().set("live.path", PATHS.indexOf("wire")).board), "wire");
  assert.equal(readPath(running().set("live.path", 77).board), "block");
});

interface Event {
  readonly kind: (typeof EVENT_KIND)[number];
  readonly cause: (typeof CAUSE)[number];
  readonly numbers: Readonly<Record<string, number>>;
}

function writeEvent(fake: FakeBoard, sequence: number, { kind, cause, numbers }: Event): void {
  const all = { sequence, kind: EVENT_KIND.indexOf(kind), cause: CAUSE.indexOf(cause), ...numbers };
  for (const [name, value] of Object.entries(all)) fake.set(`event.${name}`, value, sequence % 4);
  fake.set("live.event_sequence", sequence);
}

Deno.test("readEvents() tells each kind of event in words", () => {
  const fake = running().set("header.boot", 0xabc);
  const numbers = { silent_ns: 12.5e6, lost_packets: 9, wall_ns: 1e15, mono_ns: 2e9 };
  writeEvent(fake, 1, { kind: "switch", cause: "silence", numbers: { before: 0, after: 1, ...numbers } });
  writeEvent(fake, 2, { kind: "link", cause: "link", numbers: { before: 1, after: 0, subject: 2 } });
  writeEvent(fake, 3, { kind: "box", cause: "return", numbers: { before: 0, after: 1, subject: 1 } });
  writeEvent(fake, 4, { kind: "stall", cause: "stall", numbers: { silent_ns: 7e6 } });
  const events = readEvents(fake.board, 0);
  assert.deepEqual(
    events.map(({ kind, cause, subject, before, after }) => [kind, cause, subject, before, after]),
    [
      ["switch", "silence", "node", "primary", "redundant"],
      ["link", "link", "primary-in", "up", "down"],
      ["box", "return", "redundant", "dead", "alive"],
      ["stall", "stall", "node", "", ""],
    ],
  );
  const [move, link] = events;
  assert.deepEqual([move!.silentUs, move!.lostPackets, move!.boot], [12_500, 9, "0000000000000abc"]);
  assert.deepEqual([move!.wallMs, move!.monoUs], [1e9, 2e6]);
  assert.match(move!.text, /moved from primary to redundant \(silence\).* 12\.50 ms .* 9 packets/);
  assert.deepEqual([link!.silentUs, link!.lostPackets], [null, null]);
  assert.equal(link!.text, "link of primary-in is down");
  assert.match(events[3]!.text, /stood still for 7\.00 ms/);
});

Deno.test("readEvents() says of an order only what is known of it", () => {
  const fake = running();
  writeEvent(fake, 1, { kind: "switch", cause: "order", numbers: { before: 1, after: 0 } });
  assert.equal(readEvents(fake.board, 0)[0]!.text, "traffic moved from redundant to primary (order)");
});

Deno.test("readEvents() goes on after a sequence and leaves out what the ring has overwritten", () => {
  const fake = running();
  const numbers = { before: 1, after: 0, subject: 0 };
  for (let sequence = 1; sequence <= 9; sequence++) {
    writeEvent(fake, sequence, { kind: "link", cause: "link", numbers });
  }
  const sequences = (after: number) => readEvents(fake.board, after).map(({ sequence }) => sequence);
  assert.deepEqual(sequences(0), [6, 7, 8, 9], "the ring has four places");
  assert.deepEqual(sequences(7), [8, 9]);
  assert.deepEqual(sequences(9), []);
  fake.set("event.sequence", 13, 9 % 4);
  assert.deepEqual(sequences(0), [6, 7, 8], "a slot that is being written is not read");
});

const v4 = (...last: number[]) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...last);
const v6 = (...words: number[]) => Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255]));

Deno.test("readFlows() shows a flow from its outer end, with its other half as binding", () => {
  const fake = running().setText("rule.name", "nat", 0);
  fake.setFlow(0, 3, {
    addr: [v4(10, 1, 0, 11), v4(10, 9, 0, 1)],
    port: [40_000, 80],
    numbers: {
      "proto": 6,
      "age": 1,
      "outer_dir": 0,
      "rule": 0,
      "peer": 5,
      "vlan": 7,
      "last_ns": NOW.monoNs - 1500e6,
      "half.bytes": [100, 2000],
      "half.packets": [3, 4],
      "half.mirrored": [1, 2],
    },
  });
  const peer = { proto: 6, outer_dir: 1, peer: 3, "half.bytes": [50, 60] } as const;
  fake.setFlow(1, 5, { addr: [v4(10, 2, 0, 1), v4(10, 9, 0, 1)], port: [61_000, 80], numbers: peer });
  const [first, second] = readFlows(fake.board, { limit: 10 }, NOW);
  assert.deepEqual(first, {
    side: "upstream",
    protocol: "tcp",
    outer: "10.1.0.11:40000",
    inner: "10.9.0.1:80",
    vlan: 7,
    age: "tcp",
    idleMs: 1500,
    packets: [3, 4],
    bytes: [100, 2000],
    mirrored: 3,
    rule: "nat",
    binding: "10.2.0.1:61000 - 10.9.0.1:80",
    unsure: "",
    standbys: [],
  });
  assert.deepEqual([second!.side, second!.outer, second!.inner], [
    "downstream",
    "10.9.0.1:80",
    "10.2.0.1:61000",
  ]);
  assert.equal(second!.rule, "");
});

Deno.test("readFlows() puts the busiest first, keeps to the limit and finds text, side and nothing unused", () => {
  const fake = running();
  const flow = (last: number, bytes: number, proto = 17) => ({
    addr: [v4(10, 0, 0, last), v4(10, 0, 1, 1)] as const,
    port: [1000 + last, 53] as const,
    numbers: { proto, "half.bytes": [bytes, 0] as const },
  });
  fake.setFlow(0, 0, flow(1, 10)).setFlow(0, 1, flow(2, 30)).setFlow(1, 2, flow(3, 20, 99));
  fake.setFlow(1, 3, { ...flow(4, 999), numbers: { flags: 0, "half.bytes": [999, 0] } });
  const outers = (query: Parameters<typeof readFlows>[1]) =>
    readFlows(fake.board, query, NOW).map(({ outer }) => outer);
  assert.deepEqual(outers({ limit: 10 }), ["10.0.0.2:1002", "10.0.0.3:1003", "10.0.0.1:1001"]);
  assert.deepEqual(outers({ limit: 1 }), ["10.0.0.2:1002"]);
  assert.deepEqual(outers({ limit: 10, side: "downstream" }), ["10.0.0.3:1003"]);
  assert.deepEqual(
    outers({ limit: 1, text: "10.0.0.1:" }),
    ["10.0.0.1:1001"],
    "the limit counts what matches",
  );
  assert.deepEqual(outers({ limit: 10, text: "ip-99" }), ["10.0.0.3:1003"]);
  assert.deepEqual(outers({ limit: 10, text: "nowhere" }), []);
});

Deno.test("hasEnd() knows whoever is at an end of a flow that is there, on either side", () => {
  const fake = running();
  const ends = (a: Uint8Array, b: Uint8Array, numbers = {}) => ({
    ...{ addr: [a, b] as const, port: [1, 2] as const },
    numbers: { proto: 6, ...numbers },
  });
  fake.setFlow(0, 0, ends(v4(10, 0, 0, 1), v4(10, 0, 1, 1)));
  fake.setFlow(1, 3, ends(v4(10, 0, 2, 1), v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)));
  fake.setFlow(1, 2, ends(v4(10, 0, 3, 1), v4(10, 0, 3, 2), { flags: 0 }));
  const there = ["10.0.0.1", "10.0.1.1", "10.0.2.1", "2001:db8::7", "10.0.3.1", "10.0.0.10", "::1"];
  assert.deepEqual(there.map((text) => hasEnd(fake.board, addressBytes(text)!)), [
    ...[true, true, true, true],
    ...[false, false, false],
  ]);
});

Deno.test("readFlows() does not name a rule after others took its place, until a packet has chosen again", () => {
  const fake = running().setText("rule.name", "nat", 0);
  fake.setFlow(0, 0, { addr: [v4(10, 0, 0, 1), v4(10, 0, 1, 1)], port: [1, 2], numbers: { rule: 0 } });
  const rule = () => readFlows(fake.board, { limit: 1 }, NOW)[0]!.rule;
  assert.equal(rule(), "nat");
  fake.set("command.rule_generation", 2);
  assert.equal(rule(), "?");
});

Deno.test("readFlows() says why nothing can be inferred of a flow, once it is sure", () => {
  const fake = running();
  const flow = (last: number, more: Record<string, number>) => ({
    addr: [v4(10, 0, 0, last), v4(10, 0, 1, 1)] as const,
    port: [0, 0] as const,
    numbers: { peer: 0xffff_ffff, "half.bytes": [100 - last, 0] as const, ...more },
  });
  const old = NOW.monoNs - 3e9;
  fake.setFlow(0, 0, flow(1, { proto: 6, opener: 1, first_ns: old }));
  fake.setFlow(0, 1, flow(2, { proto: 6, opener: 1, first_ns: NOW.monoNs - 1e9 }));
  fake.setFlow(0, 2, flow(3, { proto: 17, opener: 0, first_ns: old }));
  fake.setFlow(0, 3, flow(4, { proto: 47, opener: 0, first_ns: old }));
  assert.deepEqual(readFlows(fake.board, { limit: 10 }, NOW).map(({ unsure }) => unsure), [
    "no one opening on the other side is like its own",
    "",
    "its opening was not seen",
    "nothing in this protocol tells flows apart",
  ]);
});

Deno.test("readFlows() writes IPv6 addresses as RFC 5952 does", () => {
  const table: readonly [words: readonly number[], text: string][] = [
    [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], "2001:db8::1"],
    [[0, 0, 0, 0, 0, 0, 0, 1], "::1"],
    [[0, 0, 0, 0, 0, 0, 0, 0], "::"],
    [[0xfe80, 0, 0, 0, 0, 0, 0, 0], "fe80::"],
    [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], "2001:db8:0:1:1:1:1:1"],
    [[0x2001, 0, 0, 1, 0, 0, 0, 1], "2001:0:0:1::1"],
    [[1, 0, 0, 2, 0, 0, 3, 4], "1::2:0:0:3:4"],
    [[1, 2, 3, 4, 5, 6, 7, 8], "1:2:3:4:5:6:7:8"],
  ];
  for (const [words, text] of table) {
    const fake = running().setFlow(0, 0, {
      addr: [v6(...words), v6(1, 2, 3, 4, 5, 6, 7, 9)],
      port: [443, 1],
      numbers: { flags: 3 },
    });
    assert.equal(readFlows(fake.board, { limit: 1 }, NOW)[0]!.outer, `[${text}]:443`);
  }
});

Deno.test("a status that is read can be sent as JSON and is the same after it", () => {
  const view = status(running());
  assert.deepEqual(JSON.parse(JSON.stringify(view)) as NodeStatus, view);
});
