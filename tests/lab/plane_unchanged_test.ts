/**
 * Not a byte of a frame changes on its way through a running plane, whatever the frame is and whatever is copied of it.
 *
 * Ports are capture files: frames go into all four ways at once, and what leaves is held against what entered, as many and
 * in order. The plane looks into tunnels and copies much, so every frame is parsed, decided for, and many are sent twice.
 *
 * REMEDIATE_CAPTURES=all takes every frame of every capture, not a sample (`deno task test:captures`).
 */
import assert from "node:assert/strict";
import type { NodeStatus, Role } from "../../appliance/view.ts";
import { ALL_ROLES, ROLES } from "../../appliance/view.ts";
import { LINK_ETHERNET, pcapHeader, pcapRecord, readCapture } from "../../filter/capture.ts";
import { generateTraffic } from "../../filter/generate.ts";
import { parsePacket } from "../../filter/packet.ts";
import { fixtures, inputFrames, seedInput } from "../../scripts/fuzz.ts";
import { captureFolder, captures } from "../native/filter/library.ts";
import { TestNode } from "../support/node.ts";
import { hex } from "../support/transparent.ts";
import { Wire } from "../support/wire.ts";

const FRAME_BYTES_MAX = 9216;
const SETTINGS = {
  failover: ["silence_ms = 0"],
  preset: "ids-full",
  filter: ["inner = true"],
  plane: [`frame_bytes_max = ${FRAME_BYTES_MAX}`, "flows_max = 65536"],
};
/** Where frames enter, where they leave, and where copies of them go. */
const WAYS: readonly (readonly [from: Role, to: Role, standby: Role | null])[] = [
  ["upstream", "primary-in", "redundant-in"],
  ["primary-in", "upstream", null],
  ["downstream", "primary-out", "redundant-out"],
  ["primary-out", "downstream", null],
];
const GENERATED = 4_000;
const SEEDS = 64;
const FOLDER = captureFolder();
const ALL = Deno.env.get("REMEDIATE_CAPTURES") === "all";
const FILES_MAX = 120;
const FRAMES_PER_FILE = 100;

async function writePcap(path: string, frames: readonly Uint8Array[]): Promise<void> {
  const records = frames.map((bytes) => pcapRecord({ timeNs: 0n, bytes, wireLength: bytes.length }));
  await Deno.writeFile(path, new Blob([pcapHeader(LINK_ETHERNET), ...records]).stream());
}

/** What is left of `expected` after each of `actual` was found in it, in order; fails at the first that is not. */
function follow(
  actual: Iterable<Uint8Array>,
  expected: readonly Uint8Array[],
  gaps: boolean,
  where: string,
): number {
  let at = 0;
  let count = 0;
  for (const bytes of actual) {
    const from = at;
    while (gaps && at < expected.length && !equal(bytes, expected[at]!)) at++;
    if (at >= expected.length || !equal(bytes, expected[at]!)) {
      const was = expected[from];
      assert.fail(
        `${where}: frame ${count} is ${hex(bytes)}, the next to come was ${was ? hex(was) : "none"}`,
      );
    }
    at++;
    count++;
  }
  return count;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function* bytesOf(path: string): Generator<Uint8Array> {
  for (const { bytes } of readCapture(Deno.readFileSync(path))) yield bytes;
}

interface Passed {
  readonly frames: number;
  readonly copies: number;
  readonly status: NodeStatus;
}

/** All frames through all ways of one plane. */
async function pass(frames: readonly Uint8Array[]): Promise<Passed> {
  await using wire = await Wire.up();
  const file = (name: string) => `${wire.lab.directory}/${name}`; // a port's text has its bounds, so names are short
  await writePcap(file("in"), frames);
  await writePcap(file("no"), []);
  const spec = (role: Role, i: number) => {
    const rx = WAYS.some(([from]) => from === role) ? "in" : "no";
    return [role, `pcap:rx=${file(rx)},tx=${file(`${i}tx`)}`] as const;
  };
  const node = await TestNode.start(wire, { ...SETTINGS, ports: Object.fromEntries(ROLES.map(spec)) });
  const status = await node.until(
    "all frames taken",
    ({ ports }) =>
      ports.every(({ role, rxPackets }) => /^redundant/.test(role) || rxPackets >= frames.length),
  );
  assert.equal(await node.endControl("SIGINT"), 0, "the files are complete once the plane has ended");
  let copies = 0;
  for (const [from, to, standby] of WAYS) {
    const left = (role: Role) => bytesOf(file(`${ALL_ROLES.indexOf(role)}tx`));
    assert.equal(follow(left(to), frames, false, `${from} to ${to}`), frames.length, `${from} to ${to}`);
    if (standby !== null) copies += follow(left(standby), frames, true, `${from}, copied to ${standby}`);
  }
  const dropped = status.counters.filter(({ name, packets }) =>
    packets > 0 && ["tx_full", "too_big", "blocked", "mirror_full"].includes(name)
  );
  assert.deepEqual(dropped, []);
  return { frames: frames.length, copies, status };
}

function tell({ frames, copies, status }: Passed): void {
  const kinds = status.parse.filter(({ packets }) => packets > 0).map(({ name }) => name);
  console.log(`${frames} frames on four ways, ${copies} copies; verdicts ${kinds.join(", ")}`);
}

const fits = (frame: Uint8Array) => frame.length > 0 && frame.length <= FRAME_BYTES_MAX;

Deno.test("no generated frame and none of the fuzz corpus changes on its way through the plane", async () => {
  const inputs = [...fixtures().map((path) => Deno.readFileSync(path))];
  for (let seed = 1; seed <= SEEDS; seed++) inputs.push(seedInput(seed));
  const corpus = inputs.flatMap(inputFrames).filter(fits);
  assert.ok(corpus.length > SEEDS, `${corpus.length} frames in the corpus`);
  const traffic = generateTraffic(7, { malformed: 0.2 });
  const generated = Array.from({ length: GENERATED }, () => traffic.next().value.bytes).filter(fits);
  const frames = [...corpus, ...generated];
  const malformed = frames.filter((frame) => /short|bad|deep/.test(parsePacket(frame).verdict)).length;
  assert.ok(malformed > GENERATED / 40, `${malformed} malformed frames`);
  const passed = await pass(frames);
  assert.ok(passed.copies > frames.length / 4, `${passed.copies} copies`);
  tell(passed);
});

/** Frames of the captures as bytes, whatever their link; those that no port of this size takes are left out. */
async function captured(folder: string): Promise<{ frames: Uint8Array[]; files: number; left: number }> {
  const files = await Array.fromAsync(captures(folder));
  const step = ALL ? 1 : Math.max(1, Math.floor(files.length / FILES_MAX));
  const some = files.filter((_, i) => i % step === 0);
  const taken = some.flatMap(({ frames }) => frames.slice(0, ALL ? undefined : FRAMES_PER_FILE))
    .map(({ bytes }) => bytes);
  const frames = taken.filter(fits);
  return { frames, files: some.length, left: taken.length - frames.length };
}

Deno.test({
  name: `no frame of ${ALL ? "all" : "a sample of the"} captures changes on its way through the plane${
    FOLDER ? "" : " (needs captures: REMEDIATE_DATA)"
  }`,
  ignore: FOLDER === undefined,
  fn: async () => {
    const { frames, files, left } = await captured(FOLDER!);
    assert.ok(
      frames.length > files && left < frames.length / 100,
      `${frames.length} frames, ${left} left out`,
    );
    tell(await pass(frames));
    console.log(`${files} files, ${left} frames left out: empty, or larger than ${FRAME_BYTES_MAX} bytes`);
  },
});
