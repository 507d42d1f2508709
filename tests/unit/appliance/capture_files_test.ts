/** The ring of files on a real disk: its bound, its names, its rights, and what is read of a file that is cut. */
import assert from "node:assert/strict";
import {
  captureFileName,
  captureFileStart,
  CaptureRing,
  listCaptureFiles,
  readCaptureFile,
} from "../../../appliance/capture_files.ts";
import { keptPieces } from "../../../appliance/capture_kept.ts";
import { captureHead, isMark } from "../../../appliance/capture_encode.ts";
import { ROLES } from "../../../appliance/view.ts";
import { type CapturedFrame, readCapture } from "../../../filter/capture.ts";
import { joinBytes, pcapngPacket } from "../../../filter/pcapng.ts";

const MIB = 1024 * 1024;
const START_MS = Date.UTC(2026, 0, 31, 12, 0, 0);
const HEAD = captureHead({
  ...{ node: "edge1", version: "0.1.0", snapBytes: 128, filter: "" },
  specs: Object.fromEntries(ROLES.map((role) => [role, "null"])) as Record<typeof ROLES[number], string>,
});

/** A packet of 100 bytes, the first of them `mark`, so many ms after the start. */
function packet(ms: number, mark: number, port = 4): Uint8Array {
  const timeNs = BigInt(START_MS + ms) * 1_000_000n;
  return pcapngPacket({ port, timeNs, bytes: new Uint8Array(100).fill(mark), wireLength: 1400 });
}

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(`${directory}/ring`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const total = (directory: string) => listCaptureFiles(directory).reduce((sum, { bytes }) => sum + bytes, 0);

Deno.test("captureFileName() sorts by time and is read back", () => {
  assert.equal(captureFileName(START_MS + 250), "mirror-20260131T120000.250.pcapng");
  for (const [ms, again] of [[0, 0], [1, 3], [86_400_000, 12]] as const) {
    assert.equal(captureFileStart(captureFileName(START_MS + ms, again)), START_MS + ms);
  }
  for (const name of ["mirror-.pcapng", "events.jsonl", "mirror-20269931T120000.250.pcapng", "x.pcapng"]) {
    assert.equal(captureFileStart(name), null, name);
  }
});

Deno.test("CaptureRing never holds more than its bound, loses the oldest, and goes on over restarts", () =>
  withDirectory(async (directory) => {
    const piece = (i: number) => joinBytes(Array.from({ length: 200 }, () => packet(i, i % 256)));
    for (const restart of [0, 1, 2]) {
      const ring = new CaptureRing({ directory, bytesMax: MIB, head: () => HEAD });
      for (let i = 0; i < 40; i++) {
        await ring.write(piece(40 * restart + i), START_MS + 40 * restart + i);
        assert.ok(total(directory) <= MIB, `${total(directory)} bytes`);
      }
      ring.close();
    }
    const files = listCaptureFiles(directory);
    assert.ok(files.length >= 7 && total(directory) > MIB / 2);
    assert.ok(files[0]!.startMs > START_MS + 60, "the oldest are gone");
    const last: CapturedFrame[] = [];
    for (const { name } of files) last.push(...await readCaptureFile(`${directory}/${name}`));
    assert.equal(last.at(-1)!.bytes[0], 119);
    for (let i = 1; i < last.length; i++) assert.ok(last[i]!.timeNs >= last[i - 1]!.timeNs);
    for (const { name } of files) assert.equal(Deno.statSync(`${directory}/${name}`).mode! & 0o777, 0o600);
  }));

Deno.test("CaptureRing leaves files of others alone, and two of one millisecond apart", () =>
  withDirectory(async (directory) => {
    await Deno.mkdir(directory);
    await Deno.writeTextFile(`${directory}/notes.txt`, "x".repeat(2 * MIB));
    const rings = [0, 1].map(() => new CaptureRing({ directory, bytesMax: MIB, head: () => HEAD }));
    for (const ring of rings) await ring.write(packet(0, 1), START_MS);
    for (const ring of rings) ring.close();
    assert.deepEqual(listCaptureFiles(directory).map(({ name }) => name), [
      "mirror-20260131T120000.000-1.pcapng",
      "mirror-20260131T120000.000.pcapng",
    ]);
    assert.equal(Deno.statSync(`${directory}/notes.txt`).size, 2 * MIB);
  }));

Deno.test("CaptureRing begins another file after a write that failed", () =>
  withDirectory(async (directory) => {
    const ring = new CaptureRing({ directory, bytesMax: MIB, head: () => HEAD });
    await Deno.writeTextFile(directory, "a file where the directory should be");
    await assert.rejects(ring.write(packet(0, 1), START_MS));
    await Deno.remove(directory);
    await ring.write(packet(1, 2), START_MS + 1);
    ring.close();
    const [file] = listCaptureFiles(directory);
    const frames = [...await readCaptureFile(`${directory}/${file!.name}`)];
    assert.deepEqual(frames.map(({ bytes }) => bytes[0]), [2]);
  }));

Deno.test("readCaptureFile() reads a cut file up to its last whole packet, and none that is gone", () =>
  withDirectory(async (directory) => {
    await Deno.mkdir(directory);
    const whole = joinBytes([HEAD, packet(0, 1), packet(1, 2)]);
    await Deno.writeFile(`${directory}/cut`, whole.subarray(0, whole.length - 3));
    assert.equal([...await readCaptureFile(`${directory}/cut`)].length, 1);
    assert.equal([...await readCaptureFile(`${directory}/none`)].length, 0);
    assert.deepEqual(listCaptureFiles(`${directory}/nowhere`), []);
  }));

Deno.test("keptPieces() are one file of the time and the filter, events in any case", () =>
  withDirectory(async (directory) => {
    await Deno.mkdir(directory);
    const paths = [`${directory}/a`, `${directory}/b`];
    const many = Array.from({ length: 1500 }, (_, i) => packet(i, i < 1000 ? 1 : 2));
    await Deno.writeFile(paths[0]!, joinBytes([HEAD, ...many]));
    await Deno.writeFile(paths[1]!, joinBytes([HEAD, packet(1500, 2), packet(1501, 1, 6), packet(9000, 2)]));
    // ldb [0]; jeq #2: what begins with a 2
    const program = [{ code: 0x30, jt: 0, jf: 0, k: 0 }, { code: 0x15, jt: 0, jf: 1, k: 2 }, {
      ...{ code: 6, jt: 0, jf: 0, k: 1 },
    }, { code: 6, jt: 0, jf: 0, k: 0 }];
    const span = { fromMs: START_MS + 900, toMs: START_MS + 2000 };
    const pieces = await Array.fromAsync(keptPieces(paths, { head: HEAD, ...span, program }));
    const frames = [...readCapture(joinBytes(pieces))];
    assert.equal(frames.length, 502);
    assert.deepEqual(frames.map(isMark).filter(Boolean).length, 1);
    assert.ok(frames.every((frame) => isMark(frame) || frame.bytes[0] === 2));
    assert.equal(frames.at(-1)!.port, "node");
  }));
