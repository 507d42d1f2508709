/** What one taker of captured frames gets out of a ring, with a ring that is not the plane's. */
import assert from "node:assert/strict";
import {
  CaptureEncoder,
  captureHead,
  encodeAgain,
  encodeMark,
  isMark,
  markOf,
  NODE_PORT,
} from "../../../appliance/capture_encode.ts";
import { CaptureFeed, wantedTaps } from "../../../appliance/capture_feed.ts";
import { ALL_ROLES, ROLES } from "../../../appliance/view.ts";
import { Board } from "../../../filter/board.ts";
import { type CapturedFrame, readCapture } from "../../../filter/capture.ts";
import type { CaptureReader } from "../../../filter/dpdk.ts";
import { ABI_VERSION, CAPTURE_MAGIC, TAP, tapBit, WHY } from "../../../filter/names.ts";
import { joinBytes } from "../../../filter/pcapng.ts";
import { eventView } from "../ui/fake_node.ts";

/** A layout as the plane would describe it, with every field somewhere else. */
const FIELDS = {
  "header.record_bytes": [600, 4],
  "record.rule": [0, 1],
  "record.why": [1, 1],
  "record.tap": [2, 1],
  "record.role": [3, 1],
  "record.bytes": [4, 2],
  "record.wire_bytes": [8, 4],
  "record.wall_ns": [16, 8],
  "record.mono_ns": [24, 8],
} as const;
const RECORD_BYTES = 48;

function layout(): Board {
  const memory = new ArrayBuffer(1024);
  const view = new DataView(memory);
  const names = Object.entries(FIELDS);
  [CAPTURE_MAGIC, ABI_VERSION, memory.byteLength, 0, 64, names.length, 56].forEach((value, i) =>
    view.setUint32(4 * i, value, true)
  );
  names.forEach(([name, [offset, width]], i) => {
    new Uint8Array(memory).set(new TextEncoder().encode(name), 64 + 56 * i);
    [offset, width, 1, 0].forEach((value, j) => view.setUint32(64 + 56 * i + 40 + 4 * j, value, true));
  });
  view.setUint32(600, RECORD_BYTES, true);
  return new Board(memory, CAPTURE_MAGIC);
}

interface Written {
  readonly monoNs: number;
  readonly role?: number;
  readonly tap?: number;
  readonly why?: number;
  readonly rule?: number;
  readonly bytes?: readonly number[];
}

function encode({ monoNs, role = 4, tap = 0, why = 2, rule = 0, bytes = [1, 2, 3] }: Written): Uint8Array {
  const record = new Uint8Array((RECORD_BYTES + bytes.length + 7) & ~7);
  const view = new DataView(record.buffer);
  record.set([rule, why, tap, role]);
  view.setUint16(4, bytes.length, true);
  view.setUint32(8, 1000 + bytes.length, true);
  view.setBigUint64(16, BigInt(1_000_000 + monoNs), true);
  view.setBigUint64(24, BigInt(monoNs), true);
  record.set(bytes, RECORD_BYTES);
  return record;
}

/** A ring of the records given, of which one look takes at most `most`. */
class FakeRing implements CaptureReader {
  readonly layout = layout();
  readonly calls: string[] = [];
  lost = 0;
  constructor(readonly records: Written[], readonly most = 100) {}
  want(wanted: number) {
    this.calls.push(`want ${wanted}`);
  }
  choose(wanted: number, program: readonly unknown[]) {
    this.calls.push(`choose ${wanted} ${program.length}`);
  }
  take(untilNs: bigint, out: Uint8Array<ArrayBuffer>) {
    let used = 0;
    for (let n = 0; n < this.most && this.records.length > 0 && this.records[0]!.monoNs < untilNs; n++) {
      const bytes = encode(this.records.shift()!);
      out.set(bytes, used);
      used += bytes.length;
    }
    return used;
  }
  missed() {
    return this.lost;
  }
  close() {
    this.calls.push("close");
  }
}

const origin = {
  ...{ node: "edge1", version: "0.1.0", snapBytes: 128, filter: "" },
  specs: Object.fromEntries(ROLES.map((role) => [role, `null:${role}`])) as Record<
    typeof ROLES[number],
    string
  >,
};

function feedOf(ring: FakeRing): CaptureFeed {
  const encoder = new CaptureEncoder((rule) => rule === 0 ? "web" : "");
  const feed = new CaptureFeed({ encoder, wanted: wantedTaps([]), program: [], snapBytes: 128 });
  feed.attach(ring);
  return feed;
}

function read(parts: readonly Uint8Array[]): CapturedFrame[] {
  return [...readCapture(joinBytes([captureHead(origin), ...parts]))];
}

const shown = (frames: readonly CapturedFrame[]) => frames.map(({ port, comment }) => `${port}: ${comment}`);

Deno.test("CaptureFeed tells of each copy why it was made and by which rule, where it left", () => {
  const feed = feedOf(
    new FakeRing([
      { monoNs: 1, why: WHY.indexOf("handshake"), bytes: [9, 8, 7, 6] },
      { monoNs: 2, role: 5, why: WHY.indexOf("neighbour"), rule: 0xff },
      { monoNs: 3, role: 0, tap: TAP.indexOf("in"), why: 0, rule: 0xff },
      { monoNs: 4, why: WHY.indexOf("turn"), rule: 7 },
    ]),
  );
  const { parts, packets } = feed.take(10n);
  assert.equal(packets, 4);
  const frames = read(parts);
  assert.deepEqual(shown(frames), [
    "redundant-in: mirrored: handshake, rule web",
    "redundant-out: mirrored: neighbour",
    "upstream: undefined",
    "redundant-in: mirrored: turn",
  ]);
  assert.deepEqual([frames[0]!.timeNs, frames[0]!.wireLength, [...frames[0]!.bytes]], [
    1_000_001n,
    1004,
    [9, 8, 7, 6],
  ]);
});

Deno.test("CaptureFeed puts events where they happened, also when one look does not take all", () => {
  const feed = feedOf(new FakeRing([10, 20, 30, 40].map((monoNs) => ({ monoNs })), 2));
  const mark = (monoNs: number) => ({
    monoNs: BigInt(monoNs),
    timeNs: BigInt(1_000_000 + monoNs),
    text: `at ${monoNs}`,
  });
  for (const at of [5, 25, 35, 60, 90]) feed.mark(mark(at));
  const looks = [feed.take(80n), feed.take(80n), feed.take(80n), feed.take(100n)];
  assert.deepEqual(
    looks.map(({ parts }) =>
      read(parts).map((frame) => isMark(frame) ? frame.comment : Number(frame.timeNs) - 1e6)
    ),
    [["at 5", 10, 20], ["at 25", 30, "at 35", 40], ["at 60"], ["at 90"]],
  );
  assert.deepEqual(looks.map(({ dry }) => dry), [false, false, true, true]);
  assert.deepEqual(looks.map(({ startNs }) => startNs), [1_000_005n, 1_000_025n, 1_000_060n, 1_000_090n]);
});

Deno.test("CaptureFeed never lets an event seem earlier than the frame before it", () => {
  const feed = feedOf(new FakeRing([{ monoNs: 10 }]));
  feed.mark({ monoNs: 11n, timeNs: 1_000_009n, text: "late" });
  const frames = read([...feed.take(20n).parts, ...feed.take(20n).parts]);
  assert.deepEqual(frames.map(({ timeNs }) => timeNs), [1_000_010n, 1_000_010n]);
});

Deno.test("CaptureFeed stops at the packets asked for, and counts what was lost over planes", () => {
  const first = new FakeRing([1, 2, 3].map((monoNs) => ({ monoNs })));
  const feed = feedOf(first);
  assert.equal(feed.take(10n, 2).packets, 2);
  first.lost = 4;
  assert.equal(feed.missed, 4);
  const second = new FakeRing([{ monoNs: 4 }]);
  second.lost = 3;
  feed.attach(second);
  assert.equal(feed.missed, 7);
  assert.deepEqual(first.calls, [`choose ${wantedTaps([])} 0`, "close"]);
  assert.equal(feed.take(10n).packets, 1);
  feed.detach();
  assert.deepEqual([feed.missed, feed.take(10n).packets], [7, 0]);
});

Deno.test("wantedTaps() are copies by all ports, but both directions of those that are asked for", () => {
  const bits = (...pairs: [typeof TAP[number], number][]) =>
    pairs.reduce((sum, [tap, role]) => sum | tapBit(tap, role), 0);
  assert.equal(wantedTaps([]), 2 ** ALL_ROLES.length - 1);
  assert.equal(
    wantedTaps(["upstream", "redundant-in"]),
    bits(
      ...ALL_ROLES.flatMap((_, role): [typeof TAP[number], number][] =>
        role === 0 || role === 4 ? [["in", role], ["out", role]] : [["copy", role]]
      ),
    ),
  );
});

Deno.test("encodeMark() is a frame nobody takes for traffic, cut to the snap length, its comment whole", () => {
  const text = `traffic moved ${"x".repeat(200)}`;
  const mark = markOf(eventView(1, { text, wallMs: 1_769_860_800_123.457, monoUs: 5.25 }));
  assert.deepEqual([mark.monoNs, mark.timeNs], [5250n, 1_769_860_800_123_457_000n]);
  const [frame] = read([encodeMark(mark, 64)]);
  assert.equal(frame!.comment, `switch: ${text}`);
  assert.deepEqual([frame!.bytes.length, frame!.wireLength], [64, 14 + `switch: ${text}`.length]);
  assert.deepEqual([...frame!.bytes.subarray(12, 14)], [0x88, 0xb5]);
});

Deno.test("encodeAgain() keeps a frame of one of our files as it is, and leaves out those of no port", () => {
  const feed = feedOf(new FakeRing([{ monoNs: 1 }]));
  feed.mark({ monoNs: 0n, timeNs: 1_000_000n, text: "before" });
  const frames = read(feed.take(9n).parts);
  assert.deepEqual(read(frames.map((frame) => encodeAgain(frame)!)), frames);
  assert.equal(encodeAgain({ ...frames[0]!, port: "eth7" }), null);
  assert.equal(NODE_PORT, ROLES.length);
});
