/** Probes: what makes a box green, yellow and red, what is no evidence against it, and how a frame is known again. */
import assert from "node:assert/strict";
import { Random } from "../../filter/random.ts";
import { internetChecksum } from "../../filter/frame.ts";
import { parsePacket } from "../../filter/packet.ts";
import { ENDS, ProbeBench, type Sent } from "./probes.ts";

const one = (...more: string[]) => ["[[probe]]", 'name = "p"', ...ENDS, 'direction = "up"', ...more];
/** Interval 3, timeout 8, fall 3: the last of three is lost after 3 + 3 + 8, and they begin within an interval. */
const FOUND_MS_MAX = 18;
const well = () => 1;
/** The primary is dead and the other box well. */
const dead = ({ box }: Sent) => box === 0 ? null : 1;

Deno.test("a box whose probes come through is green, and red when three in a row are lost", async () => {
  using bench = await ProbeBench.open(one());
  assert.deepEqual(bench.run(200, well).map(({ says }) => says), ["green"]);
  const diedMs = bench.nowMs;
  const [found, ...more] = bench.run(100, dead);
  assert.equal(found!.says, "red: probe p up does not come through");
  assert.ok(found!.atMs - diedMs <= FOUND_MS_MAX, `found after ${found!.atMs - diedMs} ms`);
  assert.deepEqual(more, []);
  const back = bench.run(600, well).map(({ says }) => says);
  assert.deepEqual(back, ["yellow: probe p up comes through in part", "green"]);
});

Deno.test("two lost in a row are not enough, and four of 64 are told", async () => {
  using bench = await ProbeBench.open(one());
  bench.run(200, well);
  let n = 0;
  assert.deepEqual(bench.run(60, () => ++n === 5 || n === 6 ? null : 1), []);
  n = 0;
  const told = bench.run(60, () => ++n % 5 === 0 ? null : 1);
  assert.deepEqual(told.map(({ says }) => says), ["yellow: probe p up comes through in part"]);
});

Deno.test("each way is judged on its own, and the worst counts", async () => {
  using bench = await ProbeBench.open(["[[probe]]", 'name = "p"', ...ENDS]);
  bench.run(200, well);
  const told = bench.run(60, (sent) => sent.side === 1 ? dead(sent) : 1);
  assert.deepEqual(told.map(({ says }) => says), ["red: probe p down does not come through"]);
  assert.equal(bench.judge(1), "green");
});

Deno.test("a probe that never came through accuses nobody", async () => {
  using bench = await ProbeBench.open(one());
  const told = bench.run(2000, () => null).map(({ says }) => says);
  assert.deepEqual(told, ["yellow: probe p up has never come through: is it right, and meant to pass?"]);
});

Deno.test("on_failure = yellow is told and no more", async () => {
  using bench = await ProbeBench.open(one('on_failure = "yellow"'));
  bench.run(200, well);
  assert.equal(bench.run(60, dead).at(-1)!.says, "yellow: probe p up does not come through");
});

Deno.test("what both boxes lose in the same moment is believed only if it lasts", async () => {
  using bench = await ProbeBench.open(one());
  bench.run(200, well);
  const neither =
    "yellow: probe p up comes through neither box: look at what they share, the host it asks first";
  assert.deepEqual(bench.run(500, () => null).map(({ says }) => says), [neither]);
  bench.run(400, well);
  assert.equal(bench.judge(), "green");
  assert.equal(bench.run(2000, () => null).at(-1)!.says, "red: probe p up does not come through");
});

/** Everything outside the node stands still from `fromMs` on; what is under way comes out after it, the primary's last. */
function pausing(fromMs: number, ms: number, skewMs: number) {
  return ({ box }: Sent, atMs: number) =>
    atMs < fromMs || atMs >= fromMs + ms ? 0 : fromMs + ms - atMs + (box === 0 ? skewMs : 0);
}

Deno.test("by seed: a pause of everything outside the node is no fault of the box that is read last after it", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    using bench = await ProbeBench.open(one());
    bench.run(200 + random.below(5), well);
    const fate = pausing(bench.nowMs + 2, 5 + random.below(60), random.below(4));
    const reds = bench.run(150, fate).filter(({ says }) => says.startsWith("red"));
    assert.deepEqual(reds, [], `seed ${seed}`);
    bench.run(40, dead);
    assert.match(bench.judge(), /^red/, `seed ${seed}`);
  }
});

Deno.test("what was lost with a box's link is not held against the box that returns", async () => {
  using bench = await ProbeBench.open(one());
  bench.run(200, well);
  // The link goes while two are under way, and comes back.
  bench.run(6, dead);
  bench.run(100, ({ track }) => {
    bench.forget(track);
    return 1;
  });
  assert.equal(bench.judge(), "green");
  const diedMs = bench.nowMs;
  const [found] = bench.run(100, dead);
  assert.equal(found!.says, "red: probe p up does not come through");
  assert.ok(found!.atMs - diedMs > 8 + 2 * 3 - 1, `red ${found!.atMs - diedMs} ms after the return`);
});

Deno.test("the last box is red when it fails long after the other one", async () => {
  using bench = await ProbeBench.open(one());
  bench.run(200, well);
  bench.run(2000, ({ box }) => box === 1 ? null : 1);
  const diedMs = bench.nowMs;
  const [found] = bench.run(100, () => null);
  assert.equal(found!.says, "red: probe p up does not come through");
  assert.ok(found!.atMs - diedMs <= FOUND_MS_MAX);
});

Deno.test("a probe that comes late proves that the box lives", async () => {
  using bench = await ProbeBench.open(one());
  bench.run(200, well);
  const reds = bench.run(1000, () => 11).filter(({ says }) => says.startsWith("red"));
  assert.deepEqual(reds, []);
  const [view] = bench.views();
  assert.ok(view!.late > 300 && view!.late <= view!.lost, `${view!.late} of ${view!.lost} late`);
});

Deno.test("what was under way while the node stood still is given that much more time, but not for ever", async () => {
  using bench = await ProbeBench.open(one());
  bench.run(200, well);
  const sent = bench.run(6, dead);
  assert.deepEqual(sent, []);
  bench.nowMs += 12;
  bench.excuse(12);
  assert.equal(bench.judge(), "green");
  assert.deepEqual(bench.run(3, dead), []);
  // A node that is always late must notice all the same.
  let ms = 0;
  while (bench.judge() === "green" && ms < 200) {
    for (const sent of bench.due()) if (sent.box === 1) bench.seen(sent);
    bench.nowMs += 10;
    ms += 10;
    bench.excuse(10);
  }
  assert.ok(ms < 100, `found after ${ms} ms of stalls`);
  assert.ok(bench.views()[0]!.excused > 0);
});

Deno.test("a probe to be blocked fails when it comes through, and is yellow unless it is told otherwise", async () => {
  using bench = await ProbeBench.open(one('expect = "blocked"'));
  assert.deepEqual(bench.run(300, () => null).map(({ says }) => says), ["green"]);
  const told = bench.run(60, well).map(({ says }) => says);
  assert.deepEqual(told, ["yellow: probe p up comes through and should be blocked"]);
  using strict = await ProbeBench.open(one('expect = "blocked"', 'on_failure = "red"'));
  strict.run(300, () => null);
  assert.equal(strict.run(60, well).at(-1)!.says, "red: probe p up comes through and should be blocked");
});

const ANSWERED = one('expect = "answered"', "interval_ms = 3", "timeout_ms = 8");

Deno.test("an answer that is missing through one box is that box's fault", async () => {
  using bench = await ProbeBench.open(ANSWERED);
  bench.run(200, well);
  const says = bench.run(60, (sent) => sent.box === 0 ? null : 1).map(({ says }) => says);
  assert.equal(says.at(-1), "red: probe p up does not come through");
  assert.equal(bench.judge(1), "green");
});

Deno.test("an answer that is missing through both boxes is the host's fault", async () => {
  using bench = await ProbeBench.open(ANSWERED);
  bench.run(200, well);
  const says = bench.run(300, () => null).map(({ says }) => says);
  assert.deepEqual(says, [
    "yellow: probe p up comes through neither box: look at what they share, the host it asks first",
  ]);
  assert.match(bench.judge(1), /^yellow/);
});

Deno.test("a changed probe starts anew, the others go on", async () => {
  const two = (timeout: number) => [
    ...one(),
    ...one(`timeout_ms = ${timeout}`).map((line) => line === 'name = "p"' ? 'name = "q"' : line),
  ];
  using bench = await ProbeBench.open(two(8));
  bench.run(200, well);
  bench.configure(two(9));
  const sent = bench.views().map(({ name, box, sent }) => [name, box, sent > 0]);
  assert.deepEqual(sent, [["p", "primary", true], ["p", "redundant", true], ["q", "primary", false], [
    "q",
    "redundant",
    false,
  ]]);
});

Deno.test("by seed: a good box is never red whatever the jitter below the timeout, a dead one always is", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    using bench = await ProbeBench.open(one(`fall = ${3 + random.below(3)}`));
    const jitter = ({ box }: Sent) => box === 0 && random.below(50) === 0 ? null : random.below(8);
    const reds = bench.run(1500, jitter).filter(({ says }) => says.startsWith("red"));
    assert.deepEqual(reds, [], `seed ${seed}`);
    bench.run(40, dead);
    assert.match(bench.judge(), /^red/, `seed ${seed}`);
  }
});

const KINDS = ["icmp", "udp", "tcp"];
const ENDS6 = ['from = "2001:db8::250"', 'to = "2001:db8:1::11"'];

for (const [version, ends] of [["IPv4", ENDS], ["IPv6", ENDS6]] as const) {
  for (const kind of KINDS) {
    Deno.test(`a probe of ${kind} over ${version} is a right packet and is known again`, async () => {
      using bench = await ProbeBench.open([
        "[[probe]]",
        'name = "p"',
        `kind = "${kind}"`,
        ...ends,
        "vlan = 7",
      ]);
      for (const track of [0, 1, 2, 3]) {
        for (const number of [1, 2, 4095, 70_001]) {
          const frame = bench.stamp({ track, number });
          const packet = parsePacket(frame);
          assert.deepEqual([packet.verdict, packet.vlan], ["flow", 7]);
          assertChecksum(frame, version);
          const found = bench.recognise(frame);
          assert.deepEqual([found.is, found.track], ["sent", track]);
          assert.equal(found.number, kind === "tcp" ? number & 0x7ff : number);
          // Another address, as a NAT makes it.
          frame[frame.length > 80 ? 40 : 31]! ^= 1;
          assert.equal(bench.recognise(frame).is, "sent");
          assert.equal(bench.recognise(frame.slice(0, 50)).is, "other");
        }
      }
    });
  }
}

/** Of what IP carries; the frames have one tag and no options. */
function assertChecksum(frame: Uint8Array, version: "IPv4" | "IPv6"): void {
  const { flow } = parsePacket(frame);
  const at = flow!.transportOffset, end = flow!.payloadOffset + flow!.payloadBytes;
  const addresses = version === "IPv4" ? frame.slice(30, 38) : frame.slice(26, 58);
  const pseudo = flow!.proto === 1
    ? []
    : [...addresses, 0, 0, (end - at) >> 8, (end - at) & 255, 0, flow!.proto];
  assert.equal(internetChecksum(pseudo, frame.slice(at, end)), 0, "checksum");
  if (version === "IPv4") assert.equal(internetChecksum(frame.slice(18, 38)), 0, "header checksum");
}

Deno.test("a packet of a user is none of ours, and neither is a token of another plane", async () => {
  using bench = await ProbeBench.open(one('kind = "udp"'));
  const frame = bench.stamp({ track: 0, number: 1 });
  for (let bit = 42 * 8; bit < 58 * 8; bit++) {
    const broken = frame.slice();
    broken[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(bench.recognise(broken).is, "other", `bit ${bit}`);
  }
});

/** What a host answers: ends swapped, flags SYN and ACK, acknowledging the SYN. */
function synAck(syn: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = Uint8Array.from(syn);
  frame.set(syn.slice(30, 34), 26), frame.set(syn.slice(26, 30), 30);
  frame.set(syn.slice(36, 38), 34), frame.set(syn.slice(34, 36), 36);
  const view = new DataView(frame.buffer);
  view.setUint32(42, view.getUint32(38) + 1);
  view.setUint32(38, 12345);
  frame[47] = 0x12;
  return frame;
}

Deno.test("a SYN-ACK is the answer to a SYN, and turned into the reset that ends it", async () => {
  using bench = await ProbeBench.open(one('kind = "tcp"', 'expect = "answered"', "to_port = 80"));
  const syn = bench.stamp({ track: 0, number: 9 }), answer = synAck(syn);
  assert.deepEqual(bench.recognise(answer), { is: "answer", track: 0, number: 9 });
  const reset = bench.resetOf(answer)!;
  const { flow } = parsePacket(reset);
  assert.equal(reset[47], 4, "flags");
  assert.equal(flow!.proto, 6);
  assert.equal(internetChecksum(reset.slice(14, 34)), 0);
  assert.equal(internetChecksum([...reset.slice(26, 34), 0, 6, 0, 20], reset.slice(34, 54)), 0);
  assert.deepEqual(
    [...reset.slice(26, 38)],
    [...syn.slice(26, 38)],
    "from where the SYN came to where it went",
  );
  assert.equal(bench.recognise(reset).is, "reset");
  assert.equal(bench.resetOf(syn), null);
});

Deno.test("a raw probe is known by its payload, whatever stands before it", async () => {
  using bench = await ProbeBench.open(one());
  const frame = new Uint8Array(80).fill(7);
  frame.set([
    8,
    0,
    0x45,
    0,
    0,
    66,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    10,
    1,
    0,
    1,
    10,
    2,
    0,
    1,
    9,
    9,
    8,
    8,
    0,
    46,
    0,
    0,
  ], 12);
  const raw = ["[[probe]]", 'name = "r"', 'kind = "raw"', 'file = "/a.pcap"', 'direction = "up"'];
  assert.deepEqual(bench.configure(raw, () => frame), []);
  assert.deepEqual([...bench.stamp({ track: 0, number: 5 })], [...frame]);
  const natted = frame.slice();
  natted.fill(1, 0, 12), natted.fill(3, 26, 38);
  assert.ok(bench.isRaw(0, natted));
  natted[60]! ^= 1;
  assert.ok(!bench.isRaw(0, natted));
  assert.ok(!bench.isRaw(0, frame.slice(0, 70)));
  assert.match(
    bench.configure(raw, () => frame.slice(0, 20))[0]!,
    /^Cannot use frame 1 of \/a.pcap for probe r: it has 6 bytes/,
  );
});
