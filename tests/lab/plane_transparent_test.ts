/**
 * The wire stays a wire: every kind of frame leaves the node as it came, once, by the right port and by no other.
 *
 * A bench holds all six ends of the node and plays both boxes. The only thing that may appear elsewhere is a copy of
 * ARP and neighbour discovery at the standby; the filter copies nothing here.
 */
import assert from "node:assert/strict";
import { LINK_ETHERNET, readCapture } from "../../filter/capture.ts";
import { parsePacket } from "../../filter/packet.ts";
import { captureFolder } from "../native/filter/library.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { type NodeSettings, TestNode } from "../support/node.ts";
import { MARKED, pass, WAYS } from "../support/transparent.ts";
import { nodeEnd, Wire } from "../support/wire.ts";

const SETTINGS: NodeSettings = { failover: ["silence_ms = 0"] };

Deno.test("the plane carries every kind of frame unchanged on all four ways, once, and nowhere else", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, SETTINGS);
  await bench.settle(MARKED);
  for (const way of WAYS) await pass(bench, way, Object.entries(way[3]));
  const { parse, counters } = await node.status();
  assert.ok(parse.find(({ name }) => name === "link_local")!.packets >= 4 * 96);
  const dropped = counters.filter(({ name, packets }) =>
    packets > 0 && ["tx_full", "too_big", "blocked", "mirror_full"].includes(name)
  );
  assert.deepEqual(dropped, []);
});

Deno.test("what the machine itself sends by a port's interface goes out and is not taken for received", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  await TestNode.start(wire, SETTINGS);
  await bench.settle(MARKED);
  await wire.lab.script(NODE_NS, `ip addr add 10.77.0.1/24 dev ${nodeEnd("upstream")}`);
  // Nobody is there, so the kernel asks for the address, by a broadcast that a bridge would pass on.
  await wire.lab.exec(NODE_NS, ["bash", "-c", "echo >/dev/udp/10.77.0.2/9"]);
  await bench.until(() => bench.arrivals.length > 0, "the question going out");
  await bench.settle(MARKED);
  const arrivals = bench.taken();
  assert.deepEqual(arrivals.filter(({ role }) => role !== "upstream"), []);
  assert.equal(parsePacket(arrivals[0]!.bytes).verdict, "neighbour");
});

const CAPTURES = captureFolder();
const SAMPLE_FILES = 80;
const FILE_BYTES_MAX = 1 << 20;
const FRAMES_PER_FILE = 120;
const FRAME_BYTES_MAX = 9014;
/** Less does not leave a network card, and the kernel drops a cut VLAN header before anybody sees it. */
const FRAME_BYTES_MIN = 20;

function captureFiles(folder: string): string[] {
  const found: string[] = [];
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...captureFiles(path));
    else if (/\.(pcap|pcapng|cap|trace)$/.test(entry.name) && Deno.statSync(path).size <= FILE_BYTES_MAX) {
      found.push(path);
    }
  }
  return found.sort();
}

function framesOf(path: string): [string, Uint8Array][] {
  const frames: [string, Uint8Array][] = [];
  try {
    for (const { link, bytes } of readCapture(Deno.readFileSync(path))) {
      const fits = bytes.length >= FRAME_BYTES_MIN && bytes.length <= FRAME_BYTES_MAX;
      if (link === LINK_ETHERNET && fits) frames.push([`${path}#${frames.length}`, bytes]);
      if (frames.length === FRAMES_PER_FILE) break;
    }
  } catch (error) {
    // A capture that was cut is one of the malformed ones; what is whole of it counts.
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
  }
  return frames;
}

Deno.test({
  name: `the plane carries frames of real captures, broken ones too${
    CAPTURES ? "" : " (needs captures: REMEDIATE_DATA)"
  }`,
  ignore: CAPTURES === undefined,
  fn: async () => {
    const files = captureFiles(CAPTURES!);
    const step = Math.max(1, Math.floor(files.length / SAMPLE_FILES));
    const frames = files.filter((_, i) => i % step === 0).flatMap(framesOf);
    assert.ok(frames.length > 1000, `only ${frames.length} frames in the sample`);
    const malformed = frames.filter(([, frame]) => /short|bad|deep/.test(parsePacket(frame).verdict)).length;
    assert.ok(malformed > 0, "the sample has broken frames");
    await using wire = await Wire.up();
    const bench = await wire.bench();
    await TestNode.start(wire, SETTINGS);
    await bench.settle(MARKED);
    await pass(bench, WAYS[0], frames);
    await pass(bench, WAYS[3], frames);
    console.log(`${frames.length} frames of captures, ${malformed} of them malformed, passed both ways`);
  },
});
