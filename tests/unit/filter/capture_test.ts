/** Capture files of every kind, built byte by byte, and what is said of broken ones. */
import assert from "node:assert/strict";
import { type CapturedFrame, pcapHeader, pcapRecord, readCapture } from "../../../filter/capture.ts";

type Part = readonly (number | readonly number[])[];

/** Writes numbers of 32 bits; arrays are bytes as they are. */
function words(little: boolean, ...parts: Part): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part !== "number") return [...part];
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, part, little);
    return [...new Uint8Array(view.buffer)];
  }));
}
const join = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const half = (little: boolean, ...values: readonly number[]) =>
  values.flatMap((value) => (little ? [value & 255, value >> 8] : [value >> 8, value & 255]));
const brief = (frame: CapturedFrame) => [frame.timeNs, frame.link, [...frame.bytes].join(), frame.wireLength];
const read = (bytes: Uint8Array) => [...readCapture(bytes)].map(brief);

function classic(little: boolean, magic: number): Uint8Array {
  const header = words(little, magic, half(little, 2, 4), 0, 0, 65535, 0xf0000001);
  return join(
    header,
    words(little, 7, 9, 3, 60, [1, 2, 3]),
    words(little, 8, 0, 0, 0),
    words(little, 9, 1, 1, 1, [4]),
  );
}

for (const little of [true, false]) {
  const order = little ? "little" : "big";
  Deno.test(`readCapture() reads ${order}-endian pcap with micro- and nanoseconds`, () => {
    const expected = (unit: bigint) => [
      [7_000_000_000n + 9n * unit, 1, "1,2,3", 60],
      [8_000_000_000n, 1, "", 0],
      [9_000_000_000n + unit, 1, "4", 1],
    ];
    assert.deepEqual(read(classic(little, 0xa1b2c3d4)), expected(1000n));
    assert.deepEqual(read(classic(little, 0xa1b23c4d)), expected(1n));
  });
}

/** A pcapng block; the body is filled up to 32 bits. */
function block(little: boolean, type: number, ...body: Part): Uint8Array {
  const content = words(little, ...body);
  const padded = new Uint8Array(Math.ceil(content.length / 4) * 4);
  padded.set(content);
  return join(words(little, type, padded.length + 12), padded, words(little, padded.length + 12));
}
const section = (little: boolean) =>
  block(little, 0x0a0d0d0a, 0x1a2b3c4d, half(little, 1, 0), 0xffffffff, 0xffffffff);
const port = (little: boolean, link: number, snap: number, ...options: Part) =>
  block(little, 1, half(little, link, 0), snap, ...options);
const resolution = (little: boolean, value: number): Part => [half(little, 9, 1), [value, 0, 0, 0]];
const enhanced = (little: boolean, index: number, ticks: number, ...bytes: number[]) =>
  block(little, 6, index, 0, ticks, bytes.length, 99, bytes);

Deno.test("readCapture() reads pcapng: interfaces, resolutions, offsets, sections of both byte orders", () => {
  const file = join(
    section(true),
    port(true, 1, 0),
    port(true, 113, 0, ...resolution(true, 9), half(true, 14, 8), 100, 0, half(true, 0, 0)),
    port(true, 101, 0, ...resolution(true, 0x8a)),
    block(true, 0x0bad0bad, [1, 2, 3, 4]),
    enhanced(true, 0, 5, 1, 2, 3),
    enhanced(true, 1, 5, 4),
    enhanced(true, 2, 512),
    section(false),
    port(false, 1, 2),
    enhanced(false, 0, 6, 7),
    block(false, 3, 3, [8, 9]), // a simple packet of three bytes, cut to the two of the interface
    block(false, 2, half(false, 0, 0), 0, 7, 1, 1, [10]), // an obsolete packet block
  );
  assert.deepEqual(read(file), [
    [5_000n, 1, "1,2,3", 99],
    [100_000_000_005n, 113, "4", 99],
    [500_000_000n, 101, "", 99],
    [6_000n, 1, "7", 99],
    [0n, 1, "8,9", 3],
    [7_000n, 1, "10", 1],
  ]);
});

Deno.test("readCapture() cuts times that do not fit 64 bits", () => {
  const far = join(section(true), port(true, 1, 0), block(true, 6, 0, 0xffffffff, 0xffffffff, 0, 0));
  assert.equal([...readCapture(far)][0]!.timeNs, 0xffff_ffff_ffff_ffffn);
});

Deno.test("readCapture() gives what is whole of a cut file and names where it is cut", () => {
  const whole = join(pcapHeader(), pcapRecord({ timeNs: 1n, bytes: Uint8Array.of(1, 2), wireLength: 2 }));
  for (
    const [cut, message] of [[1, /1 bytes are missing in the record at byte 58/], [
      5,
      /record header at byte 42/,
    ]] as const
  ) {
    const frames: CapturedFrame[] = [];
    const file = join(whole, pcapRecord({ timeNs: 2n, bytes: Uint8Array.of(3), wireLength: 1 })).slice(
      0,
      -cut,
    );
    assert.throws(() => {
      for (const frame of readCapture(file)) frames.push(frame);
    }, message);
    assert.deepEqual(frames.map(brief), [[1n, 1, "1,2", 2]]);
  }
});

Deno.test("readCapture() refuses other formats and files that contradict themselves", () => {
  const bad: readonly (readonly [Uint8Array, RegExp])[] = [
    [new Uint8Array(0), /24 bytes are missing in the file header/],
    [new Uint8Array(40), /0x00000000 is no pcap or pcapng file/],
    [words(true, 0x0a0d0d0a, 28, 0x11111111, 0, 0, 0, 28), /bad byte order mark in the section at byte 0/],
    [join(section(true), words(true, 6, 13, 0, 0)), /block length 13 at byte 28/],
    [join(section(true), words(true, 6, 0, 0, 0)), /block length 0 at byte 28/],
    [join(section(true), enhanced(true, 0, 0)), /at byte 28 names unknown interface 0/],
    [join(section(true), port(true, 1, 0), block(true, 6, 0)), /has 16 bytes, too few for its type/],
    [join(section(true), port(true, 1, 0), block(true, 6, 0, 0, 0, 5, 5, [1])), /too few for its type/],
    [join(section(true), port(true, 1, 0), block(true, 3, 0xffffffff, [1])), /too few for its type/],
    [section(true).slice(0, -1), /1 bytes are missing in the block at byte 0/],
  ];
  for (const [file, message] of bad) assert.throws(() => read(file), message);
});

Deno.test("pcapRecord() writes what readCapture() reads", () => {
  const frames = [
    { timeNs: 1_700_000_000_123_456_789n, bytes: Uint8Array.of(1, 2, 3), wireLength: 1500 },
    { timeNs: 0n, bytes: new Uint8Array(0), wireLength: 0 },
  ];
  const file = join(pcapHeader(113), ...frames.map(pcapRecord));
  assert.deepEqual(read(file), frames.map((frame) => brief({ ...frame, link: 113 })));
});
