/** Recordings: what is written is read back, wherever a file is cut, and no byte of one can be changed unseen. */
import assert from "node:assert/strict";
import { pcapngHead, pcapngPacket } from "../../../filter/pcapng.ts";
import { packetOf } from "../../../filter/pcapng_blocks.ts";
import { readCapture } from "../../../filter/capture.ts";
import { Random } from "../../../filter/random.ts";
import {
  checkSeals,
  eachBlock,
  encodeEntry,
  encodeNote,
  type Entry,
  entryOf,
  noteOf,
  Sealer,
} from "../../../appliance/recorder_format.ts";

const NS = 1_769_860_800_000_000_123n;
const ascending = (length: number) => Uint8Array.from({ length }, (_, i) => i);
const packet = (custom: Uint8Array, comment: string) =>
  pcapngPacket({
    port: 0,
    timeNs: NS,
    bytes: ascending(61),
    wireLength: 1500,
    direction: "in",
    comment,
    custom,
  });
const head = pcapngHead({
  hardware: "a node",
  application: "Remediate",
  ports: [{ name: "upstream", description: "" }],
  snapBytes: 96,
});
/** Three writes: the head with rules, packets, a note and a step. */
function file(): Uint8Array {
  const sealer = new Sealer();
  const parts = [
    [head, encodeEntry({ kind: "rules", timeNs: NS, data: ascending(7) })],
    [packet(ascending(280), "copied: handshake"), packet(ascending(3), "not copied")],
    [
      encodeNote(NS + 1n, { about: "event", text: "über" }),
      encodeEntry({ kind: "step", timeNs: NS + 2n, data: ascending(0) }),
    ],
  ];
  return new Uint8Array(
    parts.flatMap((write) => [...sealer.seal(new Uint8Array(write.flatMap((b) => [...b])))]),
  );
}

function entries(bytes: Uint8Array): { found: Entry[]; packets: number; cut: string | null } {
  const found: Entry[] = [];
  let packets = 0;
  const cut = eachBlock(bytes, (block) => {
    const entry = entryOf(block);
    if (entry !== null) found.push(entry);
    if (packetOf(block) !== null) packets++;
  });
  return { found, packets, cut };
}

Deno.test("entries and the witnesses of packets are read back as they were written", () => {
  const bytes = file();
  const { found, packets, cut } = entries(bytes);
  assert.deepEqual(found.map(({ kind }) => kind), ["rules", "seal", "seal", "note", "step", "seal"]);
  assert.deepEqual([packets, cut], [2, null]);
  assert.deepEqual([...found[0]!.data], [...ascending(7)]);
  assert.equal(found[4]!.timeNs, NS + 2n);
  assert.deepEqual(noteOf(found[3]!), { about: "event", text: "über" });
  const read: ReturnType<typeof packetOf>[] = [];
  eachBlock(bytes, (block) => void (packetOf(block) && read.push(packetOf(block))));
  assert.deepEqual([...read[0]!.custom!], [...ascending(280)]);
  assert.deepEqual([...read[0]!.frame], [...ascending(61)]);
  assert.deepEqual([read[0]!.timeNs, read[0]!.wireLength, read[0]!.comment], [NS, 1500, "copied: handshake"]);
  assert.deepEqual([...read[1]!.custom!], [0, 1, 2]);
});

Deno.test("readCapture() shows the frames of a recording to everybody else", () => {
  const frames = [...readCapture(file())];
  assert.deepEqual(frames.map(({ comment, port }) => [comment, port]), [
    ["copied: handshake", "upstream"],
    ["not copied", "upstream"],
  ]);
});

Deno.test("a recording that is cut anywhere is read up to the cut, and nothing that is there is called changed", () => {
  const bytes = file();
  const all = entries(bytes);
  let last = 0;
  for (let end = 12; end < bytes.length; end++) {
    const part = bytes.subarray(0, end);
    if (end < head.length && end < 40) continue; // not even its first block
    const { found, packets } = entries(part);
    const report = checkSeals(part);
    assert.equal(report.broken, null, `cut at ${end}`);
    assert.equal(report.seals, found.filter(({ kind }) => kind === "seal").length);
    const whole = found.length + packets;
    assert.ok(whole >= last && whole <= all.found.length + all.packets);
    last = whole;
  }
  assert.deepEqual(checkSeals(bytes), { seals: 3, broken: null, unsealedBytes: 0, cut: null });
});

Deno.test("checkSeals() finds any byte that was changed, and a block that was taken out or put in twice", () => {
  const bytes = file();
  const fits = (changed: Uint8Array) => {
    try {
      const { broken, cut, unsealedBytes, seals } = checkSeals(changed);
      return broken === null && cut === null && unsealedBytes === 0 && seals === 3;
    } catch (error) {
      if (error instanceof SyntaxError) return false; // no recording any more
      throw error;
    }
  };
  assert.ok(fits(bytes));
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1 << at % 8;
    assert.ok(!fits(changed), `byte ${at} was changed unseen`);
  }
  const blocks: Uint8Array[] = [];
  eachBlock(bytes, (block) => blocks.push(block.bytes));
  const joined = (some: readonly Uint8Array[]) => new Uint8Array(some.flatMap((block) => [...block]));
  for (let i = 1; i < blocks.length; i++) {
    assert.ok(!fits(joined(blocks.toSpliced(i, 1))), `block ${i} was taken out unseen`);
    assert.ok(!fits(joined(blocks.toSpliced(i, 0, blocks[i]!))), `block ${i} was put in unseen`);
  }
});

Deno.test("readers of recordings answer any bytes with what is whole, or with a sentence", () => {
  const random = new Random(7);
  const bytes = file();
  for (let n = 0; n < 3000; n++) {
    const changed = bytes.slice(0, random.u32() % 5 === 0 ? random.u32() % bytes.length : bytes.length);
    for (let times = 1 + random.u32() % 8; times > 0 && changed.length > 0; times--) {
      changed[random.u32() % changed.length] = random.u32() % 3 === 0 ? 0xff : random.u32() & 0xff;
    }
    try {
      const { found } = entries(changed);
      for (const entry of found) noteOf(entry);
      checkSeals(changed);
    } catch (error) {
      assert.ok(
        error instanceof SyntaxError && error.message.startsWith("Cannot read recording: "),
        String(error),
      );
    }
  }
});
