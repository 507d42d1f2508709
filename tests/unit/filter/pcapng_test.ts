/** The writer of pcapng, read back by our reader, and the scanner that gets it in pieces. */
import assert from "node:assert/strict";
import { readCapture } from "../../../filter/capture.ts";
import {
  joinBytes,
  pcapngHead,
  pcapngPacket,
  PcapngScanner,
  pcapngStatistics,
} from "../../../filter/pcapng.ts";

const HEAD = pcapngHead({
  hardware: "a machine",
  application: "a program 1.2.3",
  comment: "von Hand gemacht",
  snapBytes: 64,
  ports: [
    { name: "in", description: "af_packet:eth0", filter: "tcp port 80" },
    { name: "events", description: "" },
  ],
});
const TIME = 1_769_860_800_123_456_789n;
const frame = (length: number) => Uint8Array.from({ length }, (_, i) => i + 1);

Deno.test("pcapngPacket() is read back with port, time to the nanosecond, cut bytes and comment", () => {
  for (const comment of [undefined, "a", "ab", "abc", "abcd", "Grüße"]) {
    for (const length of [0, 1, 2, 3, 4, 60]) {
      const packet = { port: 0, timeNs: TIME, bytes: frame(length), wireLength: 1500 };
      const file = joinBytes([
        HEAD,
        pcapngPacket({ ...packet, direction: "out", ...(comment !== undefined && { comment }) }),
        pcapngPacket({ ...packet, port: 1, timeNs: TIME + 1n }),
      ]);
      const [first, second, ...rest] = readCapture(file);
      const told = comment === undefined ? {} : { comment };
      assert.deepEqual({ ...first, bytes: [...first!.bytes] }, {
        ...{ timeNs: TIME, link: 1, bytes: [...frame(length)], wireLength: 1500, port: "in" },
        ...told,
      });
      assert.deepEqual([second!.port, second!.timeNs, second!.comment], ["events", TIME + 1n, undefined]);
      assert.deepEqual(rest, []);
    }
  }
});

Deno.test("pcapngPacket() takes a comment as bytes too, and cuts one that is longer than an option", () => {
  const packet = { port: 0, timeNs: TIME, bytes: frame(5), wireLength: 5 };
  const bytes = new TextEncoder().encode("as bytes");
  assert.deepEqual(
    pcapngPacket({ ...packet, comment: bytes }),
    pcapngPacket({ ...packet, comment: "as bytes" }),
  );
  const long = joinBytes([HEAD, pcapngPacket({ ...packet, comment: "x".repeat(70_000) })]);
  assert.equal([...readCapture(long)][0]!.comment, "x".repeat(65_535));
});

Deno.test("pcapngHead() and the other blocks end where they say, in whole words", () => {
  const file = joinBytes([HEAD, pcapngStatistics(1, TIME, { kept: 7, lost: 2 ** 33 })]);
  const view = new DataView(file.buffer);
  const types: number[] = [];
  let at = 0;
  while (at < file.length) {
    const length = view.getUint32(at + 4, true);
    assert.equal(length % 4, 0);
    assert.equal(view.getUint32(at + length - 4, true), length);
    types.push(view.getUint32(at, true));
    at += length;
  }
  assert.equal(at, file.length);
  assert.deepEqual(types, [0x0a0d0d0a, 1, 1, 5]);
});

Deno.test("PcapngScanner gives whole blocks whatever the pieces, and counts packets and losses", () => {
  const packet = { timeNs: TIME, bytes: frame(33), wireLength: 33, comment: "why" };
  const file = joinBytes([
    HEAD,
    pcapngPacket({ ...packet, port: 0 }),
    pcapngPacket({ ...packet, port: 1 }),
    pcapngStatistics(1, TIME, { kept: 1, lost: 5 }),
    pcapngPacket({ ...packet, port: 0 }),
    pcapngStatistics(1, TIME, { kept: 2, lost: 2 ** 33 + 1 }),
  ]);
  for (const size of [1, 7, 64, file.length]) {
    const scanner = new PcapngScanner(1);
    const passed: Uint8Array[] = [];
    for (let at = 0; at < file.length; at += size) {
      passed.push(scanner.push(file.subarray(at, at + size)));
      assert.deepEqual([...readCapture(joinBytes([HEAD, ...passed]))].length >= scanner.packets, true);
    }
    assert.deepEqual(joinBytes(passed), file);
    assert.deepEqual([scanner.packets, scanner.lost], [2, 2 ** 33 + 1]);
  }
});

Deno.test("PcapngScanner keeps back a block that is not whole, and refuses what is no pcapng", () => {
  const packet = pcapngPacket({ port: 0, timeNs: TIME, bytes: frame(9), wireLength: 9 });
  const scanner = new PcapngScanner(1);
  assert.deepEqual(scanner.push(joinBytes([HEAD, packet.subarray(0, packet.length - 1)])), HEAD);
  assert.equal(scanner.packets, 0);
  assert.deepEqual(scanner.push(packet.subarray(packet.length - 1)), packet);
  assert.throws(
    () => new PcapngScanner(1).push(new TextEncoder().encode('{"type":"about:blank"}')),
    /^RangeError: Cannot read capture: a block of \d+ bytes$/,
  );
});
