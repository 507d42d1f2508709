/** Captures in pieces of any size give the frames of the whole, and what is broken is told with its place. */
import assert from "node:assert/strict";
import { CaptureSplitter, RECORD_BYTES_MAX } from "../../../appliance/mirror_chunks.ts";
import { type CapturedFrame, pcapHeader, pcapRecord, readCapture } from "../../../filter/capture.ts";

const join = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const brief = ({ timeNs, link, bytes, wireLength }: CapturedFrame) =>
  `${timeNs} ${link} ${bytes} ${wireLength}`;

function pcap(frames: number): Uint8Array {
  const records = Array.from(
    { length: frames },
    (_, i) => pcapRecord({ timeNs: BigInt(i) * 10n, bytes: new Uint8Array(i % 7).fill(i), wireLength: 100 }),
  );
  return join(pcapHeader(), ...records);
}

function words(little: boolean, ...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setUint32(4 * i, value, little));
  return new Uint8Array(view.buffer);
}

function block(little: boolean, type: number, ...body: readonly number[]): Uint8Array {
  const length = 12 + 4 * body.length;
  return words(little, type, length, ...body, length);
}

/** Two sections of different byte order, the second with two interfaces and a block nobody knows. */
function pcapng(): Uint8Array {
  const section = (little: boolean) =>
    block(little, 0x0a0d0d0a, 0x1a2b3c4d, little ? 1 : 0x10000, 0xffffffff, 0xffffffff);
  const port = (little: boolean, link: number) => block(little, 1, little ? link : link << 16, 0);
  const packet = (little: boolean, index: number, value: number) =>
    block(little, 6, index, 0, value, 4, 60, value);
  return join(
    ...[section(true), port(true, 1), packet(true, 0, 1), packet(true, 0, 2)],
    ...[section(false), port(false, 113), block(false, 0xbad, 7), packet(false, 0, 3), port(false, 101)],
    ...[packet(false, 1, 4), packet(false, 0, 5)],
  );
}

function inPieces(bytes: Uint8Array, size: number): { frames: string[]; cut: string | null } {
  const splitter = new CaptureSplitter();
  const frames: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    frames.push(...splitter.push(bytes.slice(at, at + size)).map(brief));
  }
  return { frames, cut: splitter.finish() };
}

for (const [name, bytes] of [["pcap", pcap(20)], ["pcapng", pcapng()]] as const) {
  Deno.test(`CaptureSplitter reads ${name} in pieces of every size as it is read in one`, () => {
    const whole = [...readCapture(bytes)].map(brief);
    assert.ok(whole.length >= 5);
    for (let size = 1; size <= bytes.length; size++) {
      assert.deepEqual(inPieces(bytes, size), { frames: whole, cut: null }, `pieces of ${size}`);
    }
  });
}

Deno.test("CaptureSplitter gives what is whole of a file that is cut, and tells the place", () => {
  const bytes = pcap(3);
  const { frames, cut } = inPieces(bytes.slice(0, -1), 10);
  assert.equal(frames.length, 2);
  assert.match(cut!, /^it ends within a record: 17 bytes from byte 57 on are not used$/);
  assert.equal(inPieces(new Uint8Array(0), 1).cut, "it is empty");
  assert.equal(inPieces(bytes.slice(0, 9), 4).cut, "it ends within its header, after 9 bytes");
});

Deno.test("CaptureSplitter refuses other formats and impossible lengths with the place in the file", () => {
  assert.throws(() => inPieces(new TextEncoder().encode("this is no capture file at all"), 7), SyntaxError);
  const huge = join(pcap(2), words(true, 0, 0, RECORD_BYTES_MAX + 1, 0));
  assert.throws(() => inPieces(huge, 5), /Cannot read capture: the record at byte 57 claims 67108881 bytes/);
  const odd = join(pcapng().slice(0, 28), words(true, 6, 13, 0));
  assert.throws(() => inPieces(odd, 9), /block length 13 at byte 28/);
});
