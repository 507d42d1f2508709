/**
 * The codec of OpenFlow against vectors written down from the specification (1.3.5; the section behind each), and
 * against itself and chance: whatever arrives is read or refused with a sentence.
 */
import assert from "node:assert/strict";
import { output } from "../../../drivers/openflow/actions.ts";
import { OpenFlowError } from "../../../drivers/openflow/bytes.ts";
import { Framer } from "../../../drivers/openflow/frames.ts";
import { matchKey } from "../../../drivers/openflow/match.ts";
import { type Body, decode, encode, type Message } from "../../../drivers/openflow/messages.ts";
import { errorText, GROUP_ANY, NO_BUFFER, PORT } from "../../../drivers/openflow/names.ts";
import { Random } from "../../../filter/random.ts";

/** "04 00 | 0008" and the like: spaces, bars and line breaks are for the reader. */
function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replace(/[\s|]/g, ""));
}

const PORT_3 = {
  number: 3,
  address: hex("0200 0000 0003"),
  name: "eth3",
  config: 1,
  state: 4,
  features: [0x40, 0, 0, 0],
  speed: [10_000_000, 0],
} as const;
const PORT_3_HEX = `00000003 00000000 | 020000000003 0000 | 65746833 ${"00".repeat(12)} | 00000001 00000004
  00000040 00000000 00000000 00000000 | 00989680 00000000`;

const VECTORS: readonly (readonly [section: string, text: string, body: Body])[] = [
  ["7.5.1 hello with a bitmap of 1.3", "04 00 0010 0000002a | 0001 0008 00000010", {
    kind: "hello",
    versions: 1 << 4,
  }],
  ["7.5.1 hello without elements", "04 00 0008 0000002a", { kind: "hello", versions: null }],
  ["7.5.4 error", "04 01 000e 0000002a | 0006 0007 | beef", {
    kind: "error",
    type: 6,
    code: 7,
    data: hex("beef"),
  }],
  ["7.5.2 echo request", "04 02 000a 0000002a 0102", { kind: "echo-request", data: hex("0102") }],
  ["7.3.1 features request", "04 05 0008 0000002a", { kind: "features-request" }],
  [
    "7.3.1 features reply",
    "04 06 0020 0000002a | 0000 020000000001 | 00000100 fe 00 0000 | 0000004f 00000000",
    {
      kind: "features-reply",
      datapath: 0x020000000001n,
      buffers: 256,
      tables: 254,
      auxiliary: 0,
      capabilities: 0x4f,
    },
  ],
  ["7.3.2 set config", "04 09 000c 0000002a | 0000 ffff", {
    kind: "set-config",
    flags: 0,
    missBytes: 0xffff,
  }],
  [
    "7.4.3 port status",
    `04 0c 0050 0000002a | 02 00000000000000 | ${PORT_3_HEX}`,
    { kind: "port-status", reason: 2, port: PORT_3 },
  ],
  [
    "7.3.4.1 flow mod: in_port, eth_type and ip_proto to a group",
    `04 0e 0058 0000002a | 524d000000000001 0000000000000000 | 00 00 0000 0000 03e8 | ffffffff ffffffff ffffffff
     0001 0000 | 0001 0017 80000004 00000001 80000a02 0800 80001401 06 00 | 0004 0010 00000000 0016 0008 00005209`,
    {
      kind: "flow-mod",
      command: 0,
      cookie: 0x524d000000000001n,
      cookieMask: 0n,
      table: 0,
      priority: 1000,
      idleS: 0,
      hardS: 0,
      buffer: NO_BUFFER,
      outPort: PORT.any,
      outGroup: GROUP_ANY,
      flags: 1,
      match: [
        { name: "in_port", value: 1n, mask: null },
        { name: "eth_type", value: 0x0800n, mask: null },
        { name: "ip_proto", value: 6n, mask: null },
      ],
      instructions: [{
        kind: "apply",
        actions: [{ kind: "group", group: 21001 }],
      }],
    },
  ],
  [
    "7.3.4.2 group mod: fast failover of two ports",
    `04 0f 0050 0000002a | 0000 03 00 00005209
     | 0020 0000 00000003 ffffffff 00000000 | 0000 0010 00000003 0000 000000000000
     | 0020 0000 00000005 ffffffff 00000000 | 0000 0010 00000005 0000 000000000000`,
    {
      kind: "group-mod",
      command: 0,
      type: 3,
      group: 21001,
      buckets: [3, 5].map((port) => ({
        weight: 0,
        watchPort: port,
        watchGroup: GROUP_ANY,
        actions: [output(port)],
      })),
    },
  ],
  [
    "7.4.2 flow removed, because its group was",
    `04 0b 0038 0000002a | 524d000000000001 03e8 03 00 | 00000005 00000064 0000 0000 | 0000000000000007
     00000000000001c0 | 0001 0004 00000000`,
    {
      kind: "flow-removed",
      cookie: 0x524d000000000001n,
      priority: 1000,
      reason: 3,
      table: 0,
      durationS: 5,
      durationNs: 100,
      idleS: 0,
      hardS: 0,
      packets: 7n,
      bytes: 448n,
      match: [],
    },
  ],
  [
    "7.4.1 packet in",
    `04 0a 002c 0000002a | ffffffff 0002 01 00 ffffffffffffffff | 0001 000c 80000004 00000002 00000000 | 0000 cafe`,
    {
      kind: "packet-in",
      buffer: NO_BUFFER,
      totalBytes: 2,
      reason: 1,
      table: 0,
      cookie: 0xffffffffffffffffn,
      match: [{ name: "in_port", value: 2n, mask: null }],
      data: hex("cafe"),
    },
  ],
  [
    "7.3.7 packet out",
    "04 0d 002a 0000002a | ffffffff fffffffd 0010 000000000000 | 0000 0010 00000001 0000 000000000000 | cafe",
    {
      kind: "packet-out",
      buffer: NO_BUFFER,
      inPort: PORT.controller,
      actions: [output(1)],
      data: hex("cafe"),
    },
  ],
  ["7.3.9 role request", "04 18 0018 0000002a | 00000002 00000000 0000000000000009", {
    kind: "role-request",
    role: 2,
    generation: 9n,
  }],
  ["7.3.8 barrier request", "04 14 0008 0000002a", { kind: "barrier-request" }],
  [
    "7.3.5.2 request of flows by cookie",
    `04 12 0038 0000002a | 0001 0000 00000000 | ff 000000 ffffffff ffffffff 00000000 524d000000000000
     ffff000000000000 | 0001 0004 00000000`,
    {
      kind: "multipart-request",
      more: false,
      query: {
        kind: "flow",
        table: 0xff,
        outPort: PORT.any,
        outGroup: GROUP_ANY,
        cookie: 0x524d000000000000n,
        cookieMask: 0xffff000000000000n,
        match: [],
      },
    },
  ],
  [
    "7.3.5.2 answer: one flow on TCP flags (EXT-109), more to follow",
    `04 13 0060 0000002a | 0001 0001 00000000
     | 0050 00 00 00000001 00000002 03e9 0000 0000 0001 00000000 524d000000000002 0000000000000003 00000000000000b4
     | 0001 0010 ffff 55 08 4f4e4600 0002 0002 | 0004 0010 00000000 0012 0008 00000000`,
    {
      kind: "multipart-reply",
      more: true,
      answer: {
        kind: "flow",
        flows: [{
          table: 0,
          priority: 1001,
          idleS: 0,
          hardS: 0,
          flags: 1,
          cookie: 0x524d000000000002n,
          durationS: 1,
          durationNs: 2,
          packets: 3n,
          bytes: 180n,
          match: [{ name: "tcp_flags", value: 2n, mask: 2n }],
          instructions: [{ kind: "apply", actions: [{ kind: "plain", type: 18 }] }],
        }],
      },
    },
  ],
  [
    "7.3.5.10 answer: groups",
    `04 13 0030 0000002a | 0007 0000 00000000 | 0020 03 00 00000009
     | 0018 0000 00000003 0000000a 00000000 | 0016 0008 0000000a`,
    {
      kind: "multipart-reply",
      more: false,
      answer: {
        kind: "group-desc",
        groups: [{
          group: 9,
          type: 3,
          buckets: [{ weight: 0, watchPort: 3, watchGroup: 10, actions: [{ kind: "group", group: 10 }] }],
        }],
      },
    },
  ],
  [
    "7.3.5.9 answer: counters of a group",
    `04 13 0048 0000002a | 0006 0000 00000000 | 0038 0000 00000009 00000001 00000000 0000000000000005
     0000000000000140 00000002 00000003 | 0000000000000005 0000000000000140`,
    {
      kind: "multipart-reply",
      more: false,
      answer: {
        kind: "group",
        groups: [{
          group: 9,
          references: 1,
          packets: 5n,
          bytes: 320n,
          durationS: 2,
          durationNs: 3,
          buckets: [{ packets: 5n, bytes: 320n }],
        }],
      },
    },
  ],
  [
    "7.3.5.7 answer: ports",
    `04 13 0050 0000002a | 000d 0000 00000000 | ${PORT_3_HEX}`,
    { kind: "multipart-reply", more: false, answer: { kind: "port-desc", ports: [PORT_3] } },
  ],
  ["7.3.4.4 meter mod", "04 1d 0020 0000002a | 0000 0005 00000007 | 0001 0010 00000400 00000064 00000000", {
    kind: "meter-mod",
    command: 0,
    flags: 5,
    meter: 7,
    bands: [{ type: 1, rate: 1024, burst: 100, data: hex("00000000") }],
  }],
  ["7.3.5.13 meter config request", "04 12 0018 0000002a | 000a 0000 00000000 | ffffffff 00000000", {
    kind: "multipart-request",
    more: false,
    query: { kind: "meter-config" },
  }],
  [
    "7.3.5.13 meter config reply",
    "04 13 0028 0000002a | 000a 0000 00000000 | 0018 0001 00000007 | 0002 0010 00000400 00000000 01000000",
    {
      kind: "multipart-reply",
      more: false,
      answer: {
        kind: "meter-config",
        meters: [{ meter: 7, flags: 1, bands: [{ type: 2, rate: 1024, burst: 0, data: hex("01000000") }] }],
      },
    },
  ],
];

Deno.test("decode() and encode() agree with vectors of the specification", async (t) => {
  for (const [section, text, body] of VECTORS) {
    await t.step(section, () => {
      const bytes = hex(text);
      assert.deepEqual(decode(bytes), { transaction: 42, version: 4, body });
      assert.equal(encode({ transaction: 42, body }).toHex(), bytes.toHex());
    });
  }
});

Deno.test("decode() takes a hello of any version, and nothing else of one", () => {
  const hello = decode(hex("06 00 0010 00000001 | 0001 0008 00000050"));
  assert.deepEqual(hello.body, { kind: "hello", versions: 0x50 });
  assert.equal(hello.version, 6);
  assert.throws(() => decode(hex("01 05 0008 00000001")), /version 1 of a features request, only 4 \(1\.3\)/);
});

Deno.test("decode() names the message, the place and the value that is wrong", () => {
  const refusals: [string, RegExp][] = [
    ["04 06 0010 00000001 0000000000000001", /features reply: needs 4 bytes at 16, 0 are left/],
    [
      "04 0f 0018 00000001 | 0000 03 00 00000001 | 0008 0000 00000000",
      /bucket at 16 has 8 bytes, at least 16/,
    ],
    ["04 13 0018 00000001 | 0001 0000 00000000 | 0008 0000 00000000", /flow at 16 has 8 bytes, at least 56/],
    [
      "04 0d 0020 00000001 | ffffffff 00000001 0008 000000000000 | 0000 0007 00000001",
      /action of type 0 at 24/,
    ],
    ["04 0d 0018 00000001 | ffffffff 00000001 0008 000000000000", /needs 8 bytes at 24, 0 are left/],
    ["04 14 0009 00000001", /header: says 9 bytes and has 8/],
    [
      "04 0b 0038 00000001" + "00".repeat(40) + "0001 0006 8000 0000",
      /match: needs 1 bytes at 54, 0 are left/,
    ],
    ["04 0b 0038 00000001" + "00".repeat(40) + "0002 0004 00000000", /match of type 2 at 48/],
  ];
  for (const [text, reason] of refusals) {
    assert.throws(
      () => decode(hex(text)),
      (error) => error instanceof OpenFlowError && reason.test(error.message),
    );
  }
});

Deno.test("decode() reads or refuses whatever bytes arrive, and what it read it can write and read again", () => {
  const random = new Random(20_261_122);
  const seeds = VECTORS.map(([, text]) => hex(text));
  let read = 0, refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = seeds[random.below(seeds.length)]!.slice();
    for (let count = random.below(4); count >= 0; count--) {
      bytes[4 + random.below(bytes.length - 4)] = random.below(256);
    }
    const cut = random.below(3) === 0 ? bytes.slice(0, 8 + random.below(bytes.length - 7)) : bytes;
    new DataView(cut.buffer).setUint16(2, cut.length);
    let message: Message;
    try {
      message = decode(cut);
    } catch (error) {
      assert.ok(error instanceof OpenFlowError, `${cut.toHex()}: ${error}`);
      refused++;
      continue;
    }
    read++;
    assert.deepEqual(decode(encode(message)).body, message.body, cut.toHex());
  }
  assert.ok(read > 3_000 && refused > 3_000, `${read} read, ${refused} refused`);
});

Deno.test("Framer makes the same messages of a stream, however it is cut", () => {
  const messages = VECTORS.map(([, text]) => hex(text));
  const stream = hex(messages.map((one) => one.toHex()).join(""));
  const random = new Random(7);
  for (let round = 0; round < 200; round++) {
    const framer = new Framer();
    const found: string[] = [];
    for (let at = 0; at < stream.length;) {
      const next = Math.min(stream.length, at + 1 + random.below(90));
      found.push(...framer.push(stream.subarray(at, next)).map((one) => one.toHex()));
      at = next;
    }
    assert.deepEqual(found, messages.map((one) => one.toHex()));
  }
  assert.throws(() => new Framer().push(hex("04 00 0007 00000000")), /a message of 7 bytes/);
  assert.throws(
    () => new Framer().push(new TextEncoder().encode("HTTP/1.1 400")),
    /begins with byte 72, which is no/,
  );
});

Deno.test("matchKey() is equal for equal matches, whatever their order and idle bits", () => {
  const port = { name: "in_port", value: 3n, mask: null };
  const flags = { name: "tcp_flags", value: 2n, mask: 2n };
  assert.equal(
    matchKey([port, flags]),
    matchKey([{ ...flags, value: 0x12n }, { ...port, mask: 0xffffffffn }]),
  );
  assert.notEqual(matchKey([port]), matchKey([port, flags]));
  assert.notEqual(matchKey([port]), matchKey([{ ...port, value: 4n }]));
});

Deno.test("errorText() names what a switch complains of", () => {
  assert.equal(errorText(6, 6), "group mod failed, watch unsupported");
  assert.equal(errorText(5, 99), "flow mod failed, code 99");
  assert.equal(errorText(99, 1), "error 99, code 1");
});
