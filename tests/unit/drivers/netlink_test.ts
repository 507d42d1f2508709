/**
 * Messages of netlink against what a kernel said, against themselves, and against chance: whatever arrives is read or
 * refused with a NetlinkError.
 */
import assert from "node:assert/strict";
import { decodeFlow, encodeFlow } from "../../../drivers/conntrack_value.ts";
import { type HeaderFields, holds } from "../../../drivers/fields.ts";
import {
  ALL_EXTRAS,
  dumpFilter,
  readFlow,
  TYPE,
  writeDump,
  writeNew,
} from "../../../drivers/netlink/conntrack.ts";
import { addressText, fieldsOf, keyOf, natOf, tupleOf, tupleTest } from "../../../drivers/netlink/flow.ts";
import { MESSAGE, MessageWriter, NetlinkError, readMessages } from "../../../drivers/netlink/messages.ts";
import { Random } from "../../../filter/random.ts";
import { writeKernelFlow } from "../../support/fake_conntrack.ts";
import { flowBy } from "../../support/flows.ts";

/** A dump of Linux 6.18: a TCP flow with NAT, mark and zone, and an echo of IPv6. */
const DUMP = `
  f8000000 0001 0200 01000000 5e520000 | 02000000 | 34000180 1400018008000100 0a01000b 08000200 0a02000b
  1c000280 0500010006000000 060002000fa00000 0600030000500000 | 34000280 1400018008000100 0a02000b 08000200 0a020001
  1c000280 0500010006000000 0600020000500000 0600030013880000 | 0600120000090000 | 080003000000000e | 0800080000000007
  08000c00752ef05c | 08000b0000000001 | 08000700000001f3 | 30000480 2c000180 0500010003000000 0500020000000000
  0500030000000000 060004000a000000 060005000a000000 | 1c001880 0800010000000000 0800020000000000 0800030000000000
  00010000 0001 0200 01000000 5e520000 | 0a000000 | 54000180 2c000180 14000300fd000000000000000000000000000001
  14000400fd000000000000000000000000000002 24000280 050001003a000000 06000700004d0000 0500080080000000 0500090000000000
  54000280 2c000180 14000300fd000000000000000000000000000002 14000400fd000000000000000000000000000001
  24000280 050001003a000000 06000700004d0000 0500080081000000 0500090000000000 | 0800030000000008 0800080000000000
  08000c00d57bff53 08000b0000000001 080007000000001d 1c001880 0800010000000000 0800020000000000 0800030000000000`;
const DONE = "14000000 0300 0200 01000000 5e520000 00000000";

const hex = (text: string) => Uint8Array.fromHex(text.replace(/[\s|]/g, ""));
Deno.test("readFlow() reads what a kernel said", () => {
  const messages = [...readMessages(hex(DUMP + DONE))];
  assert.deepEqual(messages.map(({ type }) => type), [TYPE.new, TYPE.new, MESSAGE.done]);
  const [tcp, echo] = messages.map(({ type, body }) => type === TYPE.new ? readFlow(body) : null);
  assert.equal(keyOf(tcp!), "tcp 10.1.0.11 4000 > 10.2.0.11 80 zone 9");
  assert.deepEqual(natOf(tcp!), {
    source: { address: Uint8Array.of(10, 2, 0, 1), port: 5000 },
    destination: null,
  });
  assert.deepEqual(tcp!.tcp, { state: 3, scales: [0, 0], flags: [10, 10] });
  assert.deepEqual([tcp!.mark, tcp!.timeoutS, tcp!.status], [7, 499, 14]);
  assert.equal(keyOf(echo!), "icmp6 fd00::1 77 > fd00::2 *");
  assert.deepEqual(natOf(echo!), { source: null, destination: null });
});

Deno.test("flows come back as they were, through messages and through conntrack/1", () => {
  const random = new Random(1);
  for (let round = 0; round < 3_000; round++) {
    const flow = flowBy(random);
    const value = encodeFlow(flow);
    assert.ok(value.length <= 160, "with a seal it has at most 200 bytes");
    assert.deepEqual(decodeFlow(value), flow);
    const writer = new MessageWriter();
    const said = { ...flow, sctp: null, adjustments: [null, null] as const, master: null };
    writeKernelFlow(writer, TYPE.new, 7, said);
    for (const { body, sequence } of readMessages(writer.take())) {
      assert.equal(sequence, 7);
      assert.deepEqual(readFlow(body), said);
    }
    const named = tupleOf(fieldsOf(flow.original), keyOf(flow));
    assert.deepEqual(named, { tuple: flow.original, zone: flow.zone });
  }
});

Deno.test("writeNew() says what a flow is: its tuples without NAT, and what the NAT shall choose", () => {
  const flow = readFlow([...readMessages(hex(DUMP))][0]!.body)!;
  const writer = new MessageWriter();
  writeNew(writer, 1, flow, { ...ALL_EXTRAS, liberal: true });
  const attributes = new Map<number, string>();
  for (const { body } of readMessages(writer.take())) {
    body.behindFamily().each((type, value) => attributes.set(type, value.bytes().toHex()));
  }
  assert.equal(attributes.get(18), "0009");
  assert.match(attributes.get(2)!, /0a02000b.*0a01000b.*0050.*0fa0/);
  assert.equal(
    attributes.get(6),
    "080001000a020001080002000a0200011400038006000100138800000600020013880000".toLowerCase(),
  );
  assert.equal(attributes.has(13), false);
  // A window scale that no end has said is none, and flags come with a mask that means them.
  assert.equal(
    attributes.get(4),
    "1c000180050001000300000006000400 0a0a0000 060005000a0a0000".replaceAll(" ", ""),
  );
});

Deno.test("readMessages() and readFlow() survive bytes that were changed, cut and made up", () => {
  const random = new Random(2);
  const good = hex(DUMP + DONE);
  let read = 0, refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = good.slice(0, random.chance(0.3) ? random.below(good.length) : good.length);
    for (let i = random.below(6); i > 0; i--) bytes[random.below(bytes.length)] = random.below(256);
    try {
      for (const { body } of readMessages(bytes)) readFlow(body);
      read++;
    } catch (error) {
      assert.ok(error instanceof NetlinkError, String(error));
      refused++;
    }
  }
  assert.ok(refused > 5_000 && read > 0, `${read} read, ${refused} refused`);
});

Deno.test("decodeFlow() refuses values that were changed or cut, with the end of a sentence", () => {
  const random = new Random(3);
  for (let round = 0; round < 20_000; round++) {
    const value = encodeFlow(flowBy(random));
    const bytes = value.slice(0, random.chance(0.5) ? random.below(value.length) : value.length);
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    try {
      const flow = decodeFlow(bytes);
      assert.deepEqual(decodeFlow(encodeFlow(flow)), flow);
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
    }
  }
  assert.throws(() => decodeFlow(Uint8Array.of(9, 0, 0, 6)), /its form is 9, not 1/);
  assert.throws(() => decodeFlow(Uint8Array.of(1, 0xff, 0, 6)), /it has parts 0xff00, which are unknown/);
  assert.throws(() => decodeFlow(Uint8Array.of(...encodeFlow(flowBy(random)), 0)), /1 bytes are left over/);
});

Deno.test("tupleTest() holds what holds() holds", () => {
  const random = new Random(4);
  const lists: HeaderFields[] = [
    {},
    { protocol: 6 },
    { source: "0.0.0.0/1" },
    { source: "128.0.0.0/3", destination: "::/0" },
    { destination: "::/2" },
    { sourcePort: [0, 30_000] },
    { destinationPort: [20_000, 65_535], protocol: 17 },
    { source: "not an address" },
  ];
  const counts = lists.map(() => 0);
  for (let round = 0; round < 2_000; round++) {
    const { original } = flowBy(random);
    for (const [i, fields] of lists.entries()) {
      const expected = holds(fields, fieldsOf(original));
      assert.equal(tupleTest(fields)(original), expected, JSON.stringify([fields, fieldsOf(original)]));
      counts[i]! += Number(expected);
    }
  }
  assert.ok(counts.slice(0, -1).every((count) => count > 0 && count <= 2_000), String(counts));
});

Deno.test("dumpFilter() asks the kernel only for what it can tell", () => {
  const of = (fields: HeaderFields) => dumpFilter(fields)?.bits ?? null;
  assert.equal(of({}), null);
  assert.equal(of({ protocol: 6 }), null, "the kernel wants to know the family");
  assert.equal(of({ source: "10.0.0.0/8" }), null);
  assert.equal(of({ source: "10.0.0.1" }), 1);
  assert.equal(of({ source: "10.0.0.1", destination: "fd00::1" }), null);
  assert.equal(of({ source: "fd00::1" }), null, "the kernel compares these the wrong way round");
  assert.equal(
    of({ destination: "10.0.0.1", protocol: 6, sourcePort: 5, destinationPort: [1, 9] }),
    2 | 8 | 16,
  );
  assert.equal(of({ source: "10.0.0.1", protocol: 1, sourcePort: 5 }), 1 | 8);
  const writer = new MessageWriter();
  writeDump(writer, 1, dumpFilter({ source: "10.0.0.1" }));
  assert.match(writer.take().toHex(), /1980 ?08000100 ?01000000$/, "bits are in the order of the host");
});

Deno.test("addressText() writes addresses as RFC 5952 says", () => {
  const text = (groups: string) => addressText(hex(groups));
  assert.equal(text("0a000001"), "10.0.0.1");
  assert.equal(text("0000 0000 0000 0000 0000 0000 0000 0000"), "::");
  assert.equal(text("2001 0db8 0000 0001 0000 0000 0000 0001"), "2001:db8:0:1::1");
  assert.equal(text("2001 0db8 0000 0000 0001 0000 0000 0001"), "2001:db8::1:0:0:1");
  assert.equal(text("0001 0002 0003 0000 0005 0006 0007 0008"), "1:2:3:0:5:6:7:8");
});
