/**
 * What a tap makes of a channel: 1.0 in the words of 1.3, which traffic an entry is about, refusals, floods, nonsense.
 */
import assert from "node:assert/strict";
import { output } from "../../../drivers/openflow/actions.ts";
import { Writer } from "../../../drivers/openflow/bytes.ts";
import { Ear, type Hearing, TapCounters } from "../../../drivers/openflow/ear.ts";
import { trafficOf } from "../../../drivers/openflow/flow_fields.ts";
import { Holdings } from "../../../drivers/openflow/holdings.ts";
import { orderOf, pieceOfKey, stepsOf, type Work, workOf } from "../../../drivers/openflow/insert_plan.ts";
import { type Field, matchKey, parseMatchKey } from "../../../drivers/openflow/match.ts";
import { type Body, encode, type FlowMod } from "../../../drivers/openflow/messages.ts";
import { GROUP_ANY, NO_BUFFER, PORT } from "../../../drivers/openflow/names.ts";
import { asAdd, bodyText, flowKey, type PieceBody, pieceKey } from "../../../drivers/openflow/piece.ts";
import {
  decodeCounts,
  decodePiece,
  encodeCounts,
  encodePiece,
  mergeCounts,
  pieceRecord,
} from "../../../drivers/openflow/records.ts";
import { decode10 } from "../../../drivers/openflow/v10.ts";
import { Untranslatable } from "../../../drivers/openflow/v10_match.ts";
import { Watchers } from "../../../drivers/openflow/watchers.ts";
import { recordFault } from "../../../drivers/record.ts";
import { Random } from "../../../filter/random.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replace(/[\s|]/g, ""));
const field = (name: string, value: number | bigint, mask: bigint | null = null): Field => ({
  ...{ name, value: BigInt(value), mask },
});
const FEATURES: Body = {
  ...{ kind: "features-reply", datapath: 7n, buffers: 0, tables: 1, auxiliary: 0, capabilities: 0 },
};
const TCP = [field("eth_type", 0x800), field("ip_proto", 6)];

function flow(change: Partial<FlowMod> = {}): FlowMod {
  return {
    ...{
      kind: "flow-mod",
      command: 0,
      cookie: 5n,
      cookieMask: 0n,
      table: 0,
      priority: 10,
      idleS: 0,
      hardS: 0,
    },
    ...{ buffer: NO_BUFFER, outPort: PORT.any, outGroup: GROUP_ANY, flags: 0, match: TCP },
    instructions: [{ kind: "apply", actions: [output(2)] }],
    ...change,
  };
}

function hearing(piecesMax = 100): Hearing & { readonly said: string[] } {
  const said: string[] = [];
  const holdings = new Holdings({ piecesMax, leaseMs: 60_000 });
  return { holdings, counters: new TapCounters(), datapath: null, left: (reason) => said.push(reason), said };
}

/** An ear that knows the switch. */
function listening(of: Hearing): Ear {
  const ear = new Ear(of);
  ear.hear("switch", encode({ transaction: 1, body: FEATURES }), 1000);
  return ear;
}

const sent = (transaction: number, body: Body) => encode({ transaction, body });
const keys = ({ holdings }: Hearing) => [...holdings.all()].map(({ key }) => key).sort();

// 1.0.0, 5.3.3: wildcards, in_port, dl_src, dl_dst, vlan, pcp, dl_type, tos, proto, addresses, ports.
const MATCH_10 = (wild: string) =>
  `${wild} 0001 020000000001 020000000002 ffff 00 00 0800 00 06 0000 0a010001 0a010002 03e9 0050`;

Deno.test("decode10() makes a flow mod of 1.0 one of 1.3, field by field", () => {
  const { body, version } = decode10(hex(
    `01 0e 0050 00000009 | ${
      MATCH_10("00000000")
    } | 0000000000000007 0000 000a 0014 8000 | ffffffff ffff 0001 |
     0000 0008 0002 0000`,
  ));
  assert.equal(version, 1);
  assert.equal(body.kind, "flow-mod");
  const mod = body as FlowMod;
  assert.equal(
    matchKey(mod.match),
    matchKey([
      ...[field("in_port", 1), field("eth_src", 0x020000000001), field("eth_dst", 0x020000000002)],
      ...[...TCP, field("vlan_vid", 0), field("ip_dscp", 0), field("ipv4_src", 0x0a010001)],
      ...[field("ipv4_dst", 0x0a010002), field("tcp_src", 0x3e9), field("tcp_dst", 80)],
    ]),
  );
  assert.deepEqual(mod.instructions, [{ kind: "apply", actions: [output(2)] }]);
  assert.deepEqual(
    [mod.priority, mod.idleS, mod.hardS, mod.flags & 1],
    [0xffff, 10, 20, 1],
    "an exact match is first",
  );
});

Deno.test("decode10() reads prefixes, and leaves out what 1.0 leaves to be ignored", () => {
  // Address bits to be ignored: 8 of the source, all of the destination; ports, protocol and frame are wild.
  const { body } = decode10(hex(
    `01 0e 0048 00000009 | ${MATCH_10("003808ef")} |
     0000000000000007 0003 0000 0000 0005 | ffffffff ffff 0000`,
  ));
  const mod = body as FlowMod;
  assert.equal(matchKey(mod.match), "eth_type=0x800,ipv4_src=0xa010000/0xffffff00");
  assert.equal(mod.table, 0xff, "a delete is about all tables");
});

Deno.test("decode10() refuses by name what 1.3 cannot say", () => {
  const mod = (match: string, actions: string, flags = "0000") => {
    const tail = hex(actions);
    const bytes = hex(
      `01 0e 0000 00000009 | ${match} | 0000000000000007 0000 0000 0000 0005 | ffffffff ffff ${flags}`,
    );
    const whole = new Writer().put(bytes).put(tail).done();
    new DataView(whole.buffer).setUint16(2, whole.length);
    return whole;
  };
  const wild = MATCH_10("003fffff");
  for (
    const [what, bytes] of [
      [/VLAN tag that may be there or not/, mod(wild, "0003 0008 00000000")],
      [/need not be IPv4/, mod(wild, "0006 0008 0a000001")],
      [/emergencies/, mod(wild, "", "0004")],
      [/into a queue/, mod(wild, "000b 0010 0001 000000000000 00000003 0000 0008 0002 0000")],
    ] as const
  ) {
    assert.throws(
      () => decode10(bytes),
      (error) => error instanceof Untranslatable && what.test(error.message),
    );
  }
  const tagged = decode10(mod(MATCH_10("00000000"), "0001 0008 0005 0000 0000 0008 0002 0000"))
    .body as FlowMod;
  const [apply] = tagged.instructions;
  assert.deepEqual(apply?.kind === "apply" && apply.actions.map(({ kind }) => kind), [
    "push",
    "set-field",
    "output",
  ]);
});

Deno.test("both entries of a connection carry the fields that its client sends", () => {
  const there = flow({
    match: [
      ...TCP,
      field("ipv4_src", 0x0a01000b),
      field("ipv4_dst", 0x0a0100fe),
      field("tcp_src", 40000),
      field("tcp_dst", 80),
    ],
  });
  const back = flow({
    match: [
      ...TCP,
      field("ipv4_src", 0x0a02000b),
      field("ipv4_dst", 0x0a01000b),
      field("tcp_src", 8080),
      field("tcp_dst", 40000),
    ],
    instructions: [{
      kind: "apply",
      actions: [
        { kind: "set-field", field: field("ipv4_src", 0x0a0100fe) },
        { kind: "set-field", field: field("tcp_src", 80) },
        output(1),
      ],
    }],
  });
  const expected = {
    protocol: 6,
    source: "10.1.0.11",
    destination: "10.1.0.254",
    sourcePort: 40000,
    destinationPort: 80,
  };
  const clients = ["10.1.0.0/24"];
  assert.deepEqual(trafficOf(there, clients), expected);
  assert.deepEqual(trafficOf(back, ["10.1.0.8/29"]), expected, "turned around, with what the client sees");
  assert.equal(trafficOf(back, []).source, "10.2.0.11");
  const of = (body: FlowMod) =>
    pieceRecord({ body, origin: 4, version: 3, ttlMs: null, ended: false }, clients);
  assert.deepEqual([of(there).partition, of(flow()).partition], ["flow", "shared"]);
  assert.notEqual(of(there).key, of(back).key);
  assert.equal(recordFault(of(there)), null);
  const wide = flow({
    match: [...TCP, field("ipv4_src", 0x0a010000, 0xffff0000n), field("ipv4_dst", 1, 0x00ff00ffn)],
  });
  assert.deepEqual(trafficOf(wide, []), { protocol: 6, source: "10.1.0.0/16" });
});

Deno.test("a record gives back the piece, and its key names it", () => {
  const body = asAdd(flow({ match: [...TCP, field("tcp_dst", 80), field("metadata", 5, 0xffn)] }));
  const value = encodePiece({ body, origin: 1 });
  assert.deepEqual(decodePiece(value), { body, origin: 1 });
  const { key } = pieceRecord({ body, origin: 1, version: 9, ttlMs: null, ended: true }, []);
  assert.equal(pieceKey(pieceOfKey(key)!), pieceKey(body));
  assert.deepEqual(parseMatchKey(matchKey(body.match))?.length, 4);
  for (const bad of ["", "flow x", "flow 0 1 nonsense=0x1", "flow 300 1 ", "bridge 7"]) {
    assert.equal(pieceOfKey(bad), null);
  }
  assert.throws(() => decodePiece(hex("02 04 0000")), /its form is 2/);
  const counts = (packets: bigint) => encodeCounts({ packets, bytes: 2n, livedMs: packets });
  assert.deepEqual(decodeCounts(mergeCounts(counts(3n), counts(4n))), {
    packets: 7n,
    bytes: 4n,
    livedMs: 4n,
  });
});

Deno.test("what others need comes first into a switch, and goes last", () => {
  const group = (number: number, next: number | null) => {
    const actions = next === null ? [output(1)] : [{ kind: "group" as const, group: next }];
    const bucket = { weight: 0, watchPort: PORT.any, watchGroup: GROUP_ANY, actions };
    return { kind: "group-mod" as const, command: 0, type: 0, group: number, buckets: [bucket] };
  };
  const meter = { kind: "meter-mod" as const, command: 0, flags: 1, meter: 1, bands: [] };
  const all: readonly (readonly [PieceBody, boolean])[] = [
    ...[[flow(), false], [group(3, 2), false], [group(2, 1), false]] as const,
    ...[[meter, true], [group(1, null), false], [group(9, null), true]] as const,
  ];
  const works = all.map(([body, ended]) => {
    const work = workOf(pieceRecord({ body, origin: 4, version: 2, ttlMs: null, ended }, []));
    assert.ok(typeof work !== "string", String(work));
    return work;
  });
  assert.deepEqual(stepsOf(works).map((step) => step.map(({ key }) => key)), [
    ...[["group 1"], ["group 2"], ["group 3"]],
    ...[[flowKey(flow())], ["group 9"], ["meter 1"]],
  ]);
  const circle = [group(1, 2), group(2, 1)].map((body) =>
    workOf(pieceRecord({ body, origin: 4, version: 1, ttlMs: null, ended: false }, []))
  );
  assert.equal(stepsOf(circle.filter((one) => typeof one !== "string")).flat().length, 2, "a circle ends");
  const timed = { ...works[0]!, body: flow({ idleS: 9, hardS: 60 }) };
  const left = { ...timed, record: { ...timed.record, ttlMs: 4200 } };
  const times = (timeouts: "serving" | "keep" | "none", work: Work = left) => {
    const body = orderOf(work, false, timeouts) as FlowMod;
    return [body.idleS, body.hardS];
  };
  assert.deepEqual([times("serving"), times("keep"), times("none"), times("keep", timed)], [[0, 5], [9, 5], [
    0,
    0,
  ], [9, 60]]);
});

Deno.test("a refused message is as if it had never been, and so is all that came of it", () => {
  const of = hearing(), ear = listening(of);
  ear.hear("controller", sent(2, flow({ cookie: 1n })), 1000);
  const before = bodyText(of.holdings.get(flowKey(flow()))!.body);
  ear.hear("controller", sent(3, flow({ cookie: 2n })), 1001);
  // Carried out by the switch on the entry with cookie 1, which it does not concern.
  ear.hear("controller", sent(4, flow({ command: 3, cookie: 2n, cookieMask: 0xffn, match: [] })), 1002);
  assert.deepEqual(keys(of), []);
  const changes = ear.hear(
    "switch",
    sent(3, { kind: "error", type: 5, code: 3, data: new Uint8Array(0) }),
    1003,
  );
  assert.equal(bodyText(of.holdings.get(flowKey(flow()))!.body), before);
  assert.deepEqual(changes.map(({ ended }) => ended), [false]);
  assert.equal(of.holdings.refused, 1);
  ear.hear("controller", sent(5, { kind: "barrier-request" }), 1004);
  ear.hear("switch", sent(5, { kind: "barrier-reply" }), 1005);
  assert.deepEqual(
    ear.hear("switch", sent(4, { kind: "error", type: 5, code: 3, data: new Uint8Array(0) }), 1006),
    [],
  );
});

Deno.test("an entry that is there anew outlives the word of its end before", () => {
  const of = hearing(), ear = listening(of);
  const removed = (reason: number, durationS: number): Body => ({
    ...{
      kind: "flow-removed",
      cookie: 5n,
      priority: 10,
      reason,
      table: 0,
      durationS,
      durationNs: 0,
      idleS: 0,
    },
    ...{ hardS: 0, packets: 0n, bytes: 0n, match: TCP },
  });
  ear.hear("controller", sent(2, flow({ flags: 1 })), 1000);
  ear.hear("controller", sent(3, flow({ command: 4 })), 1001);
  ear.hear("controller", sent(4, flow({ flags: 1 })), 1002);
  ear.hear("switch", sent(0, removed(2, 0)), 1003);
  assert.equal(of.holdings.size, 1, "its delete was seen already");
  ear.hear("switch", sent(0, removed(0, 30)), 2000);
  assert.deepEqual([of.holdings.size, of.holdings.removedLate], [1, 1], "it has not lived for so long");
  const ended = ear.hear("switch", sent(0, removed(0, 5)), 7000);
  assert.deepEqual(ended.map((one) => one.ended), [true]);
});

Deno.test("timeouts that nobody tells of end entries, and a lost channel raises doubt", () => {
  const of = hearing();
  const ear = listening(of);
  ear.hear("controller", sent(2, flow({ hardS: 5 })), 1000);
  ear.hear("controller", sent(3, flow({ idleS: 10, priority: 11 })), 1000);
  ear.hear("controller", sent(4, flow({ idleS: 10, flags: 1, priority: 12 })), 1000);
  assert.equal(of.holdings.ttlMs(of.holdings.get(flowKey(flow()))!, 2000), 5000, "a second is the switch's");
  assert.equal(of.holdings.tick(7000).length, 1);
  assert.equal(of.holdings.tick(61_500).length, 1, "the lease is over");
  of.holdings.doubt();
  assert.equal(of.holdings.tick(62_000).length, 1, "its end may have been missed");
});

Deno.test("another switch's channel is none of ours, and what came early waits", () => {
  const of = hearing();
  const ear = new Ear(of);
  assert.deepEqual(ear.hear("controller", sent(2, flow()), 1000), []);
  assert.equal(ear.hear("switch", sent(1, FEATURES), 1001).length, 1);
  const foreign = new Ear(of);
  foreign.hear("switch", encode({ transaction: 1, body: { ...FEATURES, datapath: 8n } as Body }), 1002);
  foreign.hear("controller", sent(3, flow({ priority: 99 })), 1003);
  assert.deepEqual([of.holdings.size, of.counters.foreign], [1, 1]);
});

Deno.test("pieces are bounded, and watchers that do not keep up are told so", async () => {
  const of = hearing(10), ear = listening(of);
  for (let priority = 0; priority < 25; priority++) {
    ear.hear("controller", sent(priority, flow({ priority })), 1000);
  }
  assert.deepEqual([of.holdings.size, of.holdings.full], [10, 15]);
  const watchers = new Watchers(3);
  const stop = new AbortController();
  const events = watchers.watch(stop.signal)[Symbol.asyncIterator]();
  const gap = { kind: "gap" as const, reason: "test" };
  watchers.tell([gap, gap]);
  watchers.tell([gap, gap]);
  const { value } = await events.next();
  assert.match(value.reason, /more than 3 changes waited/);
  assert.equal(watchers.overrun, 1);
  const next = events.next();
  stop.abort();
  assert.equal((await next).done, true);
});

for (const seed of [1, 2, 3, 4]) {
  Deno.test(`seed ${seed}: broken messages are counted and change nothing`, () => {
    const random = new Random(seed);
    const of = hearing(1000), ear = listening(of);
    const good = [
      sent(2, flow({ match: [...TCP, field("ipv4_src", 0x0a010001), field("tcp_dst", 80)] })),
      sent(3, { kind: "group-mod", command: 0, type: 0, group: 1, buckets: [] }),
      sent(4, { kind: "meter-mod", command: 0, flags: 1, meter: 1, bands: [] }),
      hex(
        `01 0e 0050 00000009 | ${
          MATCH_10("00000000")
        } | 0000000000000007 0000 000a 0014 8000 | ffffffff ffff 0001 |
        0000 0008 0002 0000`,
      ),
    ];
    for (let round = 0; round < 5000; round++) {
      const bytes = random.pick(good).slice();
      for (let count = random.below(4); count >= 0; count--) {
        bytes[8 + random.below(bytes.length - 8)] = random.below(256);
      }
      // Whatever its content says, its length stays true, as the framing needs it.
      const cut = random.chance(0.3) ? bytes.slice(0, 8 + random.below(bytes.length - 7)) : bytes;
      new DataView(cut.buffer).setUint16(2, cut.length);
      const before = of.holdings.size;
      const { malformed, untranslated } = of.counters;
      const changes = ear.hear(random.chance(0.9) ? "controller" : "switch", cut, 1000 + round);
      const unread = of.counters.malformed + of.counters.untranslated > malformed + untranslated;
      assert.ok(!unread || (changes.length === 0 && of.holdings.size === before), cut.toHex());
      for (const { held } of changes) {
        const { body } = decodePiece(encodePiece(held));
        assert.equal(pieceKey(body), held.key, cut.toHex());
      }
    }
    assert.ok(of.counters.malformed > 500, String(of.counters.malformed));
    ear.hear("controller", new TextEncoder().encode("GET / HTTP/1.1\r\n"), 9000);
    assert.equal(of.counters.unreadable_streams, 1);
    assert.deepEqual(ear.hear("controller", good[0]!, 9001), []);
  });
}
