/**
 * The exported eBPF program is attached to an interface and decides as the C core does: the same frames are copied, in
 * the same order.
 *
 * A bench holds the client's end, the server's end and the standby's. A bridge stands for the box: what enters on the
 * server's side leaves by the interface under test, where the program observes it.
 */
import assert from "node:assert/strict";
import { LINK_ETHERNET, readCapture } from "../../filter/capture.ts";
import type { FilterCore, FrameInput } from "../../filter/core.ts";
import { exportEbpf } from "../../filter/export_ebpf.ts";
import { generateTraffic } from "../../filter/generate.ts";
import type { AgesMs } from "../../filter/model.ts";
import { parsePacket, PROTO } from "../../filter/packet.ts";
import type { CompiledRule } from "../../filter/rule.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { inNamespace } from "../../scripts/lab/process.ts";
import type { Topology } from "../../scripts/lab/topology.ts";
import { captureFolder, compile, openCore } from "../native/filter/library.ts";
import { Bench } from "../support/bench.ts";
import { compileEbpf, findClang } from "../support/clang.ts";
import { program } from "../support/programs.ts";
import { hex } from "../support/transparent.ts";

const CLANG = findClang();
const TAP = "tap";
const WORLD = "world";
const TOPOLOGY: Topology = {
  name: "export",
  ipv6: false,
  namespaces: [{ name: TAP }, { name: WORLD }],
  links: ["client", "copy", "server"].map((name) => ({
    ends: [{ ns: TAP, name: `t${name}` }, { ns: WORLD, name: `w${name}` }],
  })),
  boxes: [],
  servers: [],
};
const BRIDGE = `
ip link add br0 type bridge stp_state 0 mcast_snooping 0
# Or the bridge would cut padding off and drop what is malformed.
for family in ip ip6 arp; do
  ! [ -e /proc/sys/net/bridge/bridge-nf-call-\${family}tables ] ||
    echo 0 > /proc/sys/net/bridge/bridge-nf-call-\${family}tables
done
for port in tclient tserver; do
  ip link set dev $port master br0
  ip link set dev $port type bridge_slave learning off
done
for port in tclient tserver tcopy br0; do ip link set dev $port mtu 9000 up; done
`;
const PINNED = "/sys/fs/bpf/tc/globals";
/** Roles of the bench by the order of its interfaces: the client's end, the standby's, the server's. */
const CLIENT = "upstream";
const COPY = "downstream";
const SERVER = "primary-in";
const NEVER: AgesMs = { tcp_opening: 0, tcp: 0, tcp_closing: 0, udp: 0, icmp: 0, other: 0 };
const AT_ONCE = 100;

/** The program on an interface between a client's and a server's end, with the standby's end beside. */
class Tap {
  private constructor(readonly lab: Lab, readonly bench: Bench, readonly pin: string) {}

  static async up(rules: readonly CompiledRule[], ages: AgesMs): Promise<Tap> {
    const lab = await Lab.up(TOPOLOGY);
    const pin = `${lab.prefix}_flows`;
    try {
      await lab.script(TAP, BRIDGE);
      await lab.script(WORLD, "for port in wclient wserver wcopy; do ip link set dev $port mtu 9000; done");
      const index = await lab.exec(TAP, ["sh", "-c", "ip -o link show dev tcopy | cut -d: -f1"]);
      const source = `${lab.directory}/filter.c`;
      await Deno.writeTextFile(source, exportEbpf({ rules, ages, flowsMax: 65_536, partial: false }));
      await compileEbpf(CLANG!, source, `${lab.directory}/filter.o`, {
        STANDBY_IFINDEX: Number(index),
        FLOWS: pin,
      });
      await lab.exec(TAP, ["tc", "qdisc", "add", "dev", "tclient", "clsact"]);
      for (const hook of ["ingress", "egress"]) {
        const object = ["obj", `${lab.directory}/filter.o`, "sec", hook];
        await lab.exec(TAP, [
          "tc",
          "filter",
          "add",
          "dev",
          "tclient",
          hook,
          "bpf",
          "direct-action",
          ...object,
        ]);
      }
      const ends = ["wclient", "wcopy", "wserver"];
      const bench = new Bench(inNamespace(lab.ns(WORLD), [await program("frames"), "bench", ...ends]));
      await bench.ready();
      return new Tap(lab, bench, pin);
    } catch (error) {
      await lab.down();
      removePin(pin);
      throw error;
    }
  }

  /** Sends frames from one end, waits until they have gone through; returns what reached the standby. */
  async send(frames: readonly Uint8Array[], observed: boolean): Promise<string[]> {
    const [from, to] = observed ? [SERVER, CLIENT] as const : [CLIENT, SERVER] as const;
    const copies: string[] = [];
    for (let first = 0; first < frames.length; first += AT_ONCE) {
      for (const frame of frames.slice(first, first + AT_ONCE)) await this.bench.send(from, frame);
      await this.bench.settle([observed ? [from, to] : [from, to, COPY]]);
      assert.deepEqual(this.bench.refused(), []);
      const arrivals = this.bench.taken();
      copies.push(...arrivals.filter(({ role }) => role === COPY).map(({ bytes }) => hex(bytes)));
      const passed = arrivals.filter(({ role }) => role === to).map(({ bytes }) => hex(bytes));
      const sent = new Set(frames.slice(first, first + AT_ONCE).map(hex));
      assert.ok(passed.every((frame) => sent.has(frame)), "every frame that passes is one that was sent");
    }
    return copies;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench.end();
    await this.lab.down();
    removePin(this.pin);
  }
}

function removePin(name: string): void {
  try {
    Deno.removeSync(`${PINNED}/${name}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Frames that the plane would copy, by the core's verdicts and by what the plane does with frames without a flow. */
function expectedCopies(core: FilterCore, frames: readonly FrameInput[]): string[] {
  const results = core.decide(frames);
  return frames.filter(({ observed }, i) => {
    const { parse, why } = results[i]!;
    return !observed && (why !== "none" || parse === "neighbour");
  }).map(({ bytes }) => hex(bytes));
}

/** Holds the copies against the core, runs of one direction at a time. */
async function compareAll(tap: Tap, core: FilterCore, frames: readonly FrameInput[], where: string) {
  let copied = 0;
  for (let at = 0; at < frames.length;) {
    let end = at;
    while (end < frames.length && frames[end]!.observed === frames[at]!.observed) end++;
    const some = frames.slice(at, end);
    const expected = expectedCopies(core, some);
    const actual = await tap.send(some.map(({ bytes }) => bytes), some[0]!.observed);
    assert.deepEqual(actual, expected, `${where}, frames ${at} to ${end}`);
    copied += actual.length;
    at = end;
  }
  return copied;
}

/** What passes a packet socket and is not refused by the kernel before tc. */
const passes = ({ bytes }: FrameInput) => bytes.length >= 20 && bytes.length <= 9014;

/** Rules that use every action but keep-alives by the clock, which is not the frames' own here. */
function rules(): CompiledRule[] {
  return compile(
    {
      name: "web",
      match: "tcp port 80",
      ...{ handshake: true, teardown: true, acks: true, plaintext: true },
      ...{ firstBytesUp: 300, firstBytesDown: 90, turnBytesUp: 200, turnBytesDown: 60, turnBytesMax: 3000 },
    },
    { name: "window", match: "tcp port 443", handshake: true, keepaliveWindow: true, sample: 7 },
    { name: "dns", match: "udp port 53 or vlan", firstPayloadPackets: 2, plaintext: true, firstBytes: 200 },
    { name: "quiet", match: "host 10.1.0.3", none: true, all: true },
    { name: "ping", match: "icmp or icmp6", all: true },
    { name: "low", match: "ip[8] > 3 and src portrange 0-1040", firstPackets: 4, teardown: true },
    { name: "rest", handshake: true, teardown: true, firstPackets: 5 },
  );
}

const needs = CLANG === undefined ? " (needs clang)" : "";

Deno.test({
  name: `exportEbpf() decides as the core on generated traffic, observed frames included${needs}`,
  ignore: CLANG === undefined,
  fn: async () => {
    await using tap = await Tap.up(rules(), NEVER);
    using core = await openCore(2 ** 17);
    core.setRules(rules(), NEVER);
    const traffic = generateTraffic(7);
    const frames: FrameInput[] = [];
    while (frames.length < 1500) {
      const { value } = traffic.next();
      if (passes(value)) frames.push({ ...value, timeNs: BigInt(frames.length + 1) });
    }
    const copied = await compareAll(tap, core, frames, "generated");
    assert.ok(copied > 200 && copied < 1200, `${copied} of ${frames.length} frames were copied`);
  },
});

const folder = captureFolder();
function* sampled(): Generator<[string, FrameInput[]]> {
  const files: string[] = [];
  const walk = (path: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) walk(`${path}/${name}`);
      else if (/\.(pcap|pcapng|cap)$/.test(name)) files.push(`${path}/${name}`);
    }
  };
  walk(folder!);
  for (const path of files.sort().filter((_, i) => i % 12 === 0)) {
    const frames: FrameInput[] = [];
    try {
      for (const { link, bytes } of readCapture(Deno.readFileSync(path))) {
        const frame = { timeNs: 1n, bytes, observed: false };
        if (link === LINK_ETHERNET && passes(frame)) frames.push(frame);
        if (frames.length === 200) break;
      }
    } catch (error) {
      // What is whole of a capture that was cut counts.
      if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
    }
    yield [path, frames];
  }
}

Deno.test({
  name: `exportEbpf() decides as the core on captures${folder ? needs : " (needs the captures)"}`,
  ignore: CLANG === undefined || folder === undefined,
  fn: async () => {
    await using tap = await Tap.up(rules(), NEVER);
    using core = await openCore(2 ** 17);
    core.setRules(rules(), NEVER);
    let seen = 0;
    let copied = 0;
    for (const [path, frames] of sampled()) {
      copied += await compareAll(tap, core, frames, path);
      seen += frames.length;
    }
    assert.ok(seen > 2000, `${seen} frames`);
    assert.ok(copied > 500 && copied < seen, `${copied} of ${seen} frames were copied`);
    console.log(`${copied} of ${seen} frames of captures were copied, as the core decides`);
  },
});

Deno.test({
  name: `exportEbpf() keeps flows alive and forgets them by the clock${needs}`,
  ignore: CLANG === undefined,
  fn: async () => {
    const timed = compile({ name: "timed", handshake: true, keepaliveMs: 2000 });
    await using tap = await Tap.up(timed, { ...NEVER, udp: 3500 });
    const traffic = generateTraffic(3, { malformed: 0 });
    let frame = traffic.next().value.bytes;
    while (parsePacket(frame).flow?.proto !== PROTO.udp) frame = traffic.next().value.bytes;
    const copies: number[] = [];
    for (const pauseMs of [0, 0, 2200, 0, 4000, 0]) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      copies.push((await tap.send([frame], false)).length);
    }
    // The first, after the keep-alive's time, and as a new flow after the flow's.
    assert.deepEqual(copies, [1, 0, 1, 0, 1, 0]);
  },
});
